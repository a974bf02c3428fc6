package fetch

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"
)

// Scheduler polls accounts, several at a time.
type Scheduler struct {
	Accounts []*Account
	Parallel int // polls at a time, at least 1
	PerHost  int // of these, to one host, at least 1
	// Done is called after each poll, one call at a time.
	Done func(Report)
	// Round is called when polls have delivered something and no poll is under way.
	// Polls go on meanwhile; there is one call at a time. nil = not called.
	Round func(ctx context.Context, delivered int)
	Log   *slog.Logger
}

// slot is one account's place in the schedule.
type slot struct {
	*Account
	due      time.Time // zero: not again
	running  bool
	failures int // polls in a row that failed for the account as a whole
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
// way, and returns nil. It returns earlier, with an error, only if the state has
// failed: without records everything would be delivered twice.
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
	running   int
	results   chan result
	delivered int           // messages since Round was last called
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
		wake := r.launch()
		if r.running == 0 && wake.IsZero() && !r.rounding {
			return
		}
		var alarm <-chan time.Time
		if !wake.IsZero() {
			timer.Reset(time.Until(wake))
			alarm = timer.C
		}
		var stop <-chan struct{}
		if !r.idle() {
			stop = r.ctx.Done()
		}
		select {
		case res := <-r.results:
			r.finished(res)
			r.round()
		case <-r.rounded:
			r.rounding = false
			r.round()
		case <-alarm:
		case <-stop:
		}
	}
}

// idle reports that no poll begins any more.
func (r *run) idle() bool { return r.failed != nil || r.ctx.Err() != nil }

// launch polls every account that is due, within the limits, the one that has waited
// longest first. It returns when the next account will be due, zero if none will.
func (r *run) launch() (wake time.Time) {
	if r.idle() {
		return time.Time{}
	}
	now := time.Now()
	slices.SortStableFunc(r.slots, func(a, b *slot) int { return a.due.Compare(b.due) })
	for _, sl := range r.slots {
		switch {
		case sl.running || sl.due.IsZero():
		case sl.due.After(now):
			if wake.IsZero() || sl.due.Before(wake) {
				wake = sl.due
			}
		case r.running < r.Parallel && r.perHost[sl.Host] < r.PerHost:
			r.launchOne(sl)
		}
	}
	return wake
}

func (r *run) launchOne(sl *slot) {
	sl.running = true
	r.running++
	r.perHost[sl.Host]++
	go func() {
		report, _ := sl.Poll(r.ctx)
		r.results <- result{sl, report}
	}()
}

func (r *run) finished(res result) {
	sl, report := res.slot, res.report
	sl.running = false
	r.running--
	r.perHost[sl.Host]--
	r.delivered += report.Delivered
	r.reschedule(sl, report)
	if Classify(report.Err) == State {
		r.failed = report.Err
	}
	if r.Done != nil {
		r.Done(report)
	}
}

// round calls Round if no poll is under way and something was delivered.
func (r *run) round() {
	if r.Round == nil || r.rounding || r.running > 0 || r.delivered == 0 {
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
