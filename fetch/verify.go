package fetch

import (
	"errors"
	"time"

	"popfetch/fetch/pop3"
	"popfetch/state"
)

// verify looks at the messages whose id was delivered with other octets, or was
// deleted, and returns what is to be retrieved. Some servers announce another size
// for the same message (an estimate, then the real one), or bring back what they
// have deleted; some give an old id to a new message. The header block tells.
func (p *poll) verify(plan Plan) (Items, error) {
	items := plan.Retrieve
	if plan.Verify.Len() == 0 {
		return items, nil
	}
	twins := twinsOf(plan)
	p.unseen = make(map[string]state.Record)
	next := 0
	for m, err := range p.session.Top(plan.Verify.nums(), 0) {
		if next == plan.Verify.Len() {
			return Items{}, err
		}
		it, i := plan.Verify.At(next), plan.Verify.index[next]
		next++
		shown, err := headerOf(m, err)
		if err != nil {
			return Items{}, err
		}
		if p.recogniseSeen(it, shown, twins[it.UID()]) {
			continue
		}
		if shown == [16]byte{} {
			p.unseen[it.ID] = it.Record
		} else {
			p.log.Info("another message has the unique-id of a delivered one; it is fetched", "num", it.Num, "uid", it.UID())
		}
		it.Record = state.Record{}
		if p.Policy.MaxOctets > 0 && it.Octets > p.Policy.MaxOctets {
			p.report.Skipped++
			p.leave(it)
			continue
		}
		items.index = append(items.index, i)
	}
	return items, nil
}

// headerOf returns the digest of the header block that the server shows, zero
// where it does not show it.
func headerOf(m *pop3.Message, err error) (sum [16]byte, _ error) {
	var refused *pop3.ResponseError
	if errors.As(err, &refused) {
		return sum, nil
	}
	if err != nil {
		return sum, err
	}
	return digestOf(m.Body)
}

// twinsOf returns by unique-id the records that a message to be verified may
// belong to: messages that share a unique-id change places when one of them goes.
func twinsOf(plan Plan) map[string][]state.Record {
	twins := make(map[string][]state.Record)
	for it := range plan.Verify.All() {
		twins[it.UID()] = append(twins[it.UID()], it.Record)
	}
	for _, e := range plan.Twins {
		if uid := (Listed{ID: e.ID}).UID(); twins[uid] != nil {
			twins[uid] = append(twins[uid], e.Record)
		}
	}
	return twins
}

// recogniseSeen says whether a message was delivered before, and keeps its record
// true then. Where the server does not show the header block, another size is no
// reason to deliver a message again; but an id whose message was deleted is.
func (p *poll) recogniseSeen(it Item, shown [16]byte, twins []state.Record) bool {
	if shown == [16]byte{} || it.Record.Digest == [16]byte{} {
		if it.Record.Deleted {
			return false
		}
		p.report.Seen++
		return true
	}
	for _, r := range twins {
		if r.Digest != shown || r.Deleted && r.Octets >= 0 && it.Octets >= 0 && r.Octets != it.Octets {
			continue
		}
		r.Octets, r.Deleted = it.Octets, false
		r.Absent, r.Absences = time.Time{}, 0
		p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: r})
		p.report.Seen++
		if p.Policy.Delete && age(r, time.Now()) >= p.Policy.After && it.Record.Deleted && !it.Repeated {
			p.removable = append(p.removable, removable{it.Num, state.Entry{ID: it.ID, Record: r}})
		}
		return true
	}
	return false
}

// hadBefore says whether a message that was retrieved, because its header block
// was not shown, is the one that was delivered and deleted under its id. The
// server has not deleted it then; the next poll asks again.
func (p *poll) hadBefore(it Item, b *body) bool {
	r, ok := p.unseen[it.ID]
	if !ok || r.Digest != b.digest.Sum() || r.Octets >= 0 && it.Octets >= 0 && r.Octets != it.Octets {
		return false
	}
	r.Deleted, r.Absent, r.Absences = false, time.Time{}, 0
	p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: r})
	p.report.Seen++
	return true
}
