package mask

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// FuzzIn compares the index with a search for one piece after the other.
func FuzzIn(f *testing.F) {
	for _, secret := range []string{"", "a", "ab", "abc", "Abcd", "abcde", "Correct-Horse", "??>>??_-", "\x00\xff\u0130stanbul\u0131", "aaaaaaaaaaaa", "\x800"} {
		for _, form := range forms(secret) {
			for cut := range 4 {
				f.Add(secret, "Battery", "-ERR "+form[min(cut, len(form)):]+" it is", cut > 1, byte(cut))
			}
		}
	}
	f.Fuzz(func(t *testing.T, first, second, text string, accepted bool, which byte) {
		var s Secrets
		s.Add(first)
		if which&1 != 0 {
			s.In(text) // so that what follows has to bring the index up to date
		}
		s.Add(second)
		if accepted {
			s.Accepted()
		}
		texts := []string{text, first + text, text + second[:len(second)/2]}
		for _, form := range forms(first) {
			n := int(which) % (len(form) + 1)
			texts = append(texts, form[n:], text+form[:n]+text)
		}
		for _, text := range texts {
			if got, want := s.In(text), inSlowly(&s, text); got != want {
				t.Errorf("%q and %q in %q (accepted: %v): %v, want %v", first, second, text, accepted, got, want)
			}
		}
	})
}

// forms returns how a server may write what it has been sent.
func forms(s string) []string {
	b := []byte(s)
	return []string{
		s, strings.ToUpper(s), strings.ToLower(s), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
		base64.StdEncoding.EncodeToString(b), base64.URLEncoding.EncodeToString([]byte("x" + s)), b64("\x00x" + strings.ToUpper(s)),
	}
}

// inSlowly is In by its definition.
func inSlowly(s *Secrets, text string) bool {
	text = normal(text)
	for _, secret := range s.known {
		n := s.run(secret)
		if n == 0 {
			continue
		}
		for _, cased := range []string{secret, strings.ToLower(secret), strings.ToUpper(secret)} {
			for i := 0; i+n <= len(cased); i++ {
				run := cased[i : i+n]
				pieces := []string{run, hex.EncodeToString([]byte(run))}
				for before := range 3 {
					pieces = append(pieces, inBase64(run, before))
				}
				for _, piece := range pieces {
					if piece != "" && strings.Contains(text, normal(piece)) {
						return true
					}
				}
			}
		}
	}
	return false
}

// inBase64 returns the characters of base64 that depend on run alone, if before octets
// of the text precede it.
func inBase64(run string, before int) string {
	if len(run) < 3 {
		if before > 0 {
			return ""
		}
		return base64.RawStdEncoding.EncodeToString([]byte(run))
	}
	encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + run))
	return encoded[(8*before+5)/6 : 8*(before+len(run))/6]
}
