package maildir

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	hexDigits    = "0123456789abcdef"
	ownerDigits  = 16
	randomOctets = 16
	// maxHost keeps a name with size and flags below the 255 octets of most
	// file systems.
	maxHost = 120
)

// newName returns a name for tmp/ that no other file in any Maildir has:
// <unix seconds>.P<pid>T<owner>R<128 random bits>.<host>.
func newName(now time.Time, owner, host string) string {
	var random [randomOctets]byte
	rand.Read(random[:]) // never fails: crypto/rand
	return fmt.Sprintf("%d.P%dT%sR%x.%s", now.Unix(), os.Getpid(), owner, random, host)
}

// published returns the name in new/ of the file name, which has this many octets.
// Mail readers use S= as the size of the file, and need no stat for it.
func published(name string, octets int64) string {
	return fmt.Sprintf("%s,S=%d", name, octets)
}

// isPublished reports whether entry, of new/ or cur/, is the file name, with or without
// what this package and mail readers append, such as ",S=12:2,RS".
func isPublished(entry, name string) bool {
	rest, ok := strings.CutPrefix(entry, name)
	return ok && (rest == "" || rest[0] == ',' || rest[0] == ':')
}

// isOwned reports whether newName made entry, of tmp/, for owner.
func isOwned(entry, owner string) bool {
	seconds, rest, ok := strings.Cut(entry, ".P")
	if !ok || !isAll(seconds, "0123456789") {
		return false
	}
	pid, rest, ok := strings.Cut(rest, "T"+owner+"R")
	if !ok || !isAll(pid, "0123456789") {
		return false
	}
	random, _, ok := strings.Cut(rest, ".")
	return ok && len(random) == 2*randomOctets && isAll(random, hexDigits)
}

// isAll reports whether s is not empty and all its octets are in set.
func isAll(s, set string) bool { return s != "" && strings.Trim(s, set) == "" }

// escapeHost returns host for a file name, as the Maildir page demands: '/' and ':' become
// \057 and \072, and so does every octet that is unusual in a host name. The
// result has at most maxHost + 3 octets.
func escapeHost(host string) string {
	var b strings.Builder
	for _, c := range []byte(host) {
		if b.Len() >= maxHost {
			break
		}
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '.', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	if b.Len() == 0 {
		return "localhost"
	}
	return b.String()
}
