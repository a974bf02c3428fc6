package secret

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"popfetch/internal/config"
)

// maxNetrc bounds a netrc file, in octets.
const maxNetrc = 1 << 20

// fromNetrc looks for an entry in $NETRC or ~/.netrc. It returns the path of the
// file, and "" for the password if there is no file or no entry.
func fromNetrc(host, user string) (path, password string, err error) {
	path = os.Getenv("NETRC")
	if path == "" {
		home, err := config.HomeDir()
		if err != nil {
			return "~/.netrc", "", nil
		}
		path = filepath.Join(home, ".netrc")
	}
	source := "netrc " + path
	data, fi, err := config.ReadFile(path, maxNetrc)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, "", nil
	case err != nil:
		return path, "", &Error{Source: source, Msg: config.WithoutPath(err).Error(), Err: err}
	}
	password = searchNetrc(strings.TrimPrefix(string(data), utf8Mark), host, user)
	if password == "" {
		return path, "", nil
	}
	if err := config.CheckPrivate(path, fi); err != nil {
		return path, "", unsafeFile(source, path, err)
	}
	if err := check(password); err != nil {
		return path, "", &Error{Source: source, Msg: err.Error(), Err: err}
	}
	return path, password, nil
}

// netrcEntry is one machine or default.
type netrcEntry struct {
	machine         string // "" for default
	login, password string
}

// searchNetrc returns the password of the first entry for host and user, or of
// the default entry. An entry without a login is for every user. There is no
// single definition of netrc: unknown words are skipped.
func searchNetrc(text, host, user string) string {
	for _, e := range parseNetrc(text) {
		if (e.machine == "" || strings.EqualFold(e.machine, host)) &&
			(e.login == "" || e.login == user) && e.password != "" {
			return e.password
		}
	}
	return ""
}

// parseNetrc returns the entries: those for a machine, then the default ones.
func parseNetrc(text string) []netrcEntry {
	var machines, defaults []netrcEntry
	var cur *netrcEntry
	z := netrcLexer{text}
	for {
		word, ok := z.next()
		if !ok {
			return append(machines, defaults...)
		}
		switch {
		case strings.HasPrefix(word, "#"):
			z.skipLine()
		case word == "machine":
			name, _ := z.next()
			if name == "" { // would look like default
				cur = nil
				continue
			}
			machines = append(machines, netrcEntry{machine: name})
			cur = &machines[len(machines)-1]
		case word == "default":
			defaults = append(defaults, netrcEntry{})
			cur = &defaults[len(defaults)-1]
		case word == "macdef":
			z.skipMacro()
		case word == "login" || word == "password" || word == "account":
			value, _ := z.next()
			if cur != nil && word == "login" {
				cur.login = value
			}
			if cur != nil && word == "password" {
				cur.password = value
			}
		}
	}
}

type netrcLexer struct{ rest string }

// next returns the next word, or a text in double quotes, where a backslash takes
// the next character literally. It returns false at the end of the file.
func (z *netrcLexer) next() (string, bool) {
	z.rest = strings.TrimLeft(z.rest, " \t\r\n")
	if z.rest == "" {
		return "", false
	}
	if z.rest[0] != '"' {
		n := strings.IndexAny(z.rest, " \t\r\n")
		if n < 0 {
			n = len(z.rest)
		}
		word := z.rest[:n]
		z.rest = z.rest[n:]
		return word, true
	}
	var b strings.Builder
	i := 1
	for ; i < len(z.rest) && z.rest[i] != '"'; i++ {
		if z.rest[i] == '\\' && i+1 < len(z.rest) {
			i++
		}
		b.WriteByte(z.rest[i])
	}
	z.rest = z.rest[min(i+1, len(z.rest)):]
	return b.String(), true
}

// skipLine skips the rest of the line.
func (z *netrcLexer) skipLine() {
	_, z.rest, _ = strings.Cut(z.rest, "\n")
}

// skipMacro skips a macro definition, which ends at an empty line.
func (z *netrcLexer) skipMacro() {
	z.skipLine()
	for z.rest != "" {
		var line string
		if line, z.rest, _ = strings.Cut(z.rest, "\n"); strings.TrimSpace(line) == "" {
			return
		}
	}
}
