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
)

// values is what a program is told of a message. Each is free of control
// characters where check has found no fault.
type values struct {
	account, user, sender, recipient, uid, host, id string
	size                                            int64
	attempt                                         int
}

func newValues(m deliver.Meta, s *spool) values {
	v := values{
		account: m.Account, user: m.User, host: m.Host, id: m.ID,
		uid: escapeUID(m.UID), size: s.size, attempt: m.Attempt,
	}
	envelope := deliver.NewEnvelope(m, s.head())
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

// check refuses what could not be handed over in one piece, or end a line in
// somebody's log.
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

// escapeUID returns a unique-id, which may be any octets of the server's choice, in
// printable ASCII that is neither an option nor a path: all else is %XX, and
// so is the percent sign.
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

// braces returns what finds {word}; other braces stand for themselves.
func braces() *regexp.Regexp { return regexp.MustCompile(`\{[a-z_]+\}`) }

// Check says what is wrong with an argument vector, or nil. An element may hold the
// placeholders {account}, {user}, {sender}, {recipient}, {uid} and {size}; any other
// word of small letters in braces is an error, and so are a program
// that depends on the message and a placeholder in the script of a shell.
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
			" pass it as an argument behind the script, or read it from the environment", script)
	}
	return nil
}

// shellScript returns the argument that argv has a shell run as a script, or "". A
// shell may stand behind other programs, as in env sh -c.
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

// expand returns argv with the values of one message. A value never becomes an
// option: an element that begins with a hyphen only because of its value is refused.
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
