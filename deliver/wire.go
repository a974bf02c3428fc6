package deliver

import (
	"bufio"
	"bytes"
	"io"
	"strings"
)

// stampLines is how many lines a field of Stamp.Received has.
const stampLines = 3

// maxStampSize is how many octets a field of Stamp.Received has at most: its parts are
// bounded, see maxDomain and the others.
const maxStampSize = 4 << 10

// Wire returns a stored message as the server sent it: without the Received field of
// Stamp, and with CRLF in place of LF. A bare LF on the wire comes back as CRLF. Its
// memory does not grow with a line or a message.
func Wire(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 4*maxStampSize)
	head, _ := b.Peek(maxStampSize) // the next read meets the error, if there is one
	lines := strings.SplitAfterN(string(head), "\n", stampLines+1)
	if len(lines) > stampLines && isStamp(lines[:stampLines]) {
		b.Discard(len(head) - len(lines[stampLines]))
	}
	return &crlfReader{src: b}
}

// isStamp reports whether the lines, which end in LF, are a field of Stamp.Received.
func isStamp(lines []string) bool {
	return len(lines) == stampLines &&
		strings.HasPrefix(lines[0], "Received: from ") && strings.Contains(lines[0], " (account ") &&
		strings.HasPrefix(lines[1], "\tby ") && strings.Contains(lines[1], " (popfetch ") &&
		strings.HasPrefix(lines[2], "\t")
}

// crlfReader turns LF into CRLF.
type crlfReader struct {
	src  *bufio.Reader
	rest []byte
}

// Read implements io.Reader.
func (c *crlfReader) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if _, err := c.src.Peek(1); err != nil {
			return 0, err
		}
		chunk, _ := c.src.Peek(c.src.Buffered())
		c.rest = bytes.ReplaceAll(chunk, []byte("\n"), []byte("\r\n"))
		c.src.Discard(len(chunk))
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// HasStamp reports whether head, the beginning of a stored message, begins with a field of
// Stamp.Received with the delivery id.
func HasStamp(head []byte, id string) bool {
	lines := strings.SplitAfterN(string(head[:min(len(head), maxStampSize)]), "\n", stampLines+1)
	return len(lines) > stampLines && isStamp(lines[:stampLines]) && strings.Contains(lines[1], " id "+id)
}
