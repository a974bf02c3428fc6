package peer

import "strings"

// fdmKind is a kind of token of a configuration of fdm.
type fdmKind uint8

const (
	fdmWord    fdmKind = iota // a keyword, a number, or one of { } =
	fdmText                   // a string, its macros replaced
	fdmCommand                // $(command) or %(command)
	fdmMacro                  // $name or %name in front of a =
)

type fdmToken struct {
	text  string
	kind  fdmKind
	line  int
	first bool // of its line
}

// fdmLexer splits a configuration into tokens. It defines macros as it goes, since they
// are valid from their definition on.
type fdmLexer struct {
	file, text string
	at, line   int
	macros     map[string]string // by name with $ or %
	fresh      bool              // no token of this line has been read
}

func (l *fdmLexer) bad(msg string) error { return &Error{File: l.file, Line: l.line, Msg: msg} }

// tokens returns all tokens outside of ifdef blocks that do not apply.
func (l *fdmLexer) tokens() (list []fdmToken, err error) {
	l.line, l.fresh, l.macros = 1, true, make(map[string]string)
	var skipping []bool // for each open ifdef
	skip := func() bool {
		for _, s := range skipping {
			if s {
				return true
			}
		}
		return false
	}
	for {
		t, ok, err := l.next()
		switch {
		case err != nil:
			return nil, err
		case !ok && len(skipping) > 0:
			return nil, l.bad("an ifdef has no endif")
		case !ok:
			return list, nil
		case t.kind == fdmWord && (t.text == "ifdef" || t.text == "ifndef"):
			name := l.rawName()
			_, defined := l.macros[name]
			skipping = append(skipping, defined == (t.text == "ifndef"))
		case t.kind == fdmWord && t.text == "endif":
			if len(skipping) == 0 {
				return nil, l.bad("an endif without ifdef")
			}
			skipping = skipping[:len(skipping)-1]
		case skip():
		case t.kind == fdmMacro:
			if is, ok, err := l.next(); err != nil || !ok || is.text != "=" {
				return nil, &Error{File: l.file, Line: t.line, Msg: "the macro " + t.text + " is not defined"}
			}
			value, ok, err := l.next()
			if err != nil || !ok {
				return nil, &Error{File: l.file, Line: t.line, Msg: "the macro " + t.text + " has no value"}
			}
			if value.kind == fdmCommand {
				value.text = "$(" + value.text + ")"
			}
			l.macros[t.text] = value.text
		default:
			list = append(list, t)
		}
	}
}

const fdmNameRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// rawName reads the name behind ifdef, with its $ or %.
func (l *fdmLexer) rawName() string {
	rest := strings.TrimLeft(l.text[l.at:], " \t")
	l.at = len(l.text) - len(rest)
	if rest == "" {
		return ""
	}
	end := 1
	for end < len(rest) && strings.IndexByte(fdmNameRunes, rest[end]) >= 0 {
		end++
	}
	l.at += end
	return rest[:end]
}

// next returns the next token; ok is false at the end.
func (l *fdmLexer) next() (t fdmToken, ok bool, err error) {
	for l.at < len(l.text) {
		c := l.text[l.at]
		switch {
		case c == '\n':
			l.line, l.fresh = l.line+1, true
			l.at++
			continue
		case c == ' ' || c == '\t' || c == '\r' || c == ',':
			l.at++
			continue
		case c == '#':
			end := strings.IndexByte(l.text[l.at:], '\n')
			if end < 0 {
				end = len(l.text) - l.at
			}
			l.at += end
			continue
		}
		t = fdmToken{line: l.line, first: l.fresh}
		l.fresh = false
		rest := l.text[l.at:]
		switch {
		case c == '"' || c == '\'':
			t.kind = fdmText
			t.text, err = l.quoted(c)
		case strings.HasPrefix(rest, "$(") || strings.HasPrefix(rest, "%("):
			end := strings.IndexByte(rest, ')')
			if end < 0 {
				return t, false, l.bad("a command without its )")
			}
			t.kind, t.text = fdmCommand, strings.TrimSpace(rest[2:end])
			l.line += strings.Count(rest[:end], "\n")
			l.at += end + 1
		case c == '$' || c == '%':
			name := l.rawName()
			value, known := l.macros[name]
			t.kind, t.text = fdmText, value
			if cmd, ok := strings.CutPrefix(value, "$("); ok && strings.HasSuffix(cmd, ")") {
				t.kind, t.text = fdmCommand, cmd[:len(cmd)-1]
			}
			if after := strings.TrimLeft(l.text[l.at:], " \t"); !known || strings.HasPrefix(after, "=") {
				t.kind, t.text = fdmMacro, name
			}
		case strings.IndexByte("{}=()", c) >= 0:
			t.text = string(c)
			l.at++
		default:
			end := strings.IndexAny(rest, " \t\r\n,\"'{}=()#")
			if end < 0 {
				end = len(rest)
			}
			t.text = rest[:end]
			l.at += end
		}
		return t, err == nil, err
	}
	return t, false, nil
}

// quoted reads a string that begins with the quotation mark quote. Macros in ${} and %{}
// are replaced between double ones.
func (l *fdmLexer) quoted(quote byte) (string, error) {
	begin := l.line
	var b strings.Builder
	for l.at++; l.at < len(l.text); l.at++ {
		c := l.text[l.at]
		switch {
		case c == quote:
			l.at++
			return b.String(), nil
		case c == '\n':
			l.line++
			b.WriteByte(c)
		case quote == '"' && c == '\\' && l.at+1 < len(l.text):
			l.at++
			c = l.text[l.at]
			if i := strings.IndexByte("nrt", c); i >= 0 {
				c = "\n\r\t"[i]
			}
			b.WriteByte(c)
		case quote == '"' && (c == '$' || c == '%') && strings.HasPrefix(l.text[l.at+1:], "{"):
			name, _, ok := strings.Cut(l.text[l.at+2:], "}")
			value, known := l.macros[string(c)+name]
			if !ok || !known {
				return "", l.bad("a macro in a string is not defined")
			}
			b.WriteString(value)
			l.at += 2 + len(name)
		default:
			b.WriteByte(c)
		}
	}
	return "", &Error{File: l.file, Line: begin, Msg: "a quotation mark has no partner"}
}
