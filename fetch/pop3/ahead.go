package pop3

import (
	"errors"
	"fmt"
	"time"
)

// askAhead sends commands without arguments now whose replies later calls read,
// in this order: those of Capa, Stat, List, Uidl and Noop.
func (c *Client) askAhead(commands ...string) {
	for _, command := range commands {
		c.queue(command, command, command)
	}
	c.unclaimed = append(c.unclaimed, commands...)
}

// askedAhead reports whether the next reply that no call has come for is that to the
// command.
func (c *Client) askedAhead(command string) bool {
	return len(c.unclaimed) > 0 && c.unclaimed[0] == command
}

// ask sends a command without arguments, unless askAhead has sent it.
func (c *Client) ask(command string) {
	if c.askedAhead(command) {
		c.unclaimed = c.unclaimed[1:]
		return
	}
	c.queue(command, command, command)
}

// dropAhead reads and drops the replies that no call has come for, up to that to
// the command.
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

// The first reply behind an accepted login comes within this time where the
// command was sent together with the login: a few round trips, and time for
// the server to open the maildrop.
const (
	handoverTrips = 8
	minHandover   = time.Second
	maxHandover   = 3 * time.Second
)

// replyTime returns how long the next reply may take as a whole. A server that
// loses what was sent together with the login never sends the first reply
// behind it, and nobody shall wait for the whole timeout to find that out.
func (c *Client) replyTime() time.Duration {
	if !c.handover {
		return c.timeout
	}
	return min(c.timeout, max(minHandover, min(handoverTrips*c.trip, maxHandover)))
}

// hurried says that what is queued is more than the next step of a login: from now on
// until all of it is answered, a break is an *AheadError where there was an answer
// already. A server that does not answer at all is not to blame for that.
func (c *Client) hurried() { c.early, c.answered = len(c.queued), false }

// reckon counts an answer to what was sent in a hurry.
func (c *Client) reckon() {
	if c.early > 0 {
		c.early--
		c.answered = true
	}
}

// blame makes an *AheadError of the error that breaks the session, where it is one.
func (c *Client) blame(err error) error {
	if c.early > 0 && c.answered && c.ctx.Err() == nil {
		return &AheadError{Err: err}
	}
	return err
}

// AheadError is a session that broke after the server had answered to a part of what
// was sent with the login, and not to the rest. A patient one may do.
type AheadError struct{ Err error }

func (e *AheadError) Error() string {
	return fmt.Sprintf("the server seems to lose commands that are sent with the login: %v", e.Err)
}

// Unwrap returns the cause.
func (e *AheadError) Unwrap() error { return e.Err }
