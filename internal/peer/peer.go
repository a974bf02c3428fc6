// Package peer reads the configuration and the seen unique-ids of other fetchers, and
// turns them into plain data of this one. It reads files through Files and nothing else:
// it runs no program, contacts no server and writes nothing.
package peer

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"popfetch/internal/config"
)

// Files is how a reader gets at files.
type Files struct {
	Home string // home directory of the user, absolute
	User string // name of the user, "" if it is not known
	// FetchmailHome is $FETCHMAILHOME, where fetchmail then keeps its files, "" if it is not set.
	FetchmailHome string
	Read          func(path string) ([]byte, error)   // the error for a missing file wraps fs.ErrNotExist
	List          func(path string) ([]string, error) // the names in a directory; an error for anything else
}

// Moved is what a fetcher had, as far as it can be carried over.
type Moved struct {
	Config   *config.Config
	Comments config.Comments
	Seen     []Seen   // of each account of Config that has any
	Remarks  []Remark // in the order of files and lines
}

// Seen is the unique-ids that an account has fetched.
type Seen struct {
	Account string
	IDs     []ID
}

// ID is a unique-id.
type ID struct {
	UID  string
	Time time.Time // when it was first seen; zero = not known
	// Guess: the list of the fetcher has another ID for the same message, and the server
	// may have this one for it.
	Guess bool
}

// Remark is something that could not be carried over.
type Remark struct {
	File string
	Line int    // 0 = the file as a whole
	What string // a setting or an account
	Why  string // with what to do, if anything
}

// String is one line.
func (r Remark) String() string {
	return place(r.File, r.Line) + ": " + r.What + ": " + r.Why
}

// Error is why a file cannot be read as what it should be.
type Error struct {
	File string
	Line int // 0 = the file as a whole
	Msg  string
	Err  error // may be nil
}

func (e *Error) Error() string { return place(e.File, e.Line) + ": " + e.Msg }

func (e *Error) Unwrap() error { return e.Err }

func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return file + ":" + strconv.Itoa(line)
}

// seedHint is what to do about ids that are not known.
func seedHint(account string) string {
	return fmt.Sprintf("what is on the server would be fetched again; popfetch state seed %s marks it as delivered", account)
}

// move is a Moved in the making.
type move struct {
	Files
	moved *Moved
	said  map[Remark]bool
}

func newMove(f Files, c *config.Config) *move {
	return &move{f, &Moved{Config: c, Comments: config.Comments{}}, make(map[Remark]bool)}
}

// remark notes a thing once.
func (m *move) remark(file string, line int, what, why string) {
	r := Remark{file, line, what, why}
	if !m.said[r] {
		m.said[r] = true
		m.moved.Remarks = append(m.moved.Remarks, r)
	}
}

// add adds an account that was read at a place.
func (m *move) add(a *config.Account, file string, line int) {
	m.moved.Config.Accounts = append(m.moved.Config.Accounts, a)
	m.moved.Comments[a.Name] = "from " + place(file, line)
}

// name returns a name for an account that popfetch allows and that is not taken.
func (m *move) name(wanted string) string {
	clean := strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("._-+@", r) {
			return r
		}
		return '-'
	}, wanted), "-.")
	clean = cmp.Or(clean[:min(len(clean), 60)], "mail")
	taken := func(name string) bool {
		return slices.ContainsFunc(m.moved.Config.Accounts, func(a *config.Account) bool { return a.Name == name })
	}
	name := clean
	for n := 2; taken(name); n++ {
		name = clean + "-" + strconv.Itoa(n)
	}
	return name
}

// expand returns the path that a leading ~ or $HOME means, made absolute below the
// home directory.
func (m *move) expand(p string) string {
	for _, prefix := range []string{"~", "$HOME", "${HOME}"} {
		if rest, ok := strings.CutPrefix(p, prefix); ok && (rest == "" || rest[0] == '/') {
			return path.Clean(m.Home + rest)
		}
	}
	if filepath.IsAbs(p) {
		return path.Clean(p)
	}
	return filepath.Join(m.Home, p)
}

// maildir is where the mail of an account goes that was delivered to what popfetch cannot
// deliver to.
func (m *move) maildir(account string) string { return filepath.Join(m.Home, "Mail", account) }

// Command returns the argument list for a command line that was given to a shell: its
// words if it does not need one.
func Command(line string) []string {
	if words, ok := words(line); ok && len(words) > 0 {
		return words
	}
	return []string{"sh", "-c", line}
}

// words splits a command line at blanks, as a shell does. ok is false if only a shell
// knows what it means.
func words(line string) (list []string, ok bool) {
	var word strings.Builder
	inWord, quote := false, rune(0)
	for _, r := range line {
		switch {
		case quote == r:
			quote = 0
		case quote == '\'':
			word.WriteRune(r)
		case strings.ContainsRune("$`\\", r):
			return nil, false
		case quote == '"':
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			if inWord {
				list = append(list, word.String())
				word.Reset()
				inWord = false
			}
		case strings.ContainsRune("|&;<>()*?[]{}~#!\n", r):
			return nil, false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		list = append(list, word.String())
	}
	if len(list) > 0 && strings.Contains(list[0], "=") { // a variable for the command
		return nil, false
	}
	return list, quote == 0
}

// mda returns the argument list for a command line of a shell that delivers a message.
// sender is what it has in place of the sender's address.
func mda(line, sender string) []string {
	if words, ok := words(line); ok && len(words) > 0 {
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], sender, "{sender}")
		}
		return words
	}
	// The shell gets the address as a variable: in the script it could be a command.
	const variable = "$POPFETCH_SENDER"
	for _, quoted := range []string{"'" + sender + "'", `"` + sender + `"`} {
		line = strings.ReplaceAll(line, quoted, `"`+variable+`"`)
	}
	return []string{"sh", "-c", strings.ReplaceAll(line, sender, variable)}
}

// unixTime returns a time from a file, zero for one that makes no sense.
func unixTime(seconds int64) time.Time {
	if seconds <= 0 || seconds > 1<<36 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

func joinPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
