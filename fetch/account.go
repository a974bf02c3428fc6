package fetch

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// Account is one maildrop and where its mail goes. Its fields are set before
// the first poll and not changed after; one poll runs at a time.
type Account struct {
	Name     string
	User     string
	Host     string // for the limit of polls per host
	Protocol string // "POP3" or "POP3S", see deliver.Meta

	// Open connects and logs in. ctx bounds the whole session.
	Open func(ctx context.Context, how Opening) (Session, error)
	// Fallback says that a server which gets out of step when commands are sent
	// ahead is visited a second time without, and so from then on.
	Fallback bool
	// Destination is opened at the start of each poll, after Recover has
	// dealt with what an earlier one left behind, and closed at its end.
	Destination func(ctx context.Context) (deliver.Destination, error)
	// Recover finishes an intent that an earlier run left open, of whatever
	// kind of destination.
	Recover  func(ctx context.Context, i deliver.Intent) (deliver.Outcome, error)
	Maildrop state.Maildrop
	// Key is what the maildrop is known by in the state; delivery ids are
	// made of it.
	Key string

	Policy   plan.Policy
	Interval time.Duration // between polls of the daemon
	Deadline time.Duration // of one poll, 0 = 1 h
	// Stamp returns what is put in front of a message, with CRLF line ends; nil for nothing.
	Stamp    func(deliver.Meta) string
	Log      *slog.Logger
	Progress Progress // nil = nobody watches
}

// Progress is told how a poll goes, from the goroutine of the poll.
type Progress interface {
	// Start says what is to be retrieved; octets as the server announced them.
	Start(messages int, octets int64)
	// Received says that n more octets have come.
	Received(n int)
	// End says that the poll is over.
	End()
}

const (
	defaultDeadline = time.Hour
	// grace is how long the message in hand may take once the user wants
	// popfetch to stop.
	grace = 4 * time.Second
	// overtime is how long the delivery of what was received whole may go on
	// when the poll has come to its end.
	overtime = time.Second
)

// AccountError is why the poll of an account did not end well. Classify says
// what kind of reason it is.
type AccountError struct {
	Account string
	// Errs are the reasons, at least one: first those of the account as a
	// whole, then a *MessageError for each message that was not delivered.
	Errs []error
}

func (e *AccountError) Error() string {
	more := ""
	if len(e.Errs) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(e.Errs)-1)
	}
	return fmt.Sprintf("account %q: %v%s", e.Account, e.Errs[0], more)
}

// Unwrap returns the reasons.
func (e *AccountError) Unwrap() []error { return e.Errs }

// Poll visits the account once. When ctx ends, no further message is begun; the
// message in hand has a few seconds to be delivered, and what is delivered is
// deleted if the account says so. The report is valid whatever the error, which
// is an *AccountError. A panic is caught and returned as an error, so that the
// other accounts go on.
func (a *Account) Poll(ctx context.Context) (Report, error) {
	p := a.begin(ctx)
	started := time.Now()
	p.guard(p.run)
	p.guard(p.end)
	p.report.Account = a.Name
	p.report.Delivered, p.report.Failed = p.delivered, p.failed
	p.report.Seconds = time.Since(started).Seconds()
	p.report.Err = p.outcome()
	return p.report, p.report.Err
}

// Look logs in, lists and plans, and calls fn in the TRANSACTION state. It
// retrieves and deletes nothing and records nothing.
func (a *Account) Look(ctx context.Context, fn func(s Session, listing *plan.Listing, todo plan.Plan) error) error {
	p := a.begin(ctx)
	look := func() error {
		p.sized = true
		listing, todo, err := p.enter()
		if err != nil {
			return err
		}
		if err := fn(p.session, listing, todo); err != nil {
			return err
		}
		return p.session.Quit()
	}
	p.guard(func() { p.fail(look()) })
	p.guard(p.end)
	return p.outcome()
}
