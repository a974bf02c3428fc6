package config

import (
	"fmt"
	"io"
	"log/slog"
)

// mask is shown in place of a secret.
const mask = "***"

// Secret is a text that no log, error, JSON or fmt verb shows. The zero value is
// unset.
//
// The text is behind a pointer because fmt calls no methods of unexported fields:
// it prints an address instead.
type Secret struct{ text *string }

// NewSecret returns a Secret with the text s.
func NewSecret(s string) Secret { return Secret{&s} }

// IsSet reports whether there is a text.
func (s Secret) IsSet() bool { return s.text != nil }

// Reveal returns the text, "" if there is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String is the mask, "" if there is no text.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return mask
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format writes String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText is String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// UnmarshalTOML accepts a string. Its error does not show the value.
func (s *Secret) UnmarshalTOML(v any) error {
	text, ok := v.(string)
	if !ok {
		switch v.(type) {
		case int64, float64, bool: // could be the secret itself
			return fmt.Errorf("expected a string; write the password in quotes")
		}
		return expected("a string", v)
	}
	if err := checkSecret(text); err != nil {
		return err
	}
	*s = NewSecret(text)
	return nil
}

// checkSecret refuses a password that is empty or contains control characters.
func checkSecret(s string) error {
	if s == "" {
		return fmt.Errorf("the password is empty")
	}
	return checkControl("the password", s)
}
