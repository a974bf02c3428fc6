package plan

import (
	"bytes"
	"time"

	"popfetch/state"
)

// An id is forgotten once complete listings have lacked it for forgetAfter and
// forgetAbsences of them were counted, one at most in countEvery. A few empty or
// partial listings must not make a year of mail new again, whatever the time between
// them.
const (
	forgetAfter    = 30 * 24 * time.Hour
	forgetAbsences = 5
	countEvery     = 24 * time.Hour
)

// recently is how long an id that has vanished may still belong to a maildrop
// that comes back under other ids: a server that is being moved may list nothing
// for a while.
const recently = 14 * 24 * time.Hour

// agedAtOnce limits the records of absent or returned ids that one poll changes,
// and those that it forgets. Later polls deal with the rest.
const agedAtOnce = 10_000

// recent reports whether a message was delivered, was listed until recently, and
// was not deleted by popfetch: a maildrop whose unique-ids have changed may list it
// under another id.
func recent(r state.Record, now time.Time) bool {
	return r.Seen() && !r.Deleted && (r.Absent.IsZero() || now.Sub(r.Absent) < recently)
}

// absent deals with a record whose id the listing lacks.
func (d *decision) absent(id []byte, r state.Record) {
	handed := !r.Seen() && r.Fingerprint != Fingerprint{} // perhaps: its delivery id has to stay with it
	if recent(r, d.when.Steady) || handed {
		d.missing++
	}
	if !r.Seen() && len(d.gone) < agedAtOnce {
		d.gone = append(d.gone, string(id))
	}
	d.unlisted = d.unlisted || r.Seen()
	if uid, _, twin := bytes.Cut(id, []byte(twinMark)); twin && len(uid) > 0 && len(d.twinsGone) < agedAtOnce {
		if d.twinsGone == nil {
			d.twinsGone = make(map[string]bool)
		}
		d.twinsGone[string(uid)] = true
	}
	if !d.loose.add(looseRecord{state.Entry{ID: string(id), Record: r}, false}) {
		d.countAbsence(id, r)
	}
}

// countAbsence counts that a complete listing lacks an id, and forgets the id once
// there are enough of these.
func (d *decision) countAbsence(id []byte, r state.Record) {
	now := d.when.Steady
	sinceCount := now.Sub(r.Counted)
	switch {
	case r.Absent.IsZero():
		r.Absent, r.Counted, r.Absences = now, now, 1
	case sinceCount < 0: // the clock was set back
		r.Counted = now
		if r.Absent.After(now) {
			r.Absent = now
		}
	case sinceCount < countEvery:
		return
	case r.Absences+1 >= forgetAbsences && now.Sub(r.Absent) >= forgetAfter:
		if len(d.Forget) < agedAtOnce {
			d.Forget = append(d.Forget, string(id))
		}
		return
	case r.Absences >= forgetAbsences: // counting further would only write
		return
	default:
		r.Absences, r.Counted = r.Absences+1, now
	}
	d.aged(id, r)
}

// forgetUndelivered forgets records of undelivered messages that are not listed, if
// there are more records of undelivered messages than MaxUndelivered.
func (d *decision) forgetUndelivered() {
	n := min(max(0, d.Undelivered-MaxUndelivered/2), len(d.gone))
	if d.Undelivered <= MaxUndelivered {
		n = 0
	}
	d.Undelivered -= n
	d.Forget = append(d.Forget, d.gone[:n]...)
}

// aged has a record stored whose absence has begun, goes on or is over.
func (d *decision) aged(id []byte, r state.Record) {
	if len(d.Aged) < agedAtOnce {
		d.Aged = append(d.Aged, state.Entry{ID: string(id), Record: r})
	}
}
