package deliver

import (
	"cmp"
	"net/netip"
	"strings"
)

// Stamp makes the Received field that records how a message came here.
type Stamp struct {
	Host    string // name of this machine
	Version string // of popfetch
}

// Greatest lengths in octets of the parts of a Received field. They keep its lines well
// below the 998 octets of RFC 5322 section 2.1.1.
const (
	maxDomain  = 255
	maxComment = 128
	maxAtom    = 128
	maxMailbox = 320
)

// Received returns one trace field (RFC 5321 section 4.4) of three lines that end in
// CRLF, to be put before the message. No value of m, whoever wrote it, can add a
// field or change another part: what the grammar does not allow is replaced or left out.
func (s Stamp) Received(m Meta) string {
	var b strings.Builder
	b.WriteString("Received: from " + domain(m.Host) + " (account " + comment(m.Account) + ")\r\n")
	b.WriteString("\tby " + domain(s.Host) + " (popfetch " + comment(s.Version) + ")")
	b.WriteString(" with " + cmp.Or(atom(m.Protocol), "POP3"))
	if id := atom(m.ID); id != "" {
		b.WriteString(" id " + id)
	}
	if isMailbox(m.User) {
		b.WriteString("\r\n\tfor <" + m.User + ">; ")
	} else {
		b.WriteString(";\r\n\t")
	}
	// RFC 5322 section 3.3 (date-time)
	b.WriteString(m.Time.Format("Mon, 02 Jan 2006 15:04:05 -0700") + "\r\n")
	return b.String()
}

// domain returns s as a Domain or an address literal (RFC 5321 section 4.1.3).
func domain(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.WithZone("")
		if a.Is4() {
			return "[" + a.String() + "]"
		}
		return "[IPv6:" + a.String() + "]"
	}
	s = strings.TrimSuffix(s, ".")
	if !isDomain(s) {
		return "unknown"
	}
	return s
}

// isDomain reports whether s is a Domain, underscores allowed.
func isDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || strings.Trim(label, letters+"-_") != "" {
			return false
		}
	}
	return true
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// atext are the octets of an Atom (RFC 5322 section 3.2.3).
const atext = letters + "!#$%&'*+-/=?^_`{|}~"

// isMailbox reports whether s is a Mailbox without quotes (RFC 5321 section 4.1.2).
func isMailbox(s string) bool {
	local, at, ok := strings.Cut(s, "@")
	if !ok || len(s) > maxMailbox || !isDomain(at) {
		return false
	}
	for word := range strings.SplitSeq(local, ".") {
		if word == "" || strings.Trim(word, atext) != "" {
			return false
		}
	}
	return true
}

// atom returns s as an Atom, without the characters that it may not have.
func atom(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(atext, r) {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), maxAtom)]
}

// comment returns s as the content of a comment (RFC 5322 section 3.2.2): printable
// ASCII of at most maxComment octets, one more if the last one is escaped.
func comment(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= maxComment {
			break
		}
		switch {
		case r == '(' || r == ')' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r < ' ' || r > '~':
			b.WriteByte('?')
		default:
			b.WriteByte(byte(r))
		}
	}
	return b.String()
}
