package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// envelope is who sends a message to whom.
type envelope struct {
	sender     string
	recipients []string
	size       int64 // of the message in octets, 0 = not known
	utf8       bool  // the header block or a recipient is not ASCII (RFC 6531)
}

// commands returns the commands of the envelope.
func (c *Client) commands(e envelope) []string {
	mail := "MAIL FROM:<" + e.sender + ">"
	if _, ok := c.Extension("8BITMIME"); ok { // RFC 6152
		mail += " BODY=8BITMIME"
	}
	if _, ok := c.Extension("SIZE"); ok && e.size > 0 {
		mail += fmt.Sprintf(" SIZE=%d", e.size)
	}
	if _, ok := c.Extension("SMTPUTF8"); ok && e.utf8 {
		mail += " SMTPUTF8"
	}
	lines := []string{mail}
	for _, to := range e.recipients {
		lines = append(lines, "RCPT TO:<"+to+">")
	}
	return lines
}

// open sends the envelope, and the command end after it if that is not "". With the extension
// PIPELINING (RFC 2920) that is one flight. It returns why each recipient is refused, and the
// last error: that of MAIL or of end. An error that is not a *Refusal ends the connection.
func (c *Client) open(e envelope, end string) (refused []error, err error) {
	lines := c.commands(e)
	if end != "" {
		lines = append(lines, end)
	}
	_, flight := c.Extension("PIPELINING")
	if flight {
		for _, line := range lines {
			c.opts.Log.Debug("client", "line", line)
			c.out.WriteString(line + "\r\n")
		}
		if err := c.flush(); err != nil {
			return nil, err
		}
	}
	refused = make([]error, len(e.recipients))
	accepted := 0
	for i, line := range lines {
		if !flight {
			if err != nil || line == end && accepted == 0 {
				break
			}
			if err := c.send(line); err != nil {
				return nil, err
			}
		}
		want := 250
		if line == end {
			want = 354
		}
		step := line
		if i == 0 {
			step, _, _ = strings.Cut(line, " BODY=")
			step, _, _ = strings.Cut(step, " SIZE=")
		}
		_, failed := c.expect(step, want, c.command)
		var no *Refusal
		if failed != nil && !errors.As(failed, &no) || no != nil && no.Code == 421 {
			return nil, failed
		}
		switch {
		case i > 0 && i <= len(refused):
			refused[i-1] = failed
			if failed == nil {
				accepted++
			}
		case line != end:
			err = failed // of MAIL: what follows is refused because of it
		case err == nil && accepted > 0:
			err = failed
		case failed == nil:
			// The server waits for a message for which it has accepted no recipient.
			// Whatever is sent now, even its end alone, might be taken for mail.
			c.stuck = true
		}
	}
	return refused, err
}

// text sends the text of a message, whose line ends are CRLF, without its end. RFC 5321
// section 4.5.2
func (c *Client) text(r io.Reader) error {
	buf := make([]byte, 32<<10)
	begin := true // of a line
	for {
		n, readErr := r.Read(buf)
		for part := buf[:n]; len(part) > 0; {
			if begin && part[0] == '.' {
				c.out.WriteByte('.')
			}
			line := part
			if i := bytes.IndexByte(part, '\n'); i >= 0 {
				line = part[:i+1]
			}
			begin = line[len(line)-1] == '\n'
			if _, err := c.out.Write(line); err != nil {
				return err
			}
			part = part[len(line):]
		}
		if readErr == io.EOF {
			return nil
		}
		if readErr != nil {
			return &spoolError{readErr}
		}
	}
}

// endText sends the end of a text.
func (c *Client) endText() error {
	c.out.WriteString(".\r\n")
	return c.flush()
}

// spoolError is an error of the source of a text.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return "read the spool: " + e.err.Error() }

// Unwrap returns the error of the source.
func (e *spoolError) Unwrap() error { return e.err }
