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

// The window is how many commands may wait for their replies at once if the server
// announces PIPELINING (RFC 2449 section 6.6). Until the first reply has come it covers
// firstAhead octets of replies, as long as they are expected to be. Then it covers what
// arrives in aheadTime, or in aheadTrips round trips if that is more: enough to keep a
// fast and distant line busy, and little enough that a stop, which waits for these
// replies, does not take long. maxWindow commands fit into the smallest socket buffers,
// so that client and server never both block in a write.
const (
	minWindow = 4
	maxWindow = 256

	firstAhead = 4 << 20 // octets: 100 messages of an ordinary size
	aheadTime  = time.Second
	aheadTrips = 4
	minAhead   = 1 << 20 // octets; the first replies tell little about the speed of the line
	maxAhead   = 32 << 20

	unknownOctets = 128 << 10 // what is expected of a message whose size is not known
	headerOctets  = 16 << 10  // … of a header block; most have less
	statusOctets  = 64        // … of a status line
)

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// Pipelined reports whether the client may send a command before the reply to the
// last one has come.
func (c *Client) Pipelined() bool {
	return c.opts.Pipelining == PipelineAuto && c.caps.Has("PIPELINING")
}

// firstWindow returns how many commands may be sent before the first reply has come.
// What a server has said of its sizes may be wrong, so that it decides nothing but this.
func (b *batch) firstWindow() int {
	n := 0
	for expected := int64(0); n < min(len(b.nums), maxWindow) && expected < firstAhead; n++ {
		octets := b.octets(n)
		if octets < 0 {
			octets = unknownOctets
		}
		expected += min(octets, firstAhead)
	}
	return max(n, minWindow)
}

// window returns how many commands may wait for their replies, after replies with
// that many octets took that long. Without any reply it is first.
func (c *Client) window(first int, replies, octets int64, took time.Duration) int {
	switch {
	case !c.Pipelined():
		return 1
	case replies == 0:
		return first
	}
	ahead := int64(maxAhead)
	if took > 0 {
		expected := float64(octets) / took.Seconds() * max(aheadTime, aheadTrips*c.roundTrip).Seconds()
		ahead = int64(min(max(expected, minAhead), maxAhead))
	}
	return int(min(max(ahead*replies/max(octets, 1), minWindow), maxWindow))
}

// queue adds a command line, without its CRLF, to the next write. command names it
// in errors. shown is the line for the trace, with "***" in place of any secret.
func (c *Client) queue(command, line, shown string) {
	c.out = append(c.out, line...)
	c.out = append(c.out, "\r\n"...)
	c.queued = append(c.queued, command)
	c.lines.trace("C", shown)
}

// sent is a command on its way.
type sent struct {
	command string
	trip    int // the number of the round trip, from 1
}

// flush writes all that is queued at once.
func (c *Client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	command := c.queued[0]
	if len(c.unanswered) == 0 {
		// All is answered, so nothing may have arrived: it would be taken for
		// the reply to what is sent now.
		if c.dotless && c.lines.head() == "." {
			c.dotless = c.lines.skipLine() != nil
		}
		if c.lines.r.Buffered() > 0 {
			return c.unasked(command)
		}
		c.flightStart = time.Now()
	}
	// What is sent now could not be sent before the last reply had come.
	c.trips = c.answeredTrip + 1
	c.link.whole(c.timeout)
	if err := c.lines.write(c.out); err != nil {
		return c.failIO(command, err)
	}
	c.out = c.out[:0]
	for _, command := range c.queued {
		c.unanswered = append(c.unanswered, sent{command, c.trips})
	}
	c.queued = c.queued[:0]
	return nil
}

// unasked breaks the client because something has arrived before the command was sent.
func (c *Client) unasked(command string) error {
	reason := "the server sent something before it was asked"
	if c.answered != "" {
		reason += ", behind its reply to " + c.answered
	}
	return c.fail(&ProtocolError{Command: command, Line: c.lines.shown([]byte(c.lines.head())), Reason: reason, Unasked: true})
}

// status writes what is queued and reads the status line for the oldest unanswered
// command. It returns the text behind +OK, or a *ResponseError; every other error
// has broken the client. RFC 1939 section 3
func (c *Client) status() (string, error) {
	command, line, err := c.reply(maxStatus)
	if err != nil {
		return "", err
	}
	return c.verdict(command, line)
}

// reply reads the next line for the oldest unanswered command, which counts as
// answered then.
func (c *Client) reply(limit int) (command string, line []byte, err error) {
	if err := c.flush(); err != nil {
		return "", nil, err
	}
	oldest := c.unanswered[0]
	command = oldest.command
	c.link.whole(c.replyTime())
	line, err = c.lines.line(limit)
	if c.dotless && err == nil && string(line) == "." {
		line, err = c.lines.line(limit)
	}
	c.handover, c.proved, c.dotless = false, false, false
	if err != nil {
		return command, nil, c.failIO(command, err)
	}
	c.timeTrip()
	c.answered, c.answeredTrip = command, oldest.trip
	c.unanswered = append(c.unanswered[:0], c.unanswered[1:]...)
	return command, line, nil
}

// timeTrip measures a round trip at the first reply of a flight. The shortest one
// contains the least of the server's own time.
func (c *Client) timeTrip() {
	if c.flightStart.IsZero() {
		return
	}
	if trip := time.Since(c.flightStart); c.roundTrip == 0 || trip < c.roundTrip {
		c.roundTrip = trip
	}
	c.flightStart = time.Time{}
}

// verdict parses a status line, whose text may be missing. RFC 1939 section 3
func (c *Client) verdict(command string, line []byte) (string, error) {
	c.lines.trace("S", string(line))
	text, ok := indicator(line, "+OK")
	if ok {
		c.countReply()
		return text, nil
	}
	text, ok = indicator(line, "-ERR")
	if !ok {
		return "", c.protocol(command, line, "neither +OK nor -ERR")
	}
	c.countReply()
	text = c.lines.shown([]byte(text))
	return "", &ResponseError{Command: command, Code: responseCode(text), Text: text}
}

// indicator returns the text after a status indicator; false if the line has
// another one. Case does not matter.
func indicator(line []byte, want string) (string, bool) {
	if len(line) < len(want) || !strings.EqualFold(string(line[:len(want)]), want) {
		return "", false
	}
	return strings.TrimLeft(string(line[len(want):]), " \t"), true
}

// responseCode returns the response code at the start of a text, "" if there is none.
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

// errLeft is the cause if a loop was left while replies were on their way.
var errLeft = errors.New("the loop over its replies was left before the end")

// iterate runs a loop over replies. body reports whether all that it sent is
// answered; if not, or if it panics, the client is broken.
func (c *Client) iterate(command string, body func() bool) {
	c.iterating = command
	ended := false
	defer func() {
		c.iterating = ""
		if !ended && c.broken == nil {
			c.fail(fmt.Errorf("%s: %w", command, errLeft))
		}
	}()
	ended = body()
}

// Drain makes the loop that is running (Retr, Top or Dele) send nothing more until
// all that it has sent is answered; then it goes on by itself. A caller that doubts
// whether the replies still belong to their commands calls it, and when Owed is 0
// leaves the loop or goes on.
func (c *Client) Drain() { c.draining = true }

// Owed returns how many commands of the loop that is running have been sent and not
// been answered, QUIT included. The one whose message is being read counts as answered.
func (c *Client) Owed() int {
	n := 0
	for _, s := range c.unanswered {
		if s.command != probe {
			n++
		}
	}
	return n
}

// Confirmed returns how many replies of the Retr that runs, or ran last, are known to
// belong to their commands. Under pipelining a server that leaves out a reply, or
// sends one too many, shifts all replies behind it, and messages of the same size do
// not show that. So a STAT is sent between the commands now and then: its reply has
// no message, and a reply that was shifted into its place would be followed by one.
func (c *Client) Confirmed() int { return c.confirmed }

// probe is the command whose reply shows whether the server is in step. Every server has
// STAT, for every client sends it. Hardly one sends NOOP: small servers do not know it, and
// some close the connection at it.
const probe = "STAT"

// A probe follows the first firstProbe commands, then at most maxProbeGap, and the
// last one; it follows fewer if the replies to them are longer than probeOctets, so
// that few messages wait for their confirmation and few are fetched again after a
// lost connection.
const (
	firstProbe  = 8
	maxProbeGap = 64
	probeOctets = 2 << 20
)

// ahead returns the window, and how many commands there are between two probes; 0 =
// none is needed.
func (c *Client) ahead(first int, replies, octets int64, took time.Duration) (window, gap int) {
	window = c.window(first, replies, octets, took)
	switch {
	case window == 1:
		return 1, 0
	case replies == 0:
		return window, firstProbe
	}
	return window, int(max(min(int64(window/4), maxProbeGap, probeOctets*replies/max(octets, 1)), 1))
}

// batch is one command for each of several messages.
type batch struct {
	nums   []int
	line   func(num int) string
	octets func(k int) int64 // expected in the reply to the command for nums[k], -1 = unknown
	probes bool              // count for Confirmed
	quit   bool              // QUIT goes out with the last command, if the server announces PIPELINING
}

// each sends the commands of a batch, at most a window ahead of the replies, and calls
// got for each reply in order. got returns false to leave the loop. After an error that
// broke the client got is called once more, with that error. each reports whether all
// that it sent is answered; a QUIT is for the caller to read.
func (c *Client) each(b batch, got func(num int, text string, err error) bool) bool {
	nums, line, probes := b.nums, b.line, b.probes
	before, _ := c.Octets()
	start, first := time.Now(), b.firstWindow()
	next, probed, answered := 0, 0, 0
	refused := false // the last probe was
	c.confirmed = 0
	for i, num := range nums {
		now, _ := c.Octets()
		size, gap := c.ahead(first, int64(i), now-before, time.Since(start))
		// Half a window at a time: many commands share a write, and the server
		// always has something to do.
		if next == i {
			c.draining = false
		}
		if next-i <= size/2 && !c.draining {
			for ; next < len(nums) && next-i < size; next++ {
				command := line(nums[next])
				c.queue(command, command, command)
				last := next+1 == len(nums)
				if probes && gap > 0 && (next+1-probed >= gap || last) {
					c.queue(probe, probe, probe)
					probed = next + 1
				}
				if probes && gap > 0 && last {
					// Its reply shows that the one before was followed by no message.
					c.queue(probe, probe, probe)
				}
				if b.quit && last && c.Pipelined() {
					c.askAhead("QUIT")
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
		for len(c.unanswered) > 0 && c.unanswered[0].command == probe {
			was := refused
			if refused, err = c.readProbe(); err == nil && answered > 0 && refused != was {
				err = c.protocol(probe, nil, "the server takes it one time and refuses it another")
			}
			if err != nil {
				return more && got(num, "", err)
			}
			answered = i + 1
		}
		if !more {
			return len(c.unanswered) == 0
		}
	}
	c.confirmed = answered
	return true
}

// readProbe reads the reply to a probe. It may be +OK or -ERR, but the same for all:
// a different one belongs to another command. Nothing may follow the last one.
func (c *Client) readProbe() (refused bool, err error) {
	var no *ResponseError
	_, err = c.status()
	if refused = errors.As(err, &no); err != nil && !refused {
		return false, err
	}
	if len(c.unanswered) == 0 && len(c.queued) == 0 && c.lines.r.Buffered() > 0 {
		return refused, c.protocol(probe, []byte(c.lines.head()), "the server sent something that was not asked for")
	}
	return refused, nil
}
