package pop3

import (
	"bufio"
	"bytes"
	"io"
)

// dotReader reads a multi-line reply to its end and takes the byte-stuffing
// away. RFC 1939 section 3.
//
// The end is CRLF "." CRLF and nothing else, or "." CRLF at the very start. A
// bare LF, a bare CR, a NUL and a line of any length are content like any
// other: who ended a body at LF "." LF could be made to take the text of a mail
// for the server's replies.
type dotReader struct {
	r    *bufio.Reader
	last tail
	err  error // io.EOF after the end
}

// tail is what the octets before the next one were.
type tail uint8

const (
	lineStart  tail = iota // nothing yet, or CRLF: a dot means something here
	afterCR                // CR, in a line
	insideLine             // anything else
)

var stuffed = []byte("\r\n.")

// Read returns content as it came, unstuffed. A connection that ends inside is
// io.ErrUnexpectedEOF.
func (d *dotReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && d.err == nil {
		buf, _ := d.r.Peek(d.r.Buffered())
		if len(buf) == 0 || d.last == lineStart && buf[0] == '.' && !decided(buf) {
			if n > 0 {
				break // what there is first; the rest may have to be waited for
			}
			d.fill(len(buf) + 1)
			continue
		}
		if d.last == lineStart && buf[0] == '.' {
			d.dot(buf)
			continue
		}
		n += d.copy(p[n:], buf)
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// decided says whether what follows a dot at the start of a line is known well
// enough to tell the end from a stuffed line.
func decided(buf []byte) bool {
	return len(buf) >= 3 || len(buf) == 2 && buf[1] != '\r'
}

// dot takes a dot at the start of a line away, with the CRLF if this is the end.
func (d *dotReader) dot(buf []byte) {
	if buf[1] == '\r' && len(buf) > 2 && buf[2] == '\n' {
		d.r.Discard(3)
		d.err = io.EOF
		return
	}
	d.r.Discard(1)
	d.last = insideLine
}

// copy moves content up to the next dot that starts a line.
func (d *dotReader) copy(p, buf []byte) int {
	n := min(len(p), len(buf))
	switch i := -1; {
	case d.last == afterCR && buf[0] == '\n':
		n = 1
		d.last = lineStart
	default:
		if i = bytes.Index(buf[:n], stuffed); i >= 0 {
			n = i + 2
		}
		d.last = tailOf(buf[:n])
	}
	copy(p, buf[:n])
	d.r.Discard(n)
	return n
}

func tailOf(b []byte) tail {
	switch {
	case b[len(b)-1] == '\r':
		return afterCR
	case bytes.HasSuffix(b, stuffed[:2]):
		return lineStart
	}
	return insideLine
}

func (d *dotReader) fill(n int) {
	if _, err := d.r.Peek(n); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		d.err = err
	}
}
