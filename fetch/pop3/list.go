package pop3

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
)

// The bounds of a listing. Callers keep it as a whole, so that they bound what an
// endless one costs too.
const (
	maxListingLines  = 1_000_000
	maxListingOctets = 32 << 20
)

// ScanListing is one line of the reply to LIST. RFC 1939 section 5
type ScanListing struct {
	Num    int
	Octets int64 // as the server says, which may be wrong
}

// List asks for the scan listing of the maildrop. It yields a *LineError for a line
// that cannot be used, and goes on. A *ResponseError ends the loop, and so does every
// other error, which has broken the client.
//
// RFC 1939 section 5 (LIST)
func (c *Client) List() iter.Seq2[ScanListing, error] {
	return func(yield func(ScanListing, error) bool) {
		scan(c, "LIST", yield, func(num int, rest []byte) (ScanListing, string) {
			// Anything may follow the octets. RFC 1939 section 5
			size, _ := cutBlank(rest)
			octets, ok := parseNumber(size, math.MaxInt64)
			if !ok {
				return ScanListing{Num: num}, "no number of octets"
			}
			return ScanListing{Num: num, Octets: octets}, ""
		})
	}
}

// scan runs a command whose reply has one line for each message. After a STAT that
// counted none the status line is the whole reply, see Stat.
func scan[T any](c *Client, command string, yield func(T, error) bool, parse func(num int, rest []byte) (T, string)) {
	var zero T
	if err := c.enter(command, Transaction); err != nil {
		yield(zero, err)
		return
	}
	c.iterate(command, func() bool {
		if c.empty && !c.askedAhead(command) {
			return true
		}
		c.ask(command)
		withLogin := c.handover
		_, err := c.status()
		if c.empty && c.broken == nil {
			c.dotless = err == nil
			return true
		}
		var refused *ResponseError
		if withLogin && errors.As(err, &refused) && refused.Code == "" {
			// Cyrus reads the rest of what came with SCRAM as a command that it does not know.
			err = c.notTheReply(command, []byte("-ERR "+refused.Text))
		}
		if err != nil {
			yield(zero, err)
			return true
		}
		left, err := c.listing(command, maxListingLines, func(line []byte, bad *LineError) bool {
			if bad != nil {
				return yield(zero, bad)
			}
			num, rest := messageNumber(line)
			if num == 0 && withLogin {
				// Cyrus loses what comes with AUTH and answers the CAPA before it again.
				yield(zero, c.notTheReply(command, line))
				return false
			}
			if num == 0 {
				return yield(zero, c.lineError(command, 0, line, "no message number"))
			}
			value, reason := parse(num, rest)
			if reason != "" {
				return yield(value, c.lineError(command, num, line, reason))
			}
			return yield(value, nil)
		})
		if err != nil && !left {
			yield(zero, err)
		}
		return !left
	})
}

// shortListing is how many lines are read with the first small buffer.
const shortListing = 32

// listing reads a multi-line reply line by line, unstuffed, and calls got for each
// line, which is valid during the call. left reports that got returned false. Every
// other error has broken the client. RFC 1939 section 3
func (c *Client) listing(command string, maxLines int, got func(line []byte, long *LineError) bool) (left bool, err error) {
	c.link.rate(c.timeout)
	begin, octets := c.lines.in-int64(c.lines.r.Buffered()), int64(0)
	for lines := 0; ; lines++ {
		if lines == shortListing {
			c.lines.more()
		}
		var long *LineError
		line, err := c.lines.line(maxListing)
		if err == errLineTooLong {
			head := c.lines.head()
			num, _ := messageNumber([]byte(head))
			long = &LineError{Command: command, Num: num, Line: head, Reason: "line too long"}
			err = c.lines.skipLine()
		}
		if err != nil {
			return false, c.failIO(command, err)
		}
		if long == nil && len(line) == 1 && line[0] == '.' {
			c.lines.traceOctets(octets)
			return false, nil
		}
		if lines >= maxLines {
			return false, c.tooLong(command, maxLines, "lines")
		}
		if c.lines.in-int64(c.lines.r.Buffered())-begin > maxListingOctets {
			return false, c.tooLong(command, maxListingOctets, "octets")
		}
		octets += int64(len(line))
		if !got(bytes.TrimPrefix(line, []byte{'.'}), long) {
			return true, c.broken
		}
	}
}

// tooLong breaks the client because of a listing that exceeds a bound.
func (c *Client) tooLong(command string, most int, what string) error {
	return c.fail(&ProtocolError{Command: command, Reason: fmt.Sprintf("the listing has more than %d %s", most, what), TooLong: true})
}

func (c *Client) lineError(command string, num int, line []byte, reason string) *LineError {
	return &LineError{Command: command, Num: num, Line: c.lines.shown(line), Reason: reason}
}

// messageNumber splits a listing line after its message number, which is 0 if the
// line has none. Any number of blanks may follow it (Maillennium sends several).
func messageNumber(line []byte) (int, []byte) {
	word, rest := cutBlank(trimBlanks(line))
	num, ok := parseNumber(word, math.MaxInt32)
	if !ok {
		return 0, nil
	}
	return int(num), rest
}

// cutBlank splits b behind its first word. A listing may have a million lines: its own
// loops take half the time of bytes.IndexAny and bytes.TrimLeft.
func cutBlank(b []byte) (word, rest []byte) {
	for i, c := range b {
		if c == ' ' || c == '\t' {
			return b[:i], trimBlanks(b[i:])
		}
	}
	return b, nil
}

// trimBlanks returns b without the blanks at its start.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// trimBlanksRight returns b without the blanks at its end.
func trimBlanksRight(b []byte) []byte {
	for n := len(b); n > 0 && (b[n-1] == ' ' || b[n-1] == '\t'); n-- {
		b = b[:n-1]
	}
	return b
}

// parseNumber reads decimal digits and nothing else.
func parseNumber(b []byte, limit int64) (int64, bool) {
	var n int64
	for _, digit := range b {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		d := int64(digit - '0')
		if n > (limit-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}
