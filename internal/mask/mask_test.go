package mask

import (
	"encoding/base64"
	"testing"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// A short secret is looked for as a whole and nearly whole, and only until the login is
// accepted: later it would hide half of what the server says.
func TestShortSecrets(t *testing.T) {
	for _, tt := range []struct {
		secret, text  string
		login, beyond bool // is hidden
	}{
		{"abcdefgh", "abcdef", true, true},
		{"abcdefgh", "abcde", false, false},
		{"abcdefg", "abcde", true, false},
		{"abcdef", "bcde", true, false},
		{"abcdef", "abcdef", true, true},
		{"abcde", "abc", true, false},
		{"abcde", "ABCDE", true, true},
		{"abcde", b64("abcde"), true, true},
		{"abcde", "6162636465", true, true},
		{"abcd", "bcd", true, false},
		{"abcd", "abcd", true, true},
		{"abc", "ABC", true, false},
		{"abc", b64("xabc"), true, false},
		{"ab", "-ERR AB?", true, false},
		{"ab", b64("ab"), true, false},
		{"??>>??", "Pz8-Pj8_", true, true}, // base64url
		{"a", "a", true, false},
		{"a", "61", true, false},
		{"", "anything", false, false},
	} {
		var s Secrets
		s.Add(tt.secret)
		if got := s.Conceal(tt.text) != tt.text; got != tt.login {
			t.Errorf("%q in %q at the login: hidden %v", tt.secret, tt.text, got)
		}
		s.Accepted()
		if got := s.Conceal(tt.text) != tt.text; got != tt.beyond {
			t.Errorf("%q in %q after it: hidden %v", tt.secret, tt.text, got)
		}
	}
}

// A million unusable lines of a listing do not take minutes: each is searched for the
// secret, but the runs to search for are computed once.
func TestManyTextsShareTheRuns(t *testing.T) {
	var s Secrets
	s.Add("Correct-Horse")
	for range fewTexts + 1 {
		s.Conceal("no octets")
	}
	first := s.runs()
	if s.runs() != first || s.Conceal("correct-horse") != "***" {
		t.Error("the runs were computed again, or have no effect")
	}
	s.Add("Battery-Staple")
	if s.Conceal("a battery-staple") != "***" {
		t.Error("a secret that was added later is shown")
	}
}
