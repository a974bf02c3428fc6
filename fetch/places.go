package fetch

import "time"

// places are the limits on the polls under way, and what counts against them.
type places struct {
	parallel, perHost, spare int
	running                  int            // polls that count against parallel
	spared                   int            // polls that count against spare
	hosts                    map[string]int // polls that count against perHost, by host
}

// full reports whether no account may be polled beside those under way.
func (p *places) full() bool { return p.running >= p.parallel }

// free reports whether the account may be polled beside those under way.
func (p *places) free(sl *slot) bool {
	return !p.full() && p.hosts[sl.server()] < p.perHost
}

// count adds n to what the poll of sl that is under way counts against.
func (p *places) count(sl *slot, n int) {
	if sl.current.spare {
		p.spared += n
		return
	}
	p.running += n
	if p.hosts[sl.server()] += n; p.hosts[sl.server()] == 0 {
		delete(p.hosts, sl.server())
	}
}

// leave gives back the place of the poll of sl that is under way.
func (r *run) leave(sl *slot) {
	r.places.count(sl, -1)
	r.ready.release(sl.server())
}

// release makes polls that have run for long count against Spare.
func (r *run) release(wake *alarm) {
	for _, sl := range r.polling {
		if !sl.current.spare && r.places.spared < r.places.spare && wake.passed(sl.current.begun.Add(patience)) {
			r.leave(sl)
			sl.current.spare = true
			r.places.count(sl, 1)
		}
	}
}

// dismiss asks polls to end whose turn is over: with Brief all of them, in a loop the
// one that has run longest if an account waits for its place.
func (r *run) dismiss(blocked bool, wake *alarm) {
	if r.again && !(blocked && r.places.spared >= r.places.spare) || !r.again && !r.Brief {
		return
	}
	for _, sl := range r.polling {
		if !sl.current.dismissed && wake.passed(sl.current.begun.Add(turn)) {
			sl.current.dismiss()
		}
		if r.again {
			return
		}
	}
}

// alarm is the time of the next thing to do; zero: none.
type alarm struct{ now, at time.Time }

// passed reports whether t has come; if not, the alarm rings at t at the latest.
func (a *alarm) passed(t time.Time) bool {
	if !t.After(a.now) {
		return true
	}
	if a.at.IsZero() || t.Before(a.at) {
		a.at = t
	}
	return false
}
