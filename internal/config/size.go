package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of octets, written as an integer or as a whole number with a
// unit: "50MiB", "10MB", "512B".
type Size int64

type sizeUnit struct {
	name string
	size int64 // octets
}

// sizeUnits are in descending order.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"GiB", 1 << 30}, {"GB", 1e9},
		{"MiB", 1 << 20}, {"MB", 1e6},
		{"KiB", 1 << 10}, {"kB", 1e3},
		{"B", 1},
	}
}

// ParseSize reads a Size with its unit, in upper or lower case. The result is
// never negative.
func ParseSize(s string) (Size, error) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	num, name := s[:digits], strings.TrimLeft(s[digits:], " ")
	switch {
	case digits == 0:
		return 0, fmt.Errorf(`%s is not a size; write a whole number with a unit, such as "50MiB"`, quote(s))
	case name == "":
		return 0, fmt.Errorf("the size %s has no unit; write %q or %q", quote(s), num+"MiB", num+"B")
	}
	for _, u := range sizeUnits() {
		if !strings.EqualFold(name, u.name) {
			continue
		}
		n, err := strconv.ParseInt(num, 10, 64)
		if err != nil || n > math.MaxInt64/u.size {
			return 0, fmt.Errorf("the size %s is too large", quote(s))
		}
		return Size(n * u.size), nil
	}
	return 0, fmt.Errorf(`%s is not a size; the units are B, kB, KiB, MB, MiB, GB and GiB: "50MiB"`, quote(s))
}

// String returns the size as ParseSize reads it, in the largest binary unit of
// which it is a multiple.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s > 0 && u.size&(u.size-1) == 0 && int64(s)%u.size == 0 {
			return strconv.FormatInt(int64(s)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText returns String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSize reads.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// UnmarshalTOML accepts a string, or an integer number of octets.
func (s *Size) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		return s.UnmarshalText([]byte(v))
	case int64:
		if v < 0 {
			return fmt.Errorf("the size %d is negative; write 0 for no limit", v)
		}
		*s = Size(v)
		return nil
	}
	return expected(`a size such as "50MiB" or a number of octets`, v)
}
