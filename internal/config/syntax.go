package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// maxDepth bounds how deep lists and tables are nested: the library calls itself
// for each level, and Go ends a program whose stack grows too far.
const maxDepth = 1000

// parse decodes TOML. An error says where the syntax is wrong and what to write
// instead. It repeats nothing that is in a value, which may be a password.
func parse(text string) (d *document, syntax *Error) {
	if line := tooDeep(text); line > 0 {
		return nil, &Error{Line: line, Msg: "not TOML: lists and tables are nested too deeply"}
	}
	defer func() {
		if r := recover(); r != nil { // the library panics if it finds its own state wrong
			d, syntax = nil, &Error{Line: 1, Msg: "the TOML library cannot read this file", Err: fmt.Errorf("panic in the parser")}
		}
	}()
	d, err := decode(text)
	if err == nil {
		return d, nil
	}
	pe, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		return nil, &Error{Line: 1, Msg: "not TOML: " + redact(err.Error())}
	}
	e := &Error{Line: max(1, pe.Position.Line)}
	if program := foreign(text); program != "" {
		e.Msg = "this looks like a configuration of " + program + ", not of popfetch"
		e.Hint = "popfetch reads TOML: config.example.toml is one to begin with, popfetch.toml(5) explains every key"
		return nil, e
	}
	e.Msg, e.Hint = diagnose(lineOf(text, e.Line), pe.Message)
	if pe.Position.Col > 0 {
		e.Msg = fmt.Sprintf("column %d: %s", pe.Position.Col, e.Msg)
	}
	return nil, e
}

// tooDeep returns the line where more than maxDepth brackets are open, 0 if there
// is none. It counts brackets in strings and comments, too.
func tooDeep(text string) int {
	depth := 0
	for i, c := range []byte(text) {
		switch c {
		case '[', '{':
			if depth++; depth > maxDepth {
				return 1 + strings.Count(text[:i], "\n")
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return 0
}

// lineOf returns a line of text, counted from 1.
func lineOf(text string, n int) string {
	for line := range strings.SplitSeq(text, "\n") {
		if n--; n == 0 {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// foreign names the program whose configuration a text that is not TOML seems to
// be, "" if there is none.
func foreign(text string) string {
	if regexp.MustCompile(`(?m)^\s*\[(account\b|defaults\])`).MatchString(text) {
		return ""
	}
	for _, x := range []struct{ program, line string }{
		{"getmail", `\[(retriever|destination)\]`},
		{"fdm", `(action|match)\s+["\w]|account\s+"[^"]*"\s+(pop3|imap)`},
		{"Thunderbird", `user_pref\(`},
		{"fetchmail", `(poll|skip)\s+[^=\s]|server\s+\S+\s+(proto|protocol|user|with|port)\b|set\s+(daemon|logfile|syslog|postmaster|idfile)\b`},
		{"mpop", `(account|host|user|delivery|tls|auth|passwordeval|keep|uidls_file)\s+[^=\s]`},
	} {
		if regexp.MustCompile(`(?m)^\s*(?:` + x.line + `)`).MatchString(text) {
			return x.program
		}
	}
	return ""
}

var (
	curlyQuotes = "“”„‟‘’‚‛«»″"
	tableLine   = regexp.MustCompile(`^\[\s*account\s*[.\s]\s*([^\]"']+?)\s*\]`)
	pairLine    = regexp.MustCompile(`^("[^"]*"|'[^']*'|[\w.-]+)\s*=\s*(.*)$`)
	keyLine     = regexp.MustCompile(`^([a-z_]+)(\s*:\s*|\s+)\S`)
)

// diagnose explains what is wrong with a line: what it is and what to write
// instead. said is the message of the library.
func diagnose(line, said string) (msg, hint string) {
	if strings.HasPrefix(said, "Key '") { // defined twice: the syntax is right
		return "not TOML: " + redact(said), ""
	}
	if m := tableLine.FindStringSubmatch(line); m != nil {
		return "not TOML: the name of the account needs quotes", fmt.Sprintf("write [account.%q]", m[1])
	}
	pair := pairLine.FindStringSubmatch(line)
	key, value := "key", ""
	if pair != nil {
		value = pair[2]
		if isKey(pair[1]) {
			key = pair[1]
		}
	}
	switch {
	case strings.ContainsAny(line, curlyQuotes):
		return "not TOML: curly quotes", fmt.Sprintf(`write straight quotation marks: %s = "..."`, key)
	case strings.Contains(said, "escape") || strings.Contains(said, "hexadecimal"):
		return "not TOML: in double quotes a backslash begins an escape", fmt.Sprintf(`write the text in single quotes: %s = 'DOMAIN\name'`, key)
	case pair == nil:
		if m := keyLine.FindStringSubmatch(line); m != nil && isKey(m[1]) {
			return "not TOML: no = after the key", fmt.Sprintf(`write %s = "..."`, m[1])
		}
	case strings.Contains(said, "cannot contain newlines") || strings.Contains(said, "unexpected EOF; expected '\"'"):
		return "not TOML: a text without its closing quote", fmt.Sprintf(`write %s = "..."`, key)
	case value == "" || value[0] == '#':
		return "not TOML: no value after the =", fmt.Sprintf(`write %s = "..."`, key)
	case value[0] == '[' && !strings.ContainsAny(value, `"'{`):
		return "not TOML: a list of texts without quotes", fmt.Sprintf(`write %s = ["...", "..."]`, key)
	case !strings.ContainsRune(`"'[{`, rune(value[0])):
		return "not TOML: a text without quotes", fmt.Sprintf(`write %s = "..."`, key)
	}
	return "not TOML: " + redact(said), ""
}

// isKey reports whether a word is the name of a key. Another word may be a part of
// a password that has got out of its quotes.
func isKey(word string) bool {
	return slices.Contains(names(fieldsOf(reflect.TypeFor[Account]())), word) || slices.Contains(names(fieldsOf(reflect.TypeFor[Config]())), word)
}

// quotedRune matches one character in the messages of the library.
var quotedRune = regexp.MustCompile(`'(\\[a-z'"\\][0-9a-fA-F]*|[^\\'])'`)

// redact takes out of a message of the TOML library what it repeats from the
// file, since that may be a part of a password: numbers, and quoted texts with a
// letter or a digit. The names of keys stay.
func redact(msg string) string {
	if strings.HasPrefix(msg, "Key '") {
		return msg
	}
	if _, after, ok := strings.Cut(msg, " is out of "); ok {
		return "a number is out of " + after
	}
	var b strings.Builder
	for msg != "" {
		i := strings.IndexAny(msg, `'"`)
		if i < 0 {
			break
		}
		b.WriteString(msg[:i])
		msg = msg[i:]
		quoted, words := quotedRune.FindString(msg), "a character"
		if !strings.HasPrefix(msg, quoted) || quoted == "" {
			// Up to the last quote of the kind: the text may contain some itself.
			quoted, words = msg[:strings.LastIndexByte(msg, msg[0])+1], "a text"
		}
		switch {
		case quoted == `'\n'`:
			b.WriteString("the end of the line")
		case strings.ContainsFunc(quoted, isWordChar):
			b.WriteString(words)
		default:
			b.WriteString(quoted)
		}
		msg = msg[len(quoted):]
	}
	return b.String() + msg
}

func isWordChar(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r > unicode.MaxASCII
}
