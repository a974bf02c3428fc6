package fetch

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// Account is one maildrop and where its mail goes. Its fields are set before the
// first poll and not changed after; only one poll runs at a time.
type Account struct {
	Name string
	User string
	Host string // of the server
	// Server tells servers with the same Host apart for the limit of polls at one server;
	// "" = Host does.
	Server   string
	Protocol string // "POP3" or "POP3S", see deliver.Meta

	// Open connects and logs in. ctx bounds the whole session.
	Open func(ctx context.Context, how Opening) (Session, error)
	// Fallback allows a second visit that sends one command at a time, after a
	// server got out of step when commands were sent ahead. Later polls do the same
	// for some time.
	Fallback bool
	// Destination is opened at the start of each poll, after Recover has finished
	// what an earlier poll left open, and closed at its end.
	Destination func(ctx context.Context) (deliver.Destination, error)
	// Recover finishes an intent that an earlier run left open, of any kind of
	// destination.
	Recover  func(ctx context.Context, i deliver.Intent) (deliver.Outcome, error)
	Maildrop state.Maildrop
	// Key names the maildrop in the state. Delivery ids are made from it.
	Key string

	Policy   plan.Policy
	Room     *Room         // shared by all accounts, nil = no limit
	Interval time.Duration // between polls of the daemon
	// Failures and Next are what an earlier daemon has left of an account that backs off:
	// polls in a row that failed, and when it wanted to poll again. Next is kept unless
	// it is more than a day away; zero = at once.
	Failures int
	Next     time.Time
	// OnRequest: a Scheduler polls the account only when Scheduler.Poll names it.
	OnRequest bool
	Deadline  time.Duration // of one poll, 0 = 1 h
	// MinRate is how many octets a second, TLS included, have to come: a poll that has
	// waited five minutes longer than this allows is ended, DELE and QUIT aside. 0 = any.
	MinRate int64
	// Stamp returns what is put in front of a message, with CRLF line ends; nil for nothing.
	Stamp func(deliver.Meta) string
	// Now tells the time, nil = time.Now.
	Now      func() time.Time
	Log      *slog.Logger // nil = no log
	Progress Progress     // nil = none
}

// server names the server for the limit of polls at one server.
func (a *Account) server() string { return cmp.Or(a.Server, a.Host) }

const defaultDeadline = time.Hour

// Poll polls the account once. When ctx ends, no further message is begun; the
// message that is being received has a few seconds to arrive, and delivered
// messages are deleted if the policy says so. The report is valid with any error,
// and the error is an *AccountError. A panic is caught and returned as an error, so
// that the other accounts go on.
func (a *Account) Poll(ctx context.Context) (Report, error) { return a.poll(ctx, nil) }

// poll is Poll. Once leave is closed it begins no further message.
func (a *Account) poll(ctx context.Context, leave <-chan struct{}) (Report, error) {
	p := a.begin(ctx, leave)
	p.records = true
	if a.Progress != nil {
		defer a.Progress.End()
	}
	started := time.Now()
	p.guard(p.run)
	p.guard(p.end)
	p.report.Account, p.report.Key = a.Name, a.Key
	p.report.Seconds = time.Since(started).Seconds()
	p.report.Err = p.outcome()
	p.addCounts(&p.report)
	return p.report, p.report.Err
}

// Look logs in, lists and plans, and calls fn in the TRANSACTION state. The plan is
// made without a look at any header block. Look retrieves, deletes and records nothing.
func (a *Account) Look(ctx context.Context, fn func(s Session, listing *plan.Listing, todo plan.Plan) error) error {
	p := a.begin(ctx, nil)
	p.alwaysSizes = true
	look := func() error {
		if err := p.enter(); err != nil {
			return err
		}
		if err := fn(p.visit.session, p.visit.listing, p.visit.plan); err != nil {
			return err
		}
		return p.visit.session.Quit()
	}
	p.guard(func() { p.fail(look()) })
	p.guard(p.end)
	return p.outcome()
}

// now returns the time.
func (a *Account) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}
