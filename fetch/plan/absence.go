package plan

import (
	"bytes"
	"time"

	"popfetch/state"
)

// An id is forgotten once complete listings have lacked it for forgetAfter, on at
// least forgetAbsences days. One empty or partial listing must not make a year of
// mail new again.
const (
	forgetAfter    = 30 * 24 * time.Hour
	forgetAbsences = 3
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

// absent counts the days on which a complete listing lacked id, and forgets it
// once there are enough of them.
func (d *decision) absent(id []byte, r state.Record) {
	if bytes.Contains(id, []byte(twinMark)) {
		d.Twins = append(d.Twins, state.Entry{ID: string(id), Record: r})
	}
	if recent(r, d.now) {
		d.Missing++
		d.MissingOctets += max(r.Octets, 0)
	}
	switch {
	case r.Absent.IsZero():
		r.Absent, r.Absences = d.now, 1
	case r.Absences >= forgetAbsences && d.now.Sub(r.Absent) >= forgetAfter:
		if len(d.Forget) < agedAtOnce {
			d.Forget = append(d.Forget, string(id))
		}
		return
	case r.Absences < forgetAbsences && d.now.Sub(r.Absent) >= time.Duration(r.Absences)*24*time.Hour:
		r.Absences++
	default:
		return
	}
	d.aged(id, r)
}

// aged has a record stored whose absence has begun, goes on or is over.
func (d *decision) aged(id []byte, r state.Record) {
	if len(d.Aged) < agedAtOnce {
		d.Aged = append(d.Aged, state.Entry{ID: string(id), Record: r})
	}
}
