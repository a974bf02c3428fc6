package pop3

import (
	"bufio"
	"bytes"
	"io"
)

// dotReader reads a multi-line reply to its end and undoes the byte-stuffing.
// RFC 1939 section 3
//
// Only CRLF "." CRLF ends it, or "." CRLF at the very start. A bare LF, a bare CR, a
// NUL and a line of any length are content: a reader that ended at LF "." LF would
// take the rest of a crafted message for replies of the server.
type dotReader struct {
	r    *bufio.Reader
	last tail
	err  error // io.EOF after the end
}

// tail says which octets came before the next one.
type tail uint8

const (
	lineStart  tail = iota // none, or CRLF: a dot is special here
	afterCR                // CR
	insideLine             // anything else
)

var stuffed = []byte("\r\n.")

// Read returns the content, unstuffed and otherwise unchanged. The error is io.EOF
// after the end and io.ErrUnexpectedEOF if the connection ends before it.
func (d *dotReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && d.err == nil {
		buf, _ := d.r.Peek(d.r.Buffered())
		if len(buf) == 0 || d.last == lineStart && buf[0] == '.' && !decided(buf) {
			if n > 0 {
				break // return what there is; the rest may take time to arrive
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

// decided reports whether enough is known of what follows a dot at the start of a line
// to tell the end from a stuffed line.
func decided(buf []byte) bool {
	return len(buf) >= 3 || len(buf) == 2 && buf[1] != '\r'
}

// dot discards a dot at the start of a line, with the CRLF if it is the end.
func (d *dotReader) dot(buf []byte) {
	if buf[1] == '\r' && len(buf) > 2 && buf[2] == '\n' {
		d.r.Discard(3)
		d.err = io.EOF
		return
	}
	d.r.Discard(1)
	d.last = insideLine
}

// copy moves content to p, up to the next dot that starts a line.
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
