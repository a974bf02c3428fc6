package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time, written as whole numbers with units: "5m",
// "1h30m", "14d". A number without a unit is refused.
type Duration time.Duration

type durationUnit struct {
	name string
	size int64 // nanoseconds
}

// durationUnits are in descending order. A day is always 24 hours: daylight saving time
// does not change how long mail is kept.
func durationUnits() []durationUnit {
	return []durationUnit{
		{"w", int64(7 * 24 * time.Hour)},
		{"d", int64(24 * time.Hour)},
		{"h", int64(time.Hour)},
		{"m", int64(time.Minute)},
		{"s", int64(time.Second)},
		{"ms", int64(time.Millisecond)},
	}
}

// ParseDuration reads a Duration: whole numbers, each with a unit from weeks to
// milliseconds, which are added up. The result is never negative.
func ParseDuration(s string) (Duration, error) {
	if s == "" {
		return 0, fmt.Errorf("the duration is empty; write one such as %q", "5m")
	}
	if isDigits(s) {
		return 0, fmt.Errorf("the duration %s has no unit; write %q, %q, %q, %q or %q",
			quote(s), s+"s", s+"m", s+"h", s+"d", s+"w")
	}
	var sum int64
	for rest := s; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		unit, ok := unitAt(rest[digits:])
		if digits == 0 || !ok {
			return 0, fmt.Errorf("%s is not a duration; write whole numbers with the units w, d, h, m, s or ms: %q", quote(s), "1h30m")
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil || n > math.MaxInt64/unit.size || n*unit.size > math.MaxInt64-sum {
			return 0, fmt.Errorf("the duration %s is too long; the longest is about 292 years", quote(s))
		}
		sum += n * unit.size
		rest = rest[digits+len(unit.name):]
	}
	return Duration(sum), nil
}

// unitAt returns the unit at the beginning of s: "ms" rather than "m".
func unitAt(s string) (unit durationUnit, ok bool) {
	for _, u := range durationUnits() {
		if strings.HasPrefix(s, u.name) && len(u.name) > len(unit.name) {
			unit, ok = u, true
		}
	}
	return unit, ok
}

// String returns the duration in days and smaller units, as ParseDuration reads
// it. What is below a millisecond is left out.
func (d Duration) String() string {
	var b strings.Builder
	rest := int64(d)
	for _, u := range durationUnits() {
		if n := rest / u.size; n > 0 && u.name != "w" { // "14d" is clearer than "2w"
			b.WriteString(strconv.FormatInt(n, 10) + u.name)
			rest -= n * u.size
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// MarshalText returns String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// UnmarshalTOML accepts a string.
func (d *Duration) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		return d.UnmarshalText([]byte(v))
	case int64:
		return fmt.Errorf("the duration %d has no unit; write %q, %q or another unit", v, strconv.FormatInt(v, 10)+"m", strconv.FormatInt(v, 10)+"s")
	}
	return expected(`a duration such as "5m"`, v)
}

// Keep is what becomes of delivered messages on the server. The zero value leaves
// them there.
type Keep struct {
	Delete bool     // they are deleted
	After  Duration // how long after delivery; 0 = as soon as they are delivered
}

// String is "true", "false" or the duration.
func (k Keep) String() string {
	switch {
	case !k.Delete:
		return "true"
	case k.After == 0:
		return "false"
	}
	return k.After.String()
}

// MarshalText returns String.
func (k Keep) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalTOML accepts true, false or a duration.
func (k *Keep) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case bool:
		*k = Keep{Delete: !v}
		return nil
	case string:
		if v == "true" || v == "false" {
			return fmt.Errorf("%q in quotes is not a duration; write %s without quotes", v, v)
		}
		d, err := ParseDuration(v)
		if err != nil {
			return err
		}
		if d == 0 {
			return fmt.Errorf("%q keeps nothing; write false to delete messages once they are delivered", v)
		}
		*k = Keep{Delete: true, After: d}
		return nil
	case int64:
		return fmt.Errorf("the duration %d has no unit; write %q or another unit", v, strconv.FormatInt(v, 10)+"d")
	}
	return expected(`true, false or a duration such as "14d"`, v)
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
