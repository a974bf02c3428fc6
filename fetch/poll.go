package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// poll is one visit to one account.
type poll struct {
	*Account
	ledger
	life    *lifetime
	report  Report
	session Session
	dest    deliver.Destination
	serial  bool        // the session sends one command at a time
	facts   state.Facts // of the server, as this poll knows them
	noted   state.Facts // as the state has them
	sized   bool        // sizes are wanted whatever the plan says

	group    group
	settling *settling               // the group before, nil = none
	done     int                     // messages of this poll that were answered
	before   int                     // of these, before the present loop over Retr
	sure     int                     // of these, known to be what was asked for
	unseen   map[string]state.Record // by id: deleted, listed again, and the header block was not shown
	withheld []withheld              // what the server has refused to give in this session
	given    bool                    // it has given a message
	failures []error                 // of the account
	lost     int                     // lines of the listing that made no sense
	shifted  bool                    // replies may belong to other commands, see Confirmed
	lostStep error                   // why the session broke while messages were received
}

func (a *Account) begin(ctx context.Context) *poll {
	p := &poll{Account: a, life: newLifetime(ctx, cmp.Or(a.Deadline, defaultDeadline))}
	p.maildrop, p.log = a.Maildrop, a.Log
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	return p
}

// guard runs a step of the poll. A panic is a defect that ends this poll only.
func (p *poll) guard(step func()) {
	defer func() {
		if r := recover(); r != nil {
			p.fail(&panicError{r, debug.Stack()})
		}
	}()
	step()
}

// end drops the connection if it is still there, without UPDATE.
func (p *poll) end() {
	defer p.life.end()
	p.fail(p.await()) // after a panic
	p.drop()
	if p.dest != nil {
		p.dest.Close()
	}
}

// drop closes the connection, without UPDATE: the maildrop is free for another
// session.
func (p *poll) drop() {
	if p.session == nil {
		return
	}
	p.report.RoundTrips += p.session.RoundTrips()
	p.report.LoginDelay = loginDelay(p.session.Capabilities())
	p.session.Close()
	p.session = nil
}

// run is the way of the poll; what fails on it is in p.failures and p.problems.
func (p *poll) run() {
	todo, err := p.prelude()
	if err != nil {
		p.fail(err)
		if Classify(err) != State {
			p.fail(p.keepFacts())
		}
		return
	}
	if p.lost == 0 { // otherwise an id may be in the line that made no sense
		p.pending.Put = append(p.pending.Put, todo.Aged...)
		p.pending.Forget = append(p.pending.Forget, todo.Forget...)
	}
	p.note(todo)

	p.life.hold()
	inStep := p.retrieve(todo)
	if !inStep {
		todo, inStep = p.onceMore() // which needs the memory of the first plan
	}
	if inStep && !p.unsure {
		p.fail(p.finish(todo))
	}
	if !p.unsure {
		p.learn()
		p.fail(p.commit(nil))
	}
}

// keepFacts records what was learned of the server, where nothing else is to be
// recorded.
func (p *poll) keepFacts() error {
	p.learn()
	if p.pending.Facts == nil || p.unsure {
		return nil
	}
	if err := p.Maildrop.Commit(state.Change{Facts: p.pending.Facts}); err != nil {
		p.unsure = true
		return &StateError{err}
	}
	return nil
}

// prelude is what comes before the first message.
func (p *poll) prelude() (todo plan.Plan, err error) {
	if err := p.recover(); err != nil {
		return todo, err
	}
	if p.dest, err = p.Destination(p.life); err != nil {
		return todo, err
	}
	listing, todo, err := p.enter()
	if err == nil && todo.Renumbered(listing, p.Policy) {
		return p.recognise(listing, todo)
	}
	return todo, err
}

// fail notes why the poll does not end well; nil is no reason.
func (p *poll) fail(err error) {
	if err != nil {
		p.failures = append(p.failures, err)
	}
}

// outcome is the error of the poll, nil where all went well.
func (p *poll) outcome() error {
	if errs := append(p.failures, p.problems...); len(errs) > 0 {
		return &AccountError{p.Name, errs}
	}
	return nil
}

// plan lists the maildrop and decides. Sizes are looked at only where they change
// something, or always with sized.
func (p *poll) plan() (*plan.Listing, plan.Plan, error) {
	listing, err := p.list()
	if err != nil {
		return nil, plan.Plan{}, p.because(err)
	}
	now := time.Now()
	if !p.sized {
		todo, err := p.compare(listing, now)
		if err != nil || todo.Idle() {
			return listing, todo, err
		}
	}
	if err := p.sizes(listing); err != nil {
		return nil, plan.Plan{}, p.because(err)
	}
	todo, err := p.compare(listing, now)
	return listing, todo, err
}

func (p *poll) compare(listing *plan.Listing, now time.Time) (todo plan.Plan, err error) {
	err = p.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		todo = plan.New(listing, known, p.Policy, now)
		return nil
	})
	if err != nil {
		return plan.Plan{}, &StateError{err}
	}
	return todo, nil
}

// note puts what the plan has found into the report, and says once what is
// left on the server for its size.
func (p *poll) note(todo plan.Plan) {
	p.log.Debug("planned", "plan", todo.String())
	p.report.Listed = len(todo.Verdicts)
	p.report.Seen = todo.Seen + todo.Delete.Len()
	p.report.SetAside = todo.SetAside.Len()
	p.report.Skipped += todo.TooBig.Len() + todo.SetAside.Len() + todo.Deferred
	for it := range todo.SetAside.All() {
		p.log.Info("message is set aside", "num", it.Num, "uid", it.UID(), "failures", it.Record.Failures, "reason", it.Record.Reason)
	}
	for it := range todo.TooBig.All() {
		if it.Record.Reason != plan.LargerThanMaxSize {
			p.leave(it)
		}
	}
}

// leave says and records that a message stays on the server for its size.
func (p *poll) leave(it plan.Item) {
	p.log.Warn("message is larger than max_size and stays on the server",
		"num", it.Num, "uid", it.UID(), "octets", it.Octets, "max_size", p.Policy.MaxOctets)
	r := it.Record
	r.Octets, r.Reason = max(it.Octets, r.Octets), plan.LargerThanMaxSize
	p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: r})
}

// finish deletes what may be deleted and enters the UPDATE state. The session
// is in step.
func (p *poll) finish(todo plan.Plan) error {
	marked := make(map[int]bool)
	var refusals []error
	doomed := p.doomed(todo)
	nums := make([]int, len(doomed))
	for i, d := range doomed {
		nums[i] = d.num
	}
	for num, err := range p.session.Dele(nums) {
		var refused *pop3.ResponseError
		switch {
		case err == nil:
			marked[num] = true
		case errors.As(err, &refused):
			refusals = append(refusals, refused)
		case errors.Is(err, pop3.ErrBroken) && p.life.reason() != nil:
			// Popfetch was stopped while messages were on their way. The next
			// poll deletes.
			return nil
		default:
			return p.because(err)
		}
	}
	if len(refusals) > 0 {
		p.log.Warn("the server did not delete messages that it was asked to; it is asked again at the next poll", "messages", len(refusals), "reason", refusals[0])
	}
	if len(doomed) == 0 {
		if err := p.session.Bye(); err != nil {
			p.log.Debug("the session did not end with QUIT", "reason", err)
		}
		return nil
	}
	// RFC 1939 section 6: the server deletes at QUIT, and says so.
	if err := p.session.Quit(); err != nil && len(marked) > 0 {
		return fmt.Errorf("%d messages were delivered and marked as deleted, but the server did not confirm that they are gone; "+
			"they are not fetched again and are deleted at the next poll: %w", len(marked), p.because(err))
	} else if err != nil {
		p.log.Debug("the server did not confirm QUIT", "reason", err)
	}
	p.report.Deleted = len(marked)
	for _, d := range doomed {
		if r := d.entry.Record; marked[d.num] {
			r.Deleted, r.Absent, r.Absences = true, time.Now(), 1
			p.pending.Put = append(p.pending.Put, state.Entry{ID: d.entry.ID, Record: r})
		}
	}
	return nil
}

// doomed returns the messages to delete, in ascending order of their numbers.
func (p *poll) doomed(todo plan.Plan) []removable {
	var all []removable
	if p.Policy.Delete && p.Policy.After == 0 {
		all = append(all, p.removable...)
	}
	for it := range todo.Delete.All() {
		all = append(all, removable{it.Num, state.Entry{ID: it.ID, Record: it.Record}})
	}
	slices.SortFunc(all, func(a, b removable) int { return a.num - b.num })
	return all
}

// because puts the reason why the poll had to end in place of an error that
// only says that it did.
func (p *poll) because(err error) error {
	if cause := context.Cause(p.life); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	} else if cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%v)", cause, err)
	}
	return err
}

// mostLines is how many unreadable lines of a listing are said one by one.
const mostLines = 5

// skipLine counts a message that was lost to an unreadable line of a listing.
func (p *poll) skipLine(err error) {
	p.lost++
	p.report.Skipped++
	switch {
	case p.lost < mostLines:
		p.log.Warn("a line of the listing makes no sense; its message is skipped", "reason", err)
	case p.lost == mostLines:
		p.log.Warn("more lines of the listing make no sense; their messages are skipped too", "reason", err)
	}
}

// loginDelay reads the capability LOGIN-DELAY (RFC 2449 section 6.5), 0 where
// the server does not ask for any.
func loginDelay(c pop3.Capabilities) time.Duration {
	params := c.Params("LOGIN-DELAY")
	if len(params) == 0 {
		return 0
	}
	seconds, err := strconv.Atoi(params[0])
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, 24*time.Hour)
}

// panicError is a defect of popfetch, caught so that other accounts go on.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("popfetch has a defect, please report it: %v\n%s", e.value, e.stack)
}
