package fetch

import (
	"context"
	"errors"
	"slices"
	"time"

	"popfetch/state"
)

// run is one call of Once or Loop. Scheduler.mu guards it, except in Done, Round and
// Beat; only the goroutine of Once or Loop begins and ends polls.
type run struct {
	*Scheduler
	ctx   context.Context
	again bool // accounts are polled again at their intervals
	clock clock
	poked chan struct{} // holds one element after a change from outside
	begun chan struct{} // closed when ctx and again are set
	ended bool          // no further request is taken

	slots    []*slot // of all accounts
	waiting  dueHeap // those that are due later
	ready    queue   // those that are due and wait for a place
	polling  []*slot // those whose poll is under way, the one that has run longest first
	places   places
	requests int             // calls of Poll and Alone that have not returned
	alone    map[string]bool // keys of maildrops that are not polled now, see Alone

	results   chan result
	delivered int           // messages since Round was last called
	since     time.Time     // the first of these was reported
	rounding  bool          // Round has not returned
	rounded   chan struct{} // receives when Round returns
	errs      []error       // of accounts that are not polled again
	failed    error         // the state failed: no poll begins any more
}

// result is a poll that has ended.
type result struct {
	slot   *slot
	report Report
}

// latest returns the run that is under way, ended, or not begun yet. s.mu is held.
func (s *Scheduler) latest() *run {
	if s.run == nil {
		s.run = &run{
			Scheduler: s,
			clock:     clock{wall: s.Wall},
			places:    places{parallel: s.Parallel, perHost: s.PerHost, spare: s.Spare, hosts: make(map[string]int)},
			alone:     make(map[string]bool),
			poked:     make(chan struct{}, 1),
			begun:     make(chan struct{}),
			results:   make(chan result),
			rounded:   make(chan struct{}),
		}
		s.run.set(s.Accounts)
	}
	return s.run
}

// begin makes the run the one of a call of Once (again is false) or Loop.
func (s *Scheduler) begin(ctx context.Context, again bool) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil && s.run.ended {
		s.run = nil
	}
	r := s.latest()
	r.ctx, r.again = ctx, again
	close(r.begun)
	return r
}

// wait starts the polls that are due and waits for the next event, until no poll is
// under way and none will be due.
func (r *run) wait() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		sleep, over := r.step()
		if over {
			return
		}
		if r.Beat != nil {
			r.Beat()
		}
		var ring <-chan time.Time
		if sleep > 0 {
			timer.Reset(sleep)
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
		case <-r.poked:
		case <-ring:
		case <-stop:
		}
	}
}

// step does what is to be done now. It returns how long nothing else is to be done, 0 =
// until an event, and whether the run is over.
func (r *run) step() (sleep time.Duration, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.now()
	wake := alarm{now: now}
	r.release(&wake)
	blocked := false
	if r.idle() {
		r.abandon()
	} else {
		blocked = r.launch(&wake)
	}
	r.dismiss(blocked, &wake)
	r.round(&wake)
	if len(r.polling) == 0 && wake.at.IsZero() && !r.rounding && len(r.alone) == 0 && (r.idle() || !r.again && r.requests == 0) {
		r.ended = true
		return 0, true
	}
	if r.again {
		every := r.BeatEvery
		if every == 0 {
			every = beatEvery
		}
		wake.passed(now.Add(every))
	}
	if wake.at.IsZero() {
		return 0, false
	}
	return wake.at.Sub(now), false
}

// poke makes the run look at what another goroutine has changed.
func (r *run) poke() {
	select {
	case r.poked <- struct{}{}:
	default:
	}
}

// idle reports whether no poll begins any more.
func (r *run) idle() bool { return r.failed != nil || r.ctx.Err() != nil }

// launch polls the accounts that are due, within the limits, the one that has waited
// longest first. It reports whether the limits have kept an account waiting.
func (r *run) launch(wake *alarm) (blocked bool) {
	for len(r.waiting) > 0 && wake.passed(r.waiting[0].due) {
		r.ready.add(r.waiting.take())
	}
	r.ready.again()
	for !r.places.full() {
		sl := r.ready.next(r.places.free, func(sl *slot) bool { return r.taken(sl.Key) })
		if sl == nil {
			break
		}
		r.launchOne(sl, wake.now)
		wake.passed(wake.now.Add(patience))
	}
	return r.ready.blocked()
}

func (r *run) launchOne(sl *slot, now time.Time) {
	current, account := sl.begin(now), sl.toPoll()
	r.polling = append(r.polling, sl)
	r.places.count(sl, 1)
	go func() {
		r.results <- result{sl, r.poll(account, current.leave)}
	}()
}

// poll polls an account once the state is usable.
func (r *run) poll(a *Account, leave <-chan struct{}) Report {
	if r.again && r.Reopen != nil {
		if err := r.Reopen(); err != nil {
			return Report{Account: a.Name, Key: a.Key, Err: &AccountError{a.Name, []error{&StateError{err}}}}
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

// finished takes note of the end of a poll and reports it.
func (r *run) finished(res result) {
	r.mu.Lock()
	sl, report := res.slot, res.report
	if sl.removed {
		report.Err = withoutTurn(report.Err)
	}
	now := r.clock.now()
	r.polling = slices.DeleteFunc(r.polling, func(other *slot) bool { return other == sl })
	r.leave(sl)
	if r.delivered == 0 {
		r.since = now
	}
	r.delivered += report.Delivered
	sl.end(report, now)
	if Classify(report.Err) == State && !(r.again && r.Reopen != nil && mayRecover(report.Err)) {
		r.failed = report.Err
	}
	if r.again && !sl.removed && !sl.OnRequest {
		sl.reschedule(now)
		r.waiting.put(sl)
		report.Next = r.clock.date(sl.due)
	}
	if !r.again && report.Err != nil && !sl.OnRequest && !sl.counted {
		r.errs = append(r.errs, report.Err)
	}
	sl.counted = true
	answers := sl.wishes.answers
	sl.wishes.answers = nil
	r.mu.Unlock()
	if r.Done != nil {
		r.Done(report)
	}
	for _, answer := range answers {
		answer <- report
	}
}

// round calls Round if something was delivered and no poll is worth waiting for.
func (r *run) round(wake *alarm) {
	if r.Round == nil || r.rounding || r.delivered == 0 || r.places.running > 0 && !wake.passed(r.since.Add(patience)) {
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
