// Package mask recognises secrets in what a server says: a server may repeat what was sent
// to it, and its words end in logs and errors.
package mask

// Secrets are what no log and no error may show: a password, a token, and what is sent in
// their place. A server may repeat them whole or cut, in another case, in base64 or in hex.
// The zero value has none. One goroutine at a time uses it.
//
// The first text that is looked at costs time and memory in proportion to the secrets, about
// 140 octets for each of theirs; each other text costs time in proportion to its own length.
type Secrets struct {
	known    []string
	accepted bool
	made     *index // of all pieces; nil = not made or not up to date
}

// secretRun is how many octets of a secret in a row give it away.
const secretRun = 6

// Add hides a secret. Until Accepted a short one is hidden too, even if ordinary words are
// hidden with it; afterwards only one of 4 octets or more.
func (s *Secrets) Add(secret string) {
	if secret != "" {
		s.known, s.made = append(s.known, secret), nil
	}
}

// Accepted says that the login was accepted: texts are not about it any more.
func (s *Secrets) Accepted() { s.accepted, s.made = true, nil }

// In reports whether text gives a secret away.
func (s *Secrets) In(text string) bool { return len(s.known) > 0 && s.index().in(text) }

// Conceal returns text as it may be shown: "***" if it gives a secret away.
func (s *Secrets) Conceal(text string) string {
	if s.In(text) {
		return "***"
	}
	return text
}

// index returns what must not be in a text.
func (s *Secrets) index() *index {
	if s.made != nil {
		return s.made
	}
	s.made = newIndex()
	for _, secret := range s.known {
		if n := s.run(secret); n > 0 {
			s.made.addSecret(secret, n)
		}
	}
	return s.made
}

// run returns how many octets of a secret in a row give it away, 0 if none do.
func (s *Secrets) run(secret string) int {
	switch n := len(secret); {
	case !s.accepted:
		// A run of 6 is too much of a secret of 7 octets or fewer: two are held back.
		return min(n, max(3, min(n-2, secretRun)))
	case n >= 4:
		return min(n, secretRun)
	}
	return 0
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
