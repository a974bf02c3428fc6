package pop3

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// How many commands may be on their way at once where the server takes several
// (RFC 2449 section 6.6, PIPELINING): firstWindow until it is known how long the
// replies are, then so many that what is asked for takes about aheadFor to come, or
// some round trips where those are longer. That keeps a fast and distant line busy,
// and who stops has not to wait long for what he has asked for. Neither side can wait
// for the other for ever: maxWindow commands fit into the smallest buffers.
const (
	firstWindow = 32
	minWindow   = 4
	maxWindow   = 256

	aheadFor   = time.Second
	aheadTrips = 4
	leastAhead = 1 << 20 // octets, also while the line has not shown yet what it can do
	mostAhead  = 32 << 20
)

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// Pipelined says whether several commands may be on their way at once.
func (c *Client) Pipelined() bool {
	return c.opts.Pipelining == PipelineAuto && c.caps.Has("PIPELINING")
}

// window says how many commands may be on their way now, after so many replies
// with so many octets that took so long.
func (c *Client) window(replies, octets int64, took time.Duration) int {
	switch {
	case !c.Pipelined():
		return 1
	case replies == 0:
		return firstWindow
	}
	ahead := int64(mostAhead)
	if took > 0 {
		came := float64(octets) / took.Seconds() * max(aheadFor, aheadTrips*c.trip).Seconds()
		ahead = int64(min(max(came, leastAhead), mostAhead))
	}
	return int(min(max(ahead*replies/max(octets, 1), minWindow), maxWindow))
}

// queue adds a command line (without its end) to the next write. shown is the
// line as the trace may have it; command names it in errors.
func (c *Client) queue(command, line, shown string) {
	c.out = append(c.out, line...)
	c.out = append(c.out, "\r\n"...)
	c.queued = append(c.queued, command)
	c.wire.trace("C", shown)
}

// flush writes what is queued, in one write.
func (c *Client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	command := c.queued[0]
	if len(c.owed) == 0 {
		// Nothing was owed, so nothing may have come: whatever is there would
		// be taken for the reply to what is sent now.
		if c.dotless && c.wire.head() == "." {
			c.dotless = c.wire.skipLine() != nil
		}
		if c.wire.r.Buffered() > 0 {
			return c.protocol(command, []byte(c.wire.head()), "the server sent something before it was asked")
		}
		c.flights++
		c.asked = time.Now()
	}
	c.link.whole(c.timeout)
	if err := c.wire.write(c.out); err != nil {
		return c.failIO(command, err)
	}
	c.out = c.out[:0]
	c.owed = append(c.owed, c.queued...)
	c.queued = c.queued[:0]
	return nil
}

// status writes what is queued and reads the status line of the oldest command
// that waits for one: the text after +OK, or a *ResponseError. Any other error
// has broken the client.
func (c *Client) status() (string, error) {
	command, line, err := c.reply(maxStatus)
	if err != nil {
		return "", err
	}
	return c.verdict(command, line)
}

// reply reads the next line for the oldest command, which is then no longer
// owed anything.
func (c *Client) reply(limit int) (command string, line []byte, err error) {
	if err := c.flush(); err != nil {
		return "", nil, err
	}
	command = c.owed[0]
	c.link.whole(c.replyTime())
	line, err = c.wire.line(limit)
	if c.dotless && err == nil && string(line) == "." {
		line, err = c.wire.line(limit)
	}
	c.handover, c.dotless = false, false
	if err != nil {
		return command, nil, c.failIO(command, err)
	}
	c.timeTrip()
	c.owed = append(c.owed[:0], c.owed[1:]...)
	return command, line, nil
}

// timeTrip measures a round trip at the first reply of a flight. The shortest one has
// least of the time that the server takes.
func (c *Client) timeTrip() {
	if c.asked.IsZero() {
		return
	}
	if trip := time.Since(c.asked); c.trip == 0 || trip < c.trip {
		c.trip = trip
	}
	c.asked = time.Time{}
}

// verdict understands a status line. RFC 1939 section 3; the text may be
// missing altogether.
func (c *Client) verdict(command string, line []byte) (string, error) {
	c.wire.trace("S", string(line))
	text, ok := indicator(line, "+OK")
	if ok {
		c.reckon()
		return text, nil
	}
	text, ok = indicator(line, "-ERR")
	if !ok {
		return "", c.protocol(command, line, "neither +OK nor -ERR")
	}
	c.reckon()
	text = c.wire.shown([]byte(text))
	return "", &ResponseError{Command: command, Code: responseCode(text), Text: text}
}

// indicator returns the text behind a status indicator.
func indicator(line []byte, want string) (string, bool) {
	if len(line) < len(want) || !strings.EqualFold(string(line[:len(want)]), want) {
		return "", false
	}
	return strings.TrimLeft(string(line[len(want):]), " \t"), true
}

// responseCode finds the response code at the start of a text.
// RFC 2449 section 8
func responseCode(text string) Code {
	if !strings.HasPrefix(text, "[") {
		return ""
	}
	code, _, ok := strings.Cut(text[1:], "]")
	if !ok || code == "" {
		return ""
	}
	for i := range len(code) {
		if code[i] <= ' ' || code[i] > '~' || code[i] == '[' {
			return ""
		}
	}
	return Code(strings.ToUpper(code))
}

// simple is a command whose whole reply is its status line.
func (c *Client) simple(command string, allowed ...State) (string, error) {
	if err := c.enter(command, allowed...); err != nil {
		return "", err
	}
	c.ask(command)
	return c.status()
}

// errLeft is the cause where a loop was left before its end.
var errLeft = errors.New("the loop over its replies was left before the end")

// iterate runs an iteration: body reports whether it came to its end with
// nothing owed. Where it did not, or panicked, the client is broken.
func (c *Client) iterate(command string, body func() bool) {
	c.during = command
	ended := false
	defer func() {
		c.during = ""
		if !ended && c.broken == nil {
			c.fail(fmt.Errorf("%s: %w", command, errLeft))
		}
	}()
	ended = body()
}

// Drain makes the loop that is running (Retr, Top or Dele) send nothing more
// until all replies that are owed have come; then it goes on by itself. A caller
// that doubts whether replies still belong to their commands calls it, and leaves
// the loop or goes on when Owed is 0.
func (c *Client) Drain() { c.draining = true }

// Owed returns how many commands of the loop have been sent and not been answered
// yet, the one whose message is being read not among them.
func (c *Client) Owed() int {
	n := 0
	for _, command := range c.owed {
		if command != mark {
			n++
		}
	}
	return n
}

// Confirmed returns how many replies of the Retr that runs, or ran last, are known
// to belong to their commands. Where commands are sent ahead, a server that
// leaves out a reply or sends one too many shifts all that follow, and messages
// of one size do not show it. So a NOOP goes with the commands now and then: its
// reply has no message, and what stands behind it tells whether it was its own.
func (c *Client) Confirmed() int { return c.confirmed }

// mark is the command that shows whether the server is in step.
const mark = "NOOP"

// Marks stand behind so many commands, or behind the last; fewer where replies
// are long, so that little waits for one, or has to be fetched again when the
// connection is lost.
const (
	firstMark  = 8
	markEvery  = 64
	markOctets = 2 << 20
)

// ahead is how many commands each may send ahead, and how many from mark to mark.
func (c *Client) ahead(replies, octets int64, took time.Duration) (window, marks int) {
	window = c.window(replies, octets, took)
	switch {
	case window == 1:
		return 1, 0
	case replies == 0:
		return window, firstMark
	}
	return window, int(max(min(int64(window/4), markEvery, markOctets*replies/max(octets, 1)), 1))
}

// each sends "VERB n" for each number, at most a window ahead of the replies,
// and calls got for each reply in order. got returns false where the loop was
// left; it has then to say so to iterate too. After an error that broke the
// client got is called once more, with it, and no more. With marks, Confirmed
// counts.
func (c *Client) each(nums []int, line func(num int) string, marks bool, got func(num int, text string, err error) bool) bool {
	before, _ := c.Octets()
	start := time.Now()
	next, marked, answered := 0, 0, 0
	refused := false // the mark before
	c.confirmed = 0
	for i, num := range nums {
		now, _ := c.Octets()
		size, every := c.ahead(int64(i), now-before, time.Since(start))
		// Half a window at a time: one write for many commands, and the server
		// always has something to do.
		if next == i {
			c.draining = false
		}
		if next-i <= size/2 && !c.draining {
			for ; next < len(nums) && next-i < size; next++ {
				command := line(nums[next])
				c.queue(command, command, command)
				last := next+1 == len(nums)
				if marks && every > 0 && (next+1-marked >= every || last) {
					c.queue(mark, mark, mark)
					marked = next + 1
				}
				if marks && every > 0 && last {
					// The reply to this one stands behind the other's.
					c.queue(mark, mark, mark)
				}
			}
		}
		text, err := c.status()
		more := got(num, text, err)
		if c.broken != nil {
			return false
		}
		if more {
			c.confirmed = answered
		}
		for len(c.owed) > 0 && c.owed[0] == mark {
			was := refused
			if refused, err = c.passMark(); err == nil && answered > 0 && refused != was {
				err = c.protocol(mark, nil, "the server takes it one time and refuses it another")
			}
			if err != nil {
				return more && got(num, "", err)
			}
			answered = i + 1
		}
		if !more {
			return len(c.owed) == 0
		}
	}
	c.confirmed = answered
	return true
}

// passMark reads the reply to a mark. Any reply will do, but it must be the same
// for all: another one belongs to another command. Behind the last one there must
// be nothing.
func (c *Client) passMark() (refused bool, err error) {
	var no *ResponseError
	_, err = c.status()
	if refused = errors.As(err, &no); err != nil && !refused {
		return false, err
	}
	if len(c.owed) == 0 && len(c.queued) == 0 && c.wire.r.Buffered() > 0 {
		return refused, c.protocol(mark, []byte(c.wire.head()), "the server sent something that was not asked for")
	}
	return refused, nil
}
