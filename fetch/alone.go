package fetch

import (
	"context"
	"slices"
	"time"
)

// AloneError: something else is done to the maildrop of the account, see Scheduler.Alone.
type AloneError struct{}

func (*AloneError) Error() string {
	return "another command works on its maildrop; try again when that has ended"
}

// Alone calls fn with the named account while it is not polled, after the end of a poll
// that began less than a minute ago. Polls that become due meanwhile begin after it. The
// context of fn ends with ctx and with that of Once or Loop.
//
// It returns the error of fn, a *UnknownAccountError, a *BusyError if a poll has run for
// longer, an *AloneError, ErrStopped after the end of Once or Loop, or the cause of the
// end of ctx. Before Once or Loop it waits for them to begin; they do not end before fn
// has returned.
func (s *Scheduler) Alone(ctx context.Context, name string, fn func(context.Context, *Account) error) error {
	r, account, err := s.withdraw(ctx, name)
	if err != nil {
		return err
	}
	defer r.requested()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(r.alone, account.Key)
		r.poke()
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	select {
	case <-r.begun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer context.AfterFunc(r.ctx, func() { cancel(context.Cause(r.ctx)) })()
	return fn(ctx, account)
}

// withdraw makes the named account one that is not polled, and counts a request.
func (s *Scheduler) withdraw(ctx context.Context, name string) (*run, *Account, error) {
	for {
		s.mu.Lock()
		r := s.latest()
		found, err := r.find([]string{name})
		if err == nil && r.ended {
			err = ErrStopped
		}
		if err != nil {
			s.mu.Unlock()
			return nil, nil, err
		}
		account := found[0].Account
		if r.alone[account.Key] {
			s.mu.Unlock()
			return nil, nil, &AloneError{}
		}
		i := slices.IndexFunc(r.polling, func(sl *slot) bool { return sl.Key == account.Key })
		if i < 0 {
			r.alone[account.Key] = true
			r.requests++
			s.mu.Unlock()
			return r, account, nil
		}
		sl := r.polling[i]
		if r.clock.now().Sub(sl.current.begun) >= patience {
			since := r.clock.date(sl.current.begun)
			s.mu.Unlock()
			return nil, nil, &BusyError{since}
		}
		ended := make(chan Report, 1)
		sl.wishes.answers = append(sl.wishes.answers, ended)
		s.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-time.After(patience): // it may take long
		}
	}
}
