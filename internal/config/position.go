package config

import (
	"strconv"
	"strings"
)

// keyLines knows in which line each key of a TOML document stands. The library
// tells no positions of keys once a document is decoded.
type keyLines struct {
	lines   map[string]int
	tooDeep int // line where lists and tables are nested beyond maxDepth, or 0
}

const (
	// maxDepth is how deep values may be nested. The parser of the library
	// calls itself at each level.
	maxDepth = 100
	// maxParts is how many parts of a dotted key count; no key has more.
	maxParts = 4
)

// find returns the line of a key, or of the nearest table around it; 1 if there
// is none.
func (k keyLines) find(path ...string) int {
	for n := min(len(path), maxParts); n > 0; n-- {
		if line, ok := k.lines[strings.Join(path[:n], "\x00")]; ok {
			return line
		}
	}
	return 1
}

// record keeps the first line of a key and of the tables around it.
func (k keyLines) record(path []string, line int) {
	for n := 1; n <= min(len(path), maxParts); n++ {
		p := strings.Join(path[:n], "\x00")
		if _, ok := k.lines[p]; !ok {
			k.lines[p] = line
		}
	}
}

// scanKeys finds the keys of a valid TOML document. Of an invalid one it finds
// some: it ends with every input and has no errors of its own.
func scanKeys(src string) keyLines {
	s := scanner{src: strings.TrimPrefix(src, "\ufeff"), line: 1, out: keyLines{lines: map[string]int{}}}
	var table []string
	for {
		s.skipBlank()
		switch {
		case s.eof():
			return s.out
		case s.accept('['):
			s.accept('[')
			line := s.line
			table = s.key()
			s.out.record(table, line)
			s.skipLine()
		default:
			s.pair(table)
			s.skipLine()
		}
	}
}

type scanner struct {
	src  string
	pos  int
	line int // of pos, counted from 1
	deep int // lists and inline tables around pos
	out  keyLines
}

func (s *scanner) eof() bool { return s.pos >= len(s.src) }

// peek returns the octet at pos, 0 at the end.
func (s *scanner) peek() byte {
	if s.eof() {
		return 0
	}
	return s.src[s.pos]
}

func (s *scanner) advance(n int) {
	end := min(s.pos+n, len(s.src))
	s.line += strings.Count(s.src[s.pos:end], "\n")
	s.pos = end
}

func (s *scanner) accept(c byte) bool {
	if s.eof() || s.src[s.pos] != c {
		return false
	}
	s.advance(1)
	return true
}

// skipSpace passes spaces and tabs.
func (s *scanner) skipSpace() {
	for c := s.peek(); c == ' ' || c == '\t'; c = s.peek() {
		s.pos++
	}
}

// skipBlank passes spaces, line ends and comments.
func (s *scanner) skipBlank() {
	for !s.eof() {
		switch s.peek() {
		case ' ', '\t', '\r', '\n':
			s.advance(1)
		case '#':
			s.skipLine()
		default:
			return
		}
	}
}

// skipLine passes the rest of the line.
func (s *scanner) skipLine() {
	n := strings.IndexByte(s.src[s.pos:], '\n')
	if n < 0 {
		n = len(s.src) - s.pos - 1
	}
	s.advance(n + 1)
}

// pair passes key = value and records the key below table.
func (s *scanner) pair(table []string) {
	line := s.line
	path := append(table[:len(table):len(table)], s.key()...)
	s.out.record(path, line)
	s.skipSpace()
	if s.accept('=') {
		s.skipSpace()
		s.value(path)
	}
}

// key passes a key, dotted or not, and returns its parts.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.skipSpace()
		parts = append(parts, s.part())
		s.skipSpace()
		if !s.accept('.') {
			return parts
		}
	}
}

func (s *scanner) part() string {
	start := s.pos
	switch s.peek() {
	case '"':
		s.text('"')
		if text, err := strconv.Unquote(s.src[start:s.pos]); err == nil {
			return text
		}
		return s.src[start:s.pos]
	case '\'':
		s.text('\'')
		return strings.Trim(s.src[start:s.pos], "'")
	}
	for !s.eof() && !strings.ContainsRune(".=]} \t\r\n", rune(s.peek())) {
		s.pos++
	}
	return s.src[start:s.pos]
}

// value passes a value and records the keys of inline tables in it.
func (s *scanner) value(path []string) {
	switch c := s.peek(); c {
	case '"', '\'':
		s.text(c)
	case '[':
		s.list(']', func() { s.value(path) })
	case '{':
		s.list('}', func() { s.pair(path) })
	default:
		for !s.eof() && !strings.ContainsRune(",]}#\n", rune(s.peek())) {
			s.pos++
		}
	}
}

// list passes everything up to the closing octet; item passes one element.
func (s *scanner) list(closing byte, item func()) {
	if s.deep++; s.deep > maxDepth {
		s.out.tooDeep = s.line
		s.pos = len(s.src)
	}
	defer func() { s.deep-- }()
	s.advance(1)
	for {
		s.skipBlank()
		if s.eof() || s.accept(closing) {
			return
		}
		before := s.pos
		item()
		s.skipBlank()
		s.accept(',')
		if s.pos == before { // not TOML: get on
			s.advance(1)
		}
	}
}

// text passes a string of any of the four kinds, q being its first octet.
func (s *scanner) text(q byte) {
	closing := string(q)
	if triple := strings.Repeat(closing, 3); strings.HasPrefix(s.src[s.pos:], triple) {
		closing = triple
	}
	s.advance(len(closing))
	for !s.eof() {
		switch {
		case strings.HasPrefix(s.src[s.pos:], closing):
			s.advance(len(closing))
			for range 2 { // """ may end in up to five quotes
				if len(closing) == 3 {
					s.accept(q)
				}
			}
			return
		case q == '"' && s.peek() == '\\':
			s.advance(2)
		default:
			s.advance(1)
		}
	}
}
