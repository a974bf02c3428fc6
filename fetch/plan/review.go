package plan

import (
	"time"

	"popfetch/state"
)

// Review is the second step of a plan. It decides about the messages in
// Plan.Verify, whose id was delivered with other octets or was deleted, once the
// server has shown their header blocks. Some servers announce another size for the
// same message (an estimate first, the real size later) or bring back what they
// have deleted; some give an old id to a new message.
type Review struct {
	policy Policy
	// records has by unique-id the records that a message may belong to: messages
	// that share a unique-id change places when one of them goes.
	records map[string][]state.Record
}

// Review begins the second step.
func (p Plan) Review(policy Policy) *Review {
	r := &Review{policy, make(map[string][]state.Record)}
	for it := range p.Verify.All() {
		r.records[it.UID()] = append(r.records[it.UID()], it.Record)
	}
	for _, e := range p.Twins {
		if uid := (Listed{ID: e.ID}).UID(); r.records[uid] != nil {
			r.records[uid] = append(r.records[uid], e.Record)
		}
	}
	return r
}

// Finding is what a Review says about one message.
type Finding struct {
	// Verdict is Seen or Due for a delivered message, Fresh for one to retrieve,
	// TooBig for one that stays on the server for its size.
	Verdict Verdict
	// Record is to be stored for a delivered message, unless it is zero.
	Record state.Record
	// Unseen reports that a message is to be retrieved because its header block was
	// not shown: it may be the delivered one, see Returned.
	Unseen bool
}

// Judge decides about a message of Plan.Verify. shown is the digest of its header
// block, zero if the server did not show it. Without a header block another size
// is no reason to deliver a message again, but an id whose message was deleted is.
func (r *Review) Judge(it Item, shown [16]byte) Finding {
	comparable := shown != [16]byte{} && it.Record.Digest != [16]byte{}
	if !comparable && !it.Record.Deleted {
		return Finding{Verdict: Seen}
	}
	if comparable {
		if found, ok := r.delivered(it, shown); ok {
			return found
		}
	}
	if r.policy.exceeds(it.Octets) {
		return Finding{Verdict: TooBig, Unseen: shown == [16]byte{}}
	}
	return Finding{Verdict: Fresh, Unseen: shown == [16]byte{}}
}

// delivered looks for the record of a message with this header block.
func (r *Review) delivered(it Item, shown [16]byte) (Finding, bool) {
	for _, record := range r.records[it.UID()] {
		if record.Digest != shown || record.Deleted && otherSize(record, it) {
			continue
		}
		record.Octets = it.Octets
		f := Finding{Verdict: Seen, Record: restored(record)}
		if r.policy.DeletesAtOnce() && it.Record.Deleted && !it.Repeated {
			f.Verdict = Due
		}
		return f, true
	}
	return Finding{}, false
}

// Returned compares a message that was retrieved because its header block was not
// shown with the one that was delivered and deleted under its id. It returns the
// record to store if both are the same message.
func Returned(it Item, deleted state.Record, digest [16]byte) (state.Record, bool) {
	if deleted.Digest != digest || otherSize(deleted, it) {
		return state.Record{}, false
	}
	return restored(deleted), true
}

// otherSize reports whether both sizes are known and differ.
func otherSize(r state.Record, it Item) bool {
	return r.Octets >= 0 && it.Octets >= 0 && r.Octets != it.Octets
}

// restored is the record of a message that is on the server after all.
func restored(r state.Record) state.Record {
	r.Deleted, r.Absent, r.Absences = false, time.Time{}, 0
	return r
}
