package pop3

import (
	"errors"
	"fmt"
	"time"
)

// askAhead queues commands without arguments before the calls that read their
// replies: Capa, Stat, List, Uidl and Noop, in the same order.
func (c *Client) askAhead(commands ...string) {
	for _, command := range commands {
		c.queue(command, command, command)
	}
	c.unclaimed = append(c.unclaimed, commands...)
}

// askedAhead reports whether the oldest unclaimed command is this one.
func (c *Client) askedAhead(command string) bool {
	return len(c.unclaimed) > 0 && c.unclaimed[0] == command
}

// ask queues a command without arguments, unless askAhead has done so.
func (c *Client) ask(command string) {
	if c.askedAhead(command) {
		c.unclaimed = c.unclaimed[1:]
		return
	}
	c.queue(command, command, command)
}

// dropAhead reads and drops the replies to unclaimed commands, up to the one to
// command.
func (c *Client) dropAhead(command string) error {
	for len(c.unclaimed) > 0 && c.unclaimed[0] != command {
		dropped := c.unclaimed[0]
		c.unclaimed = c.unclaimed[1:]
		_, err := c.status()
		var refused *ResponseError
		if errors.As(err, &refused) {
			continue
		}
		switch {
		case err != nil:
		case c.empty && (dropped == "LIST" || dropped == "UIDL"):
			c.dotless = true
		case dropped == "CAPA", dropped == "LIST", dropped == "UIDL":
			_, err = c.listing(dropped, maxListingLines, func([]byte, *LineError) bool { return true })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A command that was sent together with the login is answered this soon after the
// login was accepted: within some round trips, and with time for the server to
// open the maildrop.
const (
	handoverTrips = 8
	minHandover   = time.Second
	maxHandover   = 3 * time.Second
	// maxDecision is how long the decision about a login may take whose last answer was
	// sent ahead: the server may have lost that, or it opens the maildrop.
	maxDecision = 10 * time.Second
)

// replyTime returns how long the next reply may take as a whole. A server that
// loses what was sent together with the login never answers it; nobody should wait
// for the whole timeout to find that out.
func (c *Client) replyTime() time.Duration {
	switch {
	case c.proved:
		return min(c.timeout, maxDecision)
	case !c.handover:
		return c.timeout
	}
	return min(c.timeout, max(minHandover, min(handoverTrips*c.roundTrip, maxHandover)))
}

// watchAhead is called when more is queued than the next step of a login. Until all
// of that is answered, an error that breaks the session becomes an *AheadError,
// unless the server has answered nothing of it at all: then something else is wrong.
func (c *Client) watchAhead() { c.aheadLeft, c.aheadAnswered = len(c.queued), false }

// countReply counts a reply for watchAhead.
func (c *Client) countReply() {
	if c.aheadLeft > 0 {
		c.aheadLeft--
		c.aheadAnswered = true
	}
}

// blameAhead wraps an error that breaks the session in an *AheadError, if that may be
// the cause.
func (c *Client) blameAhead(err error) error {
	if c.aheadLeft > 0 && c.aheadAnswered && c.ctx.Err() == nil {
		return &AheadError{Err: err}
	}
	return err
}

// notTheReply breaks the session over a line that belongs to the reply to another command
// than the one that was sent with the login: the server still owes the reply to that one.
func (c *Client) notTheReply(command string, line []byte) error {
	c.aheadLeft++
	c.aheadAnswered = true
	return c.protocol(command, line, "not the reply to a command that was sent with the login")
}

// AheadError is a session that broke after the server had answered a part of what was
// sent together with the login, and not the rest. One with Credentials.Patient may
// succeed.
type AheadError struct{ Err error }

func (e *AheadError) Error() string {
	return fmt.Sprintf("the server seems to lose commands that are sent with the login: %v", e.Err)
}

// Unwrap returns the cause.
func (e *AheadError) Unwrap() error { return e.Err }
