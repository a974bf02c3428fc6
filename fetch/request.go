package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// UnknownAccountError: no account has this name.
type UnknownAccountError struct{ Account string }

func (e *UnknownAccountError) Error() string {
	return fmt.Sprintf("account %q is not among those that are polled", e.Account)
}

// BusyError: the account is not polled on request, since a poll of it that began some
// time ago is under way.
type BusyError struct{ Since time.Time }

func (e *BusyError) Error() string {
	return fmt.Sprintf("a poll of it has been running since %s; try again when that has ended", e.Since.Format(time.DateTime))
}

// Poll polls the named accounts now, all if none is named, and returns when they are
// done. A poll that began less than a minute ago or waits for its place is joined. done
// is called for each account, one call at a time, from the goroutine of the caller; an
// account that is not polled now has a report whose error wraps a *BusyError,
// ErrStopped or a failure of the state, or that has TooSoon.
//
// The error is a *UnknownAccountError (then nothing is polled), ErrStopped after the end
// of Once or Loop, or the cause of the end of ctx; the polls go on then. Before Once or
// Loop it waits for them to begin.
func (s *Scheduler) Poll(ctx context.Context, names []string, done func(Report)) error {
	return s.request(ctx, names, false, done)
}

// PollKeeping is Poll, but nothing is deleted on the servers. It does not join a poll
// that may delete.
func (s *Scheduler) PollKeeping(ctx context.Context, names []string, done func(Report)) error {
	return s.request(ctx, names, true, done)
}

func (s *Scheduler) request(ctx context.Context, names []string, keep bool, done func(Report)) error {
	s.mu.Lock()
	r := s.latest()
	chosen, err := r.find(names)
	if err == nil && r.ended {
		err = ErrStopped
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	answers := make(chan Report, len(chosen)) // never blocks the scheduler
	r.requests++
	for _, sl := range chosen {
		r.request(sl, keep, answers)
	}
	r.poke()
	s.mu.Unlock()
	defer r.requested()
	for range chosen {
		select {
		case report := <-answers:
			done(report)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// requested ends a call that keeps Once from ending.
func (r *run) requested() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests--
	r.poke()
}

// find returns the slots of the named accounts, of all that are scheduled if none is named.
func (r *run) find(names []string) ([]*slot, error) {
	var found []*slot
	named := make(map[string]bool, len(names)) // false once it is found
	for _, name := range names {
		named[name] = true
	}
	for _, sl := range r.slots {
		_, is := named[sl.Name]
		if len(names) == 0 && !sl.OnRequest || is {
			found = append(found, sl)
		}
		if is {
			named[sl.Name] = false
		}
	}
	for _, name := range names {
		if named[name] {
			return nil, &UnknownAccountError{name}
		}
	}
	return found, nil
}

// request has sl polled now, and answers with the report.
func (r *run) request(sl *slot, keep bool, answers chan<- Report) {
	now := r.clock.now()
	if sl.polling() && (now.Sub(sl.current.begun) >= patience || keep && !sl.keeps()) {
		answers <- sl.refused(&BusyError{r.clock.date(sl.current.begun)})
		return
	}
	sl.wishes.answers = append(sl.wishes.answers, answers)
	sl.wishes.keep = sl.wishes.keep || keep
	if r.waiting.remove(sl) || !sl.polling() && !sl.queued {
		sl.due = now
		r.ready.add(sl)
	}
}

// abandon answers those that wait for polls which do not begin any more.
func (r *run) abandon() {
	why := r.failed
	if why == nil {
		why = ErrStopped
	}
	for _, sl := range r.ready.all() {
		sl.answer(sl.refused(why))
	}
}

// refused is the report of an account that is not polled.
func (sl *slot) refused(why error) Report {
	var of *AccountError
	if errors.As(why, &of) && of.Account == sl.Name {
		return Report{Account: sl.Name, Err: why}
	}
	return Report{Account: sl.Name, Err: &AccountError{sl.Name, []error{why}}}
}

// answer tells those that wait for the account what has come of it.
func (sl *slot) answer(report Report) {
	for _, answer := range sl.wishes.answers {
		answer <- report
	}
	sl.wishes.answers = nil
}
