// Package mask recognises secrets in what a server says: a server may repeat what was sent
// to it, and its words end in logs and errors.
package mask

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Secrets are what no log and no error may show: a password, a token, and what is sent in
// their place. A server may repeat them whole or cut, in another case, in base64 or in hex.
// The zero value has none. One goroutine at a time uses it.
type Secrets struct {
	// Keep keeps what In looks for from one text to the next. It takes many times the memory
	// of the secrets, so it is worth it only if every line of a session is shown.
	Keep bool

	known    []string
	accepted bool
	asked    int   // how often runs was called
	kept     *runs // of runs, nil = not made or not up to date
}

// fewTexts is how many texts a session may show before the runs are kept without Keep. A
// server can send a million lines that need an error each.
const fewTexts = 16

// secretRun is how many octets of a secret in a row give it away.
const secretRun = 6

// Add hides a secret. Until Accepted a short one is hidden too, even if ordinary words are
// hidden with it; afterwards only one of 4 octets or more.
func (s *Secrets) Add(secret string) {
	if secret != "" {
		s.known, s.kept = append(s.known, secret), nil
	}
}

// Accepted says that the login was accepted: texts are not about it any more.
func (s *Secrets) Accepted() { s.accepted, s.kept = true, nil }

// In reports whether text gives a secret away.
func (s *Secrets) In(text string) bool { return s.runs().in(text) }

// Conceal returns text as it may be shown: "***" if it gives a secret away.
func (s *Secrets) Conceal(text string) string {
	if s.In(text) {
		return "***"
	}
	return text
}

// runs returns what must not be in a text.
func (s *Secrets) runs() *runs {
	if s.kept != nil {
		return s.kept
	}
	r := &runs{}
	for _, secret := range s.known {
		n := len(secret)
		switch {
		case !s.accepted:
			// A run of 6 is too much of a secret of 7 octets or fewer: two are held back.
			r.add(secret, min(n, max(3, min(n-2, secretRun))))
		case n >= 4:
			r.add(secret, min(n, secretRun))
		}
	}
	if s.asked++; s.Keep || s.asked > fewTexts {
		s.kept = r
	}
	return r
}

// runs are pieces of secrets in all the forms in which they are looked for, as
// normal writes them.
type runs struct {
	pieces  map[string]bool
	lengths []int // of the pieces, each once
}

// add adds every piece of n octets of a secret.
func (r *runs) add(secret string, n int) {
	for _, s := range []string{secret, strings.ToLower(secret), strings.ToUpper(secret)} {
		for i := 0; i+n <= len(s); i++ {
			run := s[i : i+n]
			r.piece(run)
			r.piece(hex.EncodeToString([]byte(run)))
			for before := range 3 {
				r.piece(inBase64(run, before))
			}
		}
	}
}

// inBase64 returns the characters of base64 that depend on run alone, if before octets
// of the text precede it. RFC 4648 section 4: 3 octets are 4 characters.
func inBase64(run string, before int) string {
	if len(run) < 3 {
		// Too few characters to look for, unless the text is nothing else.
		if before > 0 {
			return ""
		}
		return base64.RawStdEncoding.EncodeToString([]byte(run))
	}
	encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + run))
	return encoded[(8*before+5)/6 : 8*(before+len(run))/6]
}

func (r *runs) piece(s string) {
	if s == "" || r.pieces[normal(s)] {
		return
	}
	if r.pieces == nil {
		r.pieces = make(map[string]bool)
	}
	r.pieces[normal(s)] = true
	for _, n := range r.lengths {
		if n == len(s) {
			return
		}
	}
	r.lengths = append(r.lengths, len(s))
}

// in reports whether a piece is in the text.
func (r *runs) in(text string) bool {
	if len(r.lengths) == 0 {
		return false
	}
	text = normal(text)
	for _, n := range r.lengths {
		for i := 0; i+n <= len(text); i++ {
			if r.pieces[text[i:i+n]] {
				return true
			}
		}
	}
	return false
}

// normal makes texts comparable: ASCII letters in lower case, and the alphabet of
// base64url (RFC 4648 section 5) as that of base64.
func normal(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case c == '-':
			b[i] = '+'
		case c == '_':
			b[i] = '/'
		}
	}
	return string(b)
}
