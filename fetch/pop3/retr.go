package pop3

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
)

// Message is one message while it arrives.
type Message struct {
	Num    int
	Octets int64 // as the reply to RETR announced, which may be wrong; -1 = it did not
	// Body is the message as it was sent, with the byte-stuffing undone and CRLF
	// kept. Its error is io.EOF once the server has ended the message; every other
	// error has broken the client. It is valid for one step of the loop, which then
	// drops what was not read.
	Body io.Reader
}

// Retr asks for messages, in the order of nums. It yields a refused message with its
// Num and a *ResponseError, and goes on. Every other error is the last thing that it
// yields, even if a Body has returned it before, so that this message comes a second
// time. The message is never nil.
//
// octets returns the size of message nums[k], as List has told it, or -1; nil = no size
// is known. It decides how many messages are asked for before the first one has come.
//
// RFC 1939 section 5 (RETR)
func (c *Client) Retr(nums []int, octets func(k int) int64) iter.Seq2[*Message, error] {
	if octets == nil {
		octets = always(-1)
	}
	line := func(num int) string { return "RETR " + strconv.Itoa(num) }
	return c.messages("RETR", batch{nums: nums, line: line, octets: octets, probes: true}, announced)
}

// always returns a function for batch.octets where all replies are alike.
func always(octets int64) func(int) int64 { return func(int) int64 { return octets } }

// announced returns the size in the reply to RETR ("120 octets"), or -1. RFC 1939
// section 5 has it only in examples.
func announced(text string) int64 {
	word, _ := cutBlank([]byte(text))
	if n, ok := parseNumber(word, math.MaxInt64); ok {
		return n
	}
	return -1
}

// messages runs RETR and TOP. octets reads the size of a message in a status line.
func (c *Client) messages(verb string, all batch, octets func(text string) int64) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		if err := c.enterNumbers(verb, all.nums); err != nil {
			yield(&Message{Octets: -1, Body: failedBody{err}}, err)
			return
		}
		c.lines.more()
		c.iterate(verb, func() bool {
			return c.each(all, func(num int, text string, err error) bool {
				if err != nil {
					return yield(&Message{Num: num, Octets: -1, Body: failedBody{err}}, err)
				}
				b := c.newBody(all.line(num))
				m := &Message{Num: num, Octets: octets(text), Body: b}
				more := yield(m, nil)
				if err := b.finish(more); err != nil && more {
					more = yield(&Message{Num: num, Octets: m.Octets, Body: failedBody{err}}, err)
				}
				return more
			})
		})
	}
}

// enterNumbers is enter for a command on messages.
func (c *Client) enterNumbers(verb string, nums []int) error {
	if err := c.enter(verb, Transaction); err != nil {
		return err
	}
	for _, num := range nums {
		if num < 1 {
			return fmt.Errorf("%s %d: message numbers begin at 1: %w", verb, num, ErrState)
		}
	}
	return nil
}

// body is the reader of a Message.
type body struct {
	c       *Client
	command string
	dot     dotReader
	octets  int64
	err     error // what Read returns from now on
}

func (c *Client) newBody(command string) *body {
	c.link.rate(c.timeout)
	return &body{c: c, command: command, dot: dotReader{r: c.lines.r}}
}

// errStale is the error of a body that was read after the step of its loop.
var errStale = errors.New("the message was read after its step of the loop")

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.dot.Read(p)
	b.octets += int64(n)
	switch {
	case err == nil:
	case err == io.EOF:
		b.err = err
		b.c.lines.traceOctets(b.octets)
	default:
		b.err = b.c.failIO(fmt.Sprintf("%s after %d octets of the message", b.command, b.octets), err)
	}
	return n, b.err
}

// finish ends the step of the loop. With drain it reads the rest of the message, so
// that the next reply can be read. It returns the error that broke the client, now
// or in a Read before.
func (b *body) finish(drain bool) error {
	var scratch [4096]byte
	for drain && b.err == nil {
		b.Read(scratch[:])
	}
	err := b.err
	switch {
	case err == io.EOF:
		err = nil
	case err == nil:
		err = b.c.fail(fmt.Errorf("%s: %w", b.command, errLeft))
	}
	b.err = errStale
	return err
}

// failedBody is the body of a message that did not arrive: it is not empty, reading it
// fails.
type failedBody struct{ err error }

func (f failedBody) Read([]byte) (int, error) { return 0, f.err }
