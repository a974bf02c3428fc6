package fetch

import (
	"errors"
	"slices"
)

// SetAccounts replaces the accounts. One that was there before, the same pointer, is not
// disturbed. A new one is polled at once. One that is gone is not polled again; a poll of
// it that is under way ends in order: it receives the message in hand, deletes what is
// delivered, and quits. A new account for the same maildrop waits for that.
func (s *Scheduler) SetAccounts(accounts []*Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.latest()
	r.set(accounts)
	r.poke()
}

// SetLimits replaces Parallel, PerHost and Spare. Polls under way go on.
func (s *Scheduler) SetLimits(parallel, perHost, spare int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.latest()
	r.places.parallel, r.places.perHost, r.places.spare = parallel, perHost, spare
	r.ready.restart()
	r.poke()
}

func (r *run) set(accounts []*Account) {
	gone := make(map[*Account]*slot, len(r.slots))
	for _, sl := range r.slots {
		gone[sl.Account] = sl
	}
	now := r.clock.now()
	slots := make([]*slot, 0, len(accounts))
	for _, a := range accounts {
		sl := gone[a]
		delete(gone, a)
		if sl == nil {
			sl = &slot{Account: a, index: -1, failures: a.Failures, why: ForFailures}
			pause := a.Next.Sub(r.clock.onTheWall())
			switch {
			case a.OnRequest:
			case pause > 0 && pause <= mostPause:
				sl.due = now.Add(pause)
				r.waiting.put(sl)
			default:
				sl.due = now
				r.ready.add(sl)
			}
		}
		slots = append(slots, sl)
	}
	r.slots = slots
	if len(gone) > 0 {
		r.ready.remove(func(sl *slot) bool { return gone[sl.Account] == sl })
	}
	for _, sl := range gone {
		r.retire(sl)
	}
}

// retire takes an account out of the schedule.
func (r *run) retire(sl *slot) {
	r.waiting.remove(sl)
	sl.removed = true
	if sl.polling() {
		sl.current.dismiss()
		return
	}
	sl.answer(sl.refused(&UnknownAccountError{sl.Name}))
}

// taken reports whether a maildrop must not be polled now.
func (r *run) taken(key string) bool { return r.alone[key] || r.retires(key) }

// retires reports whether a poll of an account that was removed still uses a maildrop.
func (r *run) retires(key string) bool {
	return slices.ContainsFunc(r.polling, func(sl *slot) bool { return sl.removed && sl.Key == key })
}

// withoutTurn returns err without errTurn, which is no failure of an account that was
// removed.
func withoutTurn(err error) error {
	var of *AccountError
	if !errors.As(err, &of) {
		return err
	}
	errs := slices.DeleteFunc(slices.Clone(of.Errs), func(err error) bool { return err == errTurn })
	if len(errs) == 0 {
		return nil
	}
	return &AccountError{of.Account, errs}
}
