package fetch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Scheduler polls accounts, several at a time. Its exported fields are set before Once,
// Loop or any other method is called, and not changed after. While Once or Loop runs,
// the other methods may be called from any goroutine, also from Done and Round.
type Scheduler struct {
	Accounts []*Account // at the beginning, see SetAccounts
	Parallel int        // polls at a time, at least 1
	PerHost  int        // of these, to one host, at least 1
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
	// Beat is called by the goroutine that schedules, in Loop at least once in BeatEvery:
	// as long as it is called, due polls begin. nil = not called.
	Beat      func()
	BeatEvery time.Duration // 0 = half a minute
	// Wall reads the clock that people see, nil = time.Now.
	Wall func() time.Time

	mu  sync.Mutex
	run *run // the latest one; nil before the first
}

const (
	// patience is how long polls and Round wait for a poll that takes long.
	patience = time.Minute
	// turn is how long a poll may take while others need its place.
	turn = 5 * time.Minute
	// beatEvery is the longest sleep of Loop: so late at most it notices that the
	// machine was suspended.
	beatEvery = 30 * time.Second
)

// ErrStopped: the scheduler polls no more.
var ErrStopped = errors.New("popfetch is stopping and polls no more")

// Once polls each account once and returns their errors joined. It goes on while calls of
// Poll and Alone are open, whose errors it does not return. No poll begins after the state
// has failed or ctx has ended; if ctx left accounts out, its cause is among the errors.
func (s *Scheduler) Once(ctx context.Context) error {
	r := s.begin(ctx, false)
	r.wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil && slices.ContainsFunc(r.slots, func(sl *slot) bool { return !sl.due.IsZero() }) {
		r.errs = append(r.errs, context.Cause(ctx))
	}
	return errors.Join(r.errs...)
}

// Loop polls each account at its interval until ctx ends, waits for the polls under
// way, and returns nil. While the state fails the accounts back off. Loop returns
// earlier, with an error, only if the state cannot become usable by itself: without
// records everything would be delivered twice.
func (s *Scheduler) Loop(ctx context.Context) error {
	r := s.begin(ctx, true)
	r.wait()
	return r.failed
}
