package peer

import (
	"strconv"
	"strings"
)

// token is a word of a configuration of fetchmail.
type token struct {
	text   string
	quoted bool // never a keyword
	line   int
}

// fetchmailTokens splits a configuration into words.
func fetchmailTokens(file, text string) (list []token, err error) {
	const blanks = " \t\r\n,:;"
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case strings.IndexByte(blanks, c) >= 0:
			if c == '\n' {
				line++
			}
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '=':
			list = append(list, token{"=", false, line})
			i++
		case c == '"' || c == '\'':
			end := strings.IndexByte(text[i+1:], c) // quotes cannot be escaped
			if end < 0 || strings.Contains(text[i+1:i+1+end], "\n") {
				return nil, &Error{File: file, Line: line, Msg: "a quotation mark has no partner"}
			}
			list = append(list, token{unescape(text[i+1 : i+1+end]), true, line})
			i += end + 2
		default:
			end := i
			for end < len(text) && strings.IndexByte(blanks+"=", text[end]) < 0 {
				end++
			}
			list = append(list, token{unescape(text[i:end]), false, line})
			i = end
		}
	}
	return list, nil
}

// unescape replaces the escapes of C: \n, \x22, \042 (octal) and \34 (decimal).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		base, digits := 0, ""
		switch c := s[i]; {
		case c == 'x':
			base, digits = 16, "0123456789abcdefABCDEF"
			i++
		case c == '0':
			base, digits = 8, "01234567"
		case c >= '1' && c <= '9':
			base, digits = 10, "0123456789"
		default:
			if at := strings.IndexByte("ntbr", c); at >= 0 {
				c = "\n\t\b\r"[at]
			}
			b.WriteByte(c)
			continue
		}
		end := i
		for end < len(s) && end < i+3 && strings.IndexByte(digits, s[end]) >= 0 {
			end++
		}
		n, _ := strconv.ParseUint(s[i:end], base, 16)
		b.WriteByte(byte(n))
		i = end - 1
	}
	return b.String()
}
