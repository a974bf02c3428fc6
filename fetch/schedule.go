package fetch

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"popfetch/state"
)

// Scheduler polls accounts, several at a time.
type Scheduler struct {
	Accounts []*Account
	Parallel int // polls at a time, at least 1
	PerHost  int // of these, to one host, at least 1
	// Spare is how many polls may be under way beside those that Parallel and PerHost
	// count: a poll that has run for a minute stops counting, so that a slow server
	// delays its own account only.
	Spare int
	// Brief makes Once end a poll in order that has run for five minutes: it receives
	// the message in hand, unless that is slow, deletes and quits.
	Brief bool
	// Done is called after each poll, one call at a time.
	Done func(Report)
	// Round is called when polls have delivered something and no poll that has run for
	// less than a minute is under way, at the latest a minute after the first of these
	// polls has ended. Polls go on meanwhile; there is one call at a time. nil = not called.
	Round func(ctx context.Context, delivered int)
	// Reopen makes the state usable again after a failure, and does nothing while it is
	// usable. Loop calls it before each poll. nil = a failure of the state ends Loop.
	Reopen func() error
}

const (
	// patience is how long polls and Round wait for a poll that takes long.
	patience = time.Minute
	// turn is how long a poll may take while others need its place.
	turn = 5 * time.Minute
)

// slot is one account's place in the schedule.
type slot struct {
	*Account
	due      time.Time     // zero: not again
	begun    time.Time     // of the poll under way; zero: none
	spare    bool          // that poll counts against Spare, no longer against Parallel and PerHost
	leave    chan struct{} // closed to end that poll in order; nil: it has been closed
	failures int           // polls in a row that failed for the account as a whole
}

// Once polls each account once and returns their errors joined. No poll begins after
// the state has failed or ctx has ended; if ctx left accounts out, its cause is among
// the errors.
func (s *Scheduler) Once(ctx context.Context) error {
	r := s.start(ctx)
	r.wait()
	for _, sl := range r.slots {
		if !sl.due.IsZero() && ctx.Err() != nil {
			r.errs = append(r.errs, context.Cause(ctx))
			break
		}
	}
	return errors.Join(r.errs...)
}

// Loop polls each account at its interval until ctx ends, waits for the polls under
// way, and returns nil. While the state fails the accounts back off. Loop returns
// earlier, with an error, only if the state cannot become usable by itself: without
// records everything would be delivered twice.
func (s *Scheduler) Loop(ctx context.Context) error {
	r := s.start(ctx)
	r.again = true
	r.wait()
	return r.failed
}

// next returns when an account is polled again.
func next(sl *slot, rep Report) time.Time {
	wait := jitter(max(sl.Interval, backoff(Classify(rep.Err), sl.failures)))
	return time.Now().Add(max(wait, rep.LoginDelay))
}

// jitter spreads the polls of many accounts: it varies d by up to a tenth.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

// backoff returns the shortest wait after a number of failures in a row. It is long
// for a refused password, because servers lock accounts after some attempts.
func backoff(c Class, failures int) time.Duration {
	first, most := time.Minute, time.Hour
	if c == Auth {
		first, most = 15*time.Minute, 24*time.Hour
	}
	if failures == 0 {
		return 0
	}
	return min(first<<min(failures-1, 20), most)
}

// run is the state of a running scheduler; it belongs to one goroutine.
type run struct {
	*Scheduler
	ctx       context.Context
	again     bool // accounts are polled again at their intervals
	slots     []*slot
	perHost   map[string]int
	running   int // polls that count against Parallel
	spare     int // polls that count against Spare
	results   chan result
	delivered int           // messages since Round was last called
	since     time.Time     // the first of these was reported
	rounding  bool          // Round has not returned
	rounded   chan struct{} // receives when Round returns
	errs      []error       // of accounts that are not polled again
	failed    error         // the state failed: no poll begins any more
}

type result struct {
	slot   *slot
	report Report
}

func (s *Scheduler) start(ctx context.Context) *run {
	r := &run{Scheduler: s, ctx: ctx, perHost: make(map[string]int), results: make(chan result), rounded: make(chan struct{})}
	now := time.Now()
	for _, a := range s.Accounts {
		r.slots = append(r.slots, &slot{Account: a, due: now})
	}
	return r
}

// wait starts the polls that are due and waits for the next event, until no poll is
// under way and none will be due.
func (r *run) wait() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var wake alarm
		now := time.Now()
		r.release(now, &wake)
		blocked := r.launch(now, &wake)
		r.dismiss(now, blocked, &wake)
		r.round(now, &wake)
		if r.running == 0 && r.spare == 0 && wake.at.IsZero() && !r.rounding {
			return
		}
		var ring <-chan time.Time
		if !wake.at.IsZero() {
			timer.Reset(time.Until(wake.at))
			ring = timer.C
		}
		var stop <-chan struct{}
		if !r.idle() {
			stop = r.ctx.Done()
		}
		select {
		case res := <-r.results:
			r.finished(res)
		case <-r.rounded:
			r.rounding = false
		case <-ring:
		case <-stop:
		}
	}
}

// alarm is the time of the next thing to do; zero: none.
type alarm struct{ at time.Time }

// passed reports whether t has come; if not, the alarm rings at t at the latest.
func (a *alarm) passed(t, now time.Time) bool {
	if !t.After(now) {
		return true
	}
	if a.at.IsZero() || t.Before(a.at) {
		a.at = t
	}
	return false
}

// idle reports that no poll begins any more.
func (r *run) idle() bool { return r.failed != nil || r.ctx.Err() != nil }

// release makes polls that have run for long count against Spare.
func (r *run) release(now time.Time, wake *alarm) {
	for _, sl := range r.slots {
		if !sl.begun.IsZero() && !sl.spare && r.spare < r.Spare && wake.passed(sl.begun.Add(patience), now) {
			r.count(sl, -1)
			sl.spare = true
			r.count(sl, 1)
		}
	}
}

// count adds n to what counts the polls of sl.
func (r *run) count(sl *slot, n int) {
	if sl.spare {
		r.spare += n
		return
	}
	r.running += n
	r.perHost[sl.Host] += n
}

// launch polls every account that is due, within the limits, the one that has waited
// longest first. It reports whether the limits have kept an account waiting.
func (r *run) launch(now time.Time, wake *alarm) (blocked bool) {
	if r.idle() {
		return false
	}
	slices.SortStableFunc(r.slots, func(a, b *slot) int { return a.due.Compare(b.due) })
	for _, sl := range r.slots {
		switch {
		case !sl.begun.IsZero() || sl.due.IsZero() || !wake.passed(sl.due, now):
		case r.running < r.Parallel && r.perHost[sl.Host] < r.PerHost:
			r.launchOne(sl, now)
			wake.passed(now.Add(patience), now)
		default:
			blocked = true
		}
	}
	return blocked
}

func (r *run) launchOne(sl *slot, now time.Time) {
	leave := make(chan struct{})
	sl.begun, sl.leave, sl.spare = now, leave, false
	r.count(sl, 1)
	go func() {
		r.results <- result{sl, r.poll(sl.Account, leave)}
	}()
}

// dismiss asks polls to end whose turn is over: with Brief all of them, in a loop the
// one that has run longest if an account waits for its place.
func (r *run) dismiss(now time.Time, blocked bool, wake *alarm) {
	var longest *slot
	for _, sl := range r.slots {
		switch {
		case sl.begun.IsZero():
		case r.Brief && !r.again:
			if sl.leave != nil && wake.passed(sl.begun.Add(turn), now) {
				sl.dismiss()
			}
		case longest == nil || sl.begun.Before(longest.begun):
			longest = sl
		}
	}
	if r.again && blocked && r.spare == r.Spare && longest != nil && longest.leave != nil && wake.passed(longest.begun.Add(turn), now) {
		longest.dismiss()
	}
}

func (sl *slot) dismiss() {
	close(sl.leave)
	sl.leave = nil
}

// poll polls an account once the state is usable.
func (r *run) poll(a *Account, leave <-chan struct{}) Report {
	if r.again && r.Reopen != nil {
		if err := r.Reopen(); err != nil {
			return Report{Account: a.Name, Err: &AccountError{a.Name, []error{&StateError{err}}}}
		}
	}
	report, _ := a.poll(r.ctx, leave)
	return report
}

// mayRecover reports whether a state that has failed may work again when it is opened
// anew, as after a full disk.
func mayRecover(err error) bool {
	for _, lasting := range []error{state.ErrDamaged, state.ErrVersion, state.ErrGone, state.ErrLost, state.ErrClosed, state.ErrReadOnly} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return true
}

func (r *run) finished(res result) {
	sl, report := res.slot, res.report
	r.count(sl, -1)
	sl.begun = time.Time{}
	if r.delivered == 0 {
		r.since = time.Now()
	}
	r.delivered += report.Delivered
	r.reschedule(sl, report)
	if Classify(report.Err) == State && !(r.again && r.Reopen != nil && mayRecover(report.Err)) {
		r.failed = report.Err
	}
	if r.Done != nil {
		r.Done(report)
	}
}

// round calls Round if something was delivered and no poll is worth waiting for.
func (r *run) round(now time.Time, wake *alarm) {
	if r.Round == nil || r.rounding || r.delivered == 0 || r.running > 0 && !wake.passed(r.since.Add(patience), now) {
		return
	}
	r.rounding = true
	delivered := r.delivered
	r.delivered = 0
	go func() {
		r.Round(r.ctx, delivered)
		r.rounded <- struct{}{}
	}()
}

// reschedule sets when the account is polled again, if it is.
func (r *run) reschedule(sl *slot, report Report) {
	if !r.again {
		sl.due = time.Time{}
		if report.Err != nil {
			r.errs = append(r.errs, report.Err)
		}
		return
	}
	sl.failures++
	if report.Err == nil || ofMessages(report.Err) {
		sl.failures = 0
	}
	sl.due = next(sl, report)
}
