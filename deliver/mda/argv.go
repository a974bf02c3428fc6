package mda

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"popfetch/deliver"
	"popfetch/internal/spool"
)

// values are what a program learns about a message, by placeholders and environment. After
// a check without error none has control characters.
type values struct {
	account, user, sender, recipient, uid, host, id string
	size                                            int64
	attempt                                         int
}

func newValues(m deliver.Meta, s *spool.Spool) values {
	v := values{
		account: m.Account, user: m.User, host: m.Host, id: m.ID,
		uid: escapeUID(m.UID), size: s.Size(), attempt: m.Attempt,
	}
	envelope := deliver.NewEnvelope(m, s.Head())
	v.sender, v.recipient = envelope.Sender, envelope.Recipient
	return v
}

// placeholder returns the value of {name}.
func (v values) placeholder(name string) (value string, ok bool) {
	switch name {
	case "account":
		return v.account, true
	case "user":
		return v.user, true
	case "sender":
		return v.sender, true
	case "recipient":
		return v.recipient, true
	case "uid":
		return v.uid, true
	case "size":
		return strconv.FormatInt(v.size, 10), true
	}
	return "", false
}

// check refuses control characters: NUL would end a value, and a line end would begin a new
// line in a log.
func (v values) check() error {
	for _, value := range []struct{ name, text string }{
		{"account name", v.account}, {"user name", v.user}, {"host name", v.host}, {"delivery id", v.id},
	} {
		if strings.ContainsFunc(value.text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("control character in the %s %.256q", value.name, value.text)
		}
	}
	return nil
}

// escapeUID returns a unique-id, which may have any octets, in printable ASCII that is
// neither an option nor a path: all other octets, and the percent sign, become %XX.
func escapeUID(uid string) string {
	var b strings.Builder
	for i, c := range []byte(uid) {
		if c <= ' ' || c >= 0x7f || c == '%' || c == '/' || c == '-' && i == 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// braces matches a {word}. Other braces have no meaning.
func braces() *regexp.Regexp { return regexp.MustCompile(`\{[a-z_]+\}`) }

// Check returns an error if argv is not a usable argument vector. An element may contain the
// placeholders {account}, {user}, {sender}, {recipient}, {uid} and {size}. Any other
// lower-case word in braces is an error, and so is a placeholder in the name of the program
// or in the script of a shell.
func Check(argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return errors.New("no program is named")
	}
	for i, arg := range argv {
		if strings.ContainsRune(arg, 0) {
			return fmt.Errorf("%.256q has a NUL in it", arg)
		}
		found := braces().FindAllString(arg, -1)
		if i == 0 && len(found) > 0 {
			return fmt.Errorf("the program itself may not be a placeholder: %.256q", arg)
		}
		unknown := slices.IndexFunc(found, func(word string) bool {
			_, ok := values{}.placeholder(strings.Trim(word, "{}"))
			return !ok
		})
		if unknown >= 0 {
			return fmt.Errorf("unknown placeholder %.64s in %.256q: there are {account}, {user}, {sender}, {recipient}, {uid} and {size}",
				found[unknown], arg)
		}
	}
	if script := shellScript(argv); braces().MatchString(script) {
		return fmt.Errorf("a placeholder in the script of a shell: %.256q: whoever sends mail could write commands there;"+
			" pass it as an argument after the script, or read it from the environment", script)
	}
	return nil
}

// shellScript returns the argument of argv that a shell runs as a script, or "". Other
// programs may come before the shell, as in env sh -c.
func shellScript(argv []string) string {
	shells := []string{"sh", "ash", "bash", "dash", "ksh", "mksh", "yash", "zsh", "fish", "csh", "tcsh", "eval"}
	shell, script := false, false
	for i, arg := range argv {
		option := strings.HasPrefix(arg, "-") || strings.HasPrefix(arg, "+") || shell && (argv[i-1] == "-o" || argv[i-1] == "+o")
		switch {
		case script && !option:
			return arg
		case shell && strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && strings.Contains(arg, "c"):
			script = true
		case !option:
			shell = slices.Contains(shells, path.Base(arg))
		}
	}
	return ""
}

// expand returns argv with the values of one message. It refuses an element that begins with
// a hyphen only because of a value: a value must not become an option.
func expand(argv []string, v values) ([]string, error) {
	if err := Check(argv); err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	out := make([]string, len(argv))
	for i, arg := range argv {
		out[i] = braces().ReplaceAllStringFunc(arg, func(word string) string {
			value, _ := v.placeholder(strings.Trim(word, "{}"))
			return value
		})
		if strings.HasPrefix(out[i], "-") && !strings.HasPrefix(arg, "-") {
			return nil, fmt.Errorf("argument %q would be the option %.256q", arg, out[i])
		}
	}
	return out, nil
}
