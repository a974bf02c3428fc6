package fetch

import "time"

// AccountStatus is where an account stands in the schedule. Its times are those of the
// wall clock; zero means none.
type AccountStatus struct {
	Name     string
	Begun    time.Time // of the poll under way
	Waiting  bool      // due, and waiting for its place among the polls under way
	Ended    time.Time // of the latest poll
	Last     Report    // of that poll
	Failures int       // polls in a row that failed for the account as a whole
	Next     time.Time // when it is polled again; zero while it is polled or waits
	Why      Reason    // for Next
}

// Status returns where the accounts stand, in the order in which they were set. Loop
// or Once need not run.
func (s *Scheduler) Status() []AccountStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.latest()
	all := make([]AccountStatus, 0, len(r.slots))
	for _, sl := range r.slots {
		st := AccountStatus{Name: sl.Name, Ended: r.clock.date(sl.ended), Failures: sl.failures}
		if sl.last != nil {
			st.Last = *sl.last
		}
		switch {
		case sl.index >= 0:
			st.Next, st.Why = r.clock.date(sl.due), sl.why
		case sl.polling():
			st.Begun = r.clock.date(sl.current.begun)
		default:
			st.Waiting = !sl.due.IsZero()
		}
		all = append(all, st)
	}
	return all
}
