package mask

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
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

// A server can send a million lines that need an error each, and a token has thousands of
// octets: what is looked for is computed once, and a text costs no more than its own length.
func TestMaskingATextDoesNotCostAsMuchAsTheSecret(t *testing.T) {
	var s Secrets
	s.Add(token())
	s.Conceal("+OK ready")
	text := strings.Repeat("no octets ", 20)
	if n := testing.AllocsPerRun(10, func() { s.Conceal(text) }); n > 4 {
		t.Errorf("%v allocations for one text", n)
	}
	s.Add("Battery-Staple")
	if s.Conceal("a battery-staple") != "***" {
		t.Error("a secret that was added later is shown")
	}
}

// token returns a secret of 5,000 octets.
func token() string {
	random := rand.NewChaCha8([32]byte{})
	octets := make([]byte, 3750)
	random.Read(octets)
	return base64.RawURLEncoding.EncodeToString(octets)
}

func BenchmarkConceal(b *testing.B) {
	var s Secrets
	s.Add(token())
	text := strings.Repeat("no octets ", 20)
	for b.Loop() {
		s.Conceal(text)
	}
}

func BenchmarkConcealFirst(b *testing.B) {
	text := strings.Repeat("no octets ", 20)
	secret := token()
	for b.Loop() {
		var s Secrets
		s.Add(secret)
		s.Conceal(text)
	}
}
