package config

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// TLSMode is when TLS begins.
type TLSMode string

// The three modes.
const (
	TLSImplicit TLSMode = "implicit" // with the first octet, RFC 8314; port 995
	TLSStart    TLSMode = "starttls" // after STLS, RFC 2595; port 110; a server without it is refused
	TLSNone     TLSMode = "none"     // clear text; port 110
)

// UnmarshalTOML accepts one of the three words.
func (m *TLSMode) UnmarshalTOML(v any) error {
	return word(v, m, TLSImplicit, TLSStart, TLSNone)
}

// Pipelining is whether commands may be sent before the reply to the previous one
// has arrived.
type Pipelining string

// The three choices.
const (
	PipeliningAuto Pipelining = "auto" // if the server announces it, RFC 2449 section 6.6
	PipeliningOn   Pipelining = "on"
	PipeliningOff  Pipelining = "off"
)

// UnmarshalTOML accepts one of the three words.
func (p *Pipelining) UnmarshalTOML(v any) error {
	return word(v, p, PipeliningAuto, PipeliningOn, PipeliningOff)
}

// word stores v in dst if it is one of the choices.
func word[T ~string](v any, dst *T, choices ...T) error {
	names := make([]string, len(choices))
	for i, c := range choices {
		names[i] = string(c)
	}
	s, ok := v.(string)
	if !ok {
		return expected("one of "+orList(names), v)
	}
	for _, c := range choices {
		if s == string(c) {
			*dst = c
			return nil
		}
	}
	return fmt.Errorf("%s is not one of %s%s", quote(s), orList(names), didYouMean(s, names))
}

// TLSVersion is a protocol version as crypto/tls counts them.
type TLSVersion uint16

// The versions to choose from. RFC 8996 forbids older ones.
const (
	TLS12 TLSVersion = tls.VersionTLS12
	TLS13 TLSVersion = tls.VersionTLS13
)

// String is "1.2" or "1.3".
func (t TLSVersion) String() string {
	if t == TLS13 {
		return "1.3"
	}
	return "1.2"
}

// MarshalText returns String.
func (t TLSVersion) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalTOML accepts "1.2" or "1.3".
func (t *TLSVersion) UnmarshalTOML(v any) error {
	if f, ok := v.(float64); ok {
		return fmt.Errorf("expected a string, found the number %v; write it in quotes: \"1.2\"", f)
	}
	var s string
	if err := word(v, &s, "1.2", "1.3"); err != nil {
		return err
	}
	*t = TLS12
	if s == "1.3" {
		*t = TLS13
	}
	return nil
}

// oneOrMore accepts a string, or a list of strings that is not empty.
func oneOrMore(what string, v any) ([]string, error) {
	if s, ok := v.(string); ok {
		return []string{s}, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, expected(what, v)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("expected %s, found an empty list", what)
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], ok = e.(string); !ok {
			return nil, expected(what+"; element "+strconv.Itoa(i+1)+" is not a string", e)
		}
	}
	return out, nil
}

// expected is the error for a value of the wrong type. It never shows a string,
// which may be a secret.
func expected(what string, found any) error {
	return fmt.Errorf("expected %s, found %s", what, typeName(found))
}

// typeName names the type of a value as the TOML library decodes it.
func typeName(v any) string {
	switch v := v.(type) {
	case string:
		return "a string"
	case int64:
		return "the integer " + strconv.FormatInt(v, 10)
	case float64:
		return "the number " + strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return "a date"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return "something else"
}

// checkControl refuses control characters in a text that goes to a server. A line
// end would be another command; the others come from a backslash in double
// quotes, as in "CORP\bob". what begins the message, which does not show s.
func checkControl(what, s string) error {
	for _, r := range s {
		if unicode.IsControl(r) {
			return fmt.Errorf(`%s contains the control character %s; in double quotes a backslash begins an escape: write the text in single quotes, 'DOMAIN\name'`,
				what, strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return nil
}

// checkVisible refuses characters that nobody sees and that web pages add to what
// is copied from them. A password may contain them, in an emoji for one.
func checkVisible(s string) error {
	for _, r := range s {
		switch {
		case r == '\u00a0', r == '\u200b', r == '\u2060', r == '\ufeff', // blanks and byte order mark
			'\u200e' <= r && r <= '\u200f', '\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069': // direction of writing
			return fmt.Errorf("the string contains the invisible character %U; delete the text and type it again", r)
		}
	}
	return nil
}

// quote quotes the beginning of a text from the file for a message.
func quote(s string) string {
	const limit = 100 // octets
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return strconv.Quote(s)
}

// orList is "a", "b" or "c".
func orList(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = strconv.Quote(n)
	}
	if len(q) < 2 {
		return strings.Join(q, "")
	}
	return strings.Join(q[:len(q)-1], ", ") + " or " + q[len(q)-1]
}
