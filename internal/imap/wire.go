package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"popfetch/internal/mask"
)

const (
	// maxLine is the length in octets of the longest line of a response, literals aside.
	maxLine = 64 << 10
	// maxLiteral is the length of the longest literal.
	maxLiteral = 256 << 10
	// maxResponses is how many octets a server may send in response to one command.
	maxResponses = 64 << 20
	maxDepth     = 8 // of lists in lists
)

// response is one response of the server.
type response struct {
	tag    string // "*", "+" or that of a command
	status string // OK, NO, BAD, BYE or PREAUTH; "" = data
	code   string // response code of a status, in upper case; "" = none
	args   string // its arguments
	text   string // of a status or continuation
	items  []item // of data

	secrets *mask.Secrets // of the client: no error shows them
}

// shown returns the response as an error may show it.
func (r *response) shown() string {
	parts := []string{r.tag, r.status}
	if r.code != "" {
		parts = append(parts, "["+r.code+"]")
	}
	for _, i := range r.items {
		parts = append(parts, i.text)
	}
	line := strings.Join(strings.Fields(strings.Join(append(parts, r.text), " ")), " ")
	return quote(r.secrets.Conceal(line))
}

// refusal returns the *Refusal of a tagged response, nil if it is OK.
func (r *response) refusal(command string) error {
	switch r.status {
	case "OK":
		return nil
	case "NO", "BAD":
		return &Refusal{Command: command, Bad: r.status == "BAD", Code: r.secrets.Conceal(r.code), Text: r.secrets.Conceal(r.text)}
	}
	return r.unexpected(command)
}

// unexpected returns the error for a response that cannot follow a command.
func (r *response) unexpected(command string) error {
	return &ProtocolError{command, "the server said " + r.shown()}
}

// is reports whether item n of the data is a word, in any case.
func (r *response) is(n int, word string) bool {
	return len(r.items) > n && r.items[n].list == nil && strings.EqualFold(r.items[n].text, word)
}

// item is an atom, a string or a list.
type item struct {
	text string
	list []item // not nil = a list
}

// response reads the next response.
func (c *Client) response() (*response, error) {
	if c.failed != nil {
		return nil, c.failed
	}
	c.setDeadline(c.conn.SetReadDeadline, c.waiting)
	line, literals, err := c.logicalLine()
	if err != nil {
		return nil, c.fail(err)
	}
	r, err := parseResponse(line, literals)
	if err != nil {
		return nil, c.fail(&ProtocolError{"response", fmt.Sprintf("%v in %s", err, quote(c.secrets.Conceal(string(line))))})
	}
	r.secrets = &c.secrets
	if len(literals) == 0 && c.opts.Log.Enabled(context.Background(), slog.LevelDebug) {
		c.opts.Log.Debug("imap", "server", c.secrets.Conceal(string(line)))
	}
	c.note(r)
	return r, nil
}

// note keeps what matters beyond one command.
func (c *Client) note(r *response) {
	switch {
	case r.code == "CAPABILITY" && r.tag != "*": // behind the login
		c.caps = strings.Fields(strings.ToUpper(r.args))
	case r.tag == "*" && r.is(0, "CAPABILITY"):
		c.caps = nil
		for _, i := range r.items[1:] {
			c.caps = append(c.caps, strings.ToUpper(i.text))
		}
	case r.tag == "*" && r.status == "BYE":
		c.bye = r.shown()
	}
}

// logicalLine reads a line with its literals. Each of them is a NUL in the line.
func (c *Client) logicalLine() (line []byte, literals [][]byte, err error) {
	for {
		part, err := c.in.ReadSlice('\n')
		if c.read += int64(len(part)); c.read > maxResponses {
			return nil, nil, &ProtocolError{"response", "it is endless"}
		}
		if err != nil {
			if len(part) >= maxLine {
				err = &ProtocolError{"response", "a line is too long"}
			}
			return nil, nil, err
		}
		part = bytes.TrimSuffix(bytes.TrimSuffix(part, []byte("\n")), []byte("\r"))
		if bytes.IndexByte(part, 0) >= 0 || len(line)+len(part) > maxLine {
			return nil, nil, &ProtocolError{"response", "a line is too long or holds a NUL"}
		}
		size, ok := literalAt(part)
		if !ok {
			return append(line, part...), literals, nil
		}
		if size > maxLiteral {
			return nil, nil, &ProtocolError{"response", "a literal is too long"}
		}
		line = append(append(line, part[:bytes.LastIndexByte(part, '{')]...), 0)
		literal := make([]byte, size)
		c.setDeadline(c.conn.SetReadDeadline, c.waiting)
		if _, err := io.ReadFull(c.in, literal); err != nil {
			return nil, nil, err
		}
		c.read += size
		literals = append(literals, literal)
	}
}

// literalAt returns the length of the literal that a line announces at its end.
func literalAt(line []byte) (int64, bool) {
	open := bytes.LastIndexByte(line, '{')
	if open < 0 || line[len(line)-1] != '}' {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(line[open+1:len(line)-1]), "+"), 10, 62)
	return int64(n), err == nil
}

// parseResponse parses a line of logicalLine.
func parseResponse(line []byte, literals [][]byte) (*response, error) {
	first, rest, _ := strings.Cut(string(line), " ")
	r := &response{tag: first}
	if first == "+" {
		r.text = rest
		return r, nil
	}
	word, after, _ := strings.Cut(rest, " ")
	switch status := strings.ToUpper(word); status {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		r.status, r.text = status, after
		if code, ok := strings.CutPrefix(after, "["); ok {
			if code, text, ok := strings.Cut(code, "]"); ok {
				name, args, _ := strings.Cut(code, " ")
				r.code, r.args, r.text = strings.ToUpper(name), args, strings.TrimPrefix(text, " ")
			}
		}
		return r, nil
	}
	if first != "*" { // not IMAP
		r.text = rest
		return r, nil
	}
	p := parser{rest, literals}
	for {
		p.space()
		if p.rest == "" {
			return r, nil
		}
		i, err := p.item(0)
		if err != nil {
			return nil, err
		}
		r.items = append(r.items, i)
	}
}

// parser reads the items of data. RFC 9051 section 9
type parser struct {
	rest     string
	literals [][]byte
}

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " ") }

var (
	errDepth  = errors.New("too many lists in lists")
	errSyntax = errors.New("bad syntax")
)

func (p *parser) item(depth int) (item, error) {
	switch {
	case depth > maxDepth:
		return item{}, errDepth
	case p.rest[0] == '(':
		return p.listItem(depth)
	case p.rest[0] == '"':
		return p.quoted()
	case p.rest[0] == 0:
		p.rest = p.rest[1:]
		i := item{text: string(p.literals[0])}
		p.literals = p.literals[1:]
		return i, nil
	case p.rest[0] == ')':
		return item{}, errSyntax
	}
	end, brackets := 0, 0 // BODY[HEADER.FIELDS (X)]<0> is one atom
	for ; end < len(p.rest); end++ {
		ch := p.rest[end]
		if ch == '[' {
			brackets++
		} else if ch == ']' && brackets > 0 {
			brackets--
		} else if brackets == 0 && strings.IndexByte(" ()\"\x00", ch) >= 0 {
			break
		}
	}
	i := item{text: p.rest[:end]}
	p.rest = p.rest[end:]
	return i, nil
}

func (p *parser) listItem(depth int) (item, error) {
	p.rest = p.rest[1:]
	i := item{list: []item{}}
	for {
		p.space()
		if p.rest == "" {
			return i, errSyntax
		}
		if p.rest[0] == ')' {
			p.rest = p.rest[1:]
			return i, nil
		}
		inner, err := p.item(depth + 1)
		if err != nil {
			return i, err
		}
		i.list = append(i.list, inner)
	}
}

func (p *parser) quoted() (item, error) {
	var b strings.Builder
	for n := 1; n < len(p.rest); n++ {
		switch ch := p.rest[n]; {
		case ch == '"':
			p.rest = p.rest[n+1:]
			return item{text: b.String()}, nil
		case ch == '\\' && n+1 < len(p.rest):
			n++
			b.WriteByte(p.rest[n])
		default:
			b.WriteByte(ch)
		}
	}
	return item{}, errSyntax
}

// number returns an item as a number, 0 if it is none.
func (i item) number() uint32 {
	n, err := strconv.ParseUint(i.text, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
