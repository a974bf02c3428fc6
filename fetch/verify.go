package fetch

import (
	"errors"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// verify looks at the header blocks of the messages that the plan could not decide
// about, and returns what is to be retrieved.
func (p *poll) verify(todo plan.Plan) (plan.Items, error) {
	items := todo.Retrieve
	if todo.Verify.Len() == 0 {
		return items, nil
	}
	review := todo.Review(p.Policy)
	p.unseen = make(map[string]state.Record)
	next := 0
	for m, err := range p.session.Top(todo.Verify.Nums(), 0) {
		if next == todo.Verify.Len() {
			return plan.Items{}, err
		}
		it, k := todo.Verify.At(next), next
		next++
		shown, err := headerOf(m, err)
		if err != nil {
			return plan.Items{}, err
		}
		found := review.Judge(it, shown)
		if p.noteFinding(it, found) {
			items = items.With(todo.Verify, k)
		}
	}
	return items, nil
}

// noteFinding acts on what a review says about a message, and reports whether it
// is to be retrieved.
func (p *poll) noteFinding(it plan.Item, found plan.Finding) (retrieve bool) {
	if found.Verdict == plan.Seen || found.Verdict == plan.Due {
		p.report.Seen++
		if found.Record != (state.Record{}) {
			p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: found.Record})
		}
		if found.Verdict == plan.Due {
			p.removable = append(p.removable, removable{it.Num, state.Entry{ID: it.ID, Record: found.Record}})
		}
		return false
	}
	if found.Unseen {
		p.unseen[it.ID] = it.Record
	} else {
		p.log.Info("another message has the unique-id of a delivered one; it is fetched", "num", it.Num, "uid", it.UID())
	}
	if found.Verdict == plan.TooBig {
		it.Record = state.Record{}
		p.report.Skipped++
		p.leave(it)
		return false
	}
	return true
}

// headerOf returns the digest of the header block that the server shows, zero if
// the server refuses to show it.
func headerOf(m *pop3.Message, err error) (sum [16]byte, _ error) {
	var refused *pop3.ResponseError
	if errors.As(err, &refused) {
		return sum, nil
	}
	if err != nil {
		return sum, err
	}
	return plan.DigestOf(m.Body)
}

// cameBack reports whether a message that was retrieved because its header block
// was not shown is the one that was delivered and deleted under its id: the server
// did not delete it. The next poll asks again.
func (p *poll) cameBack(it plan.Item, digest [16]byte) bool {
	deleted, ok := p.unseen[it.ID]
	if !ok {
		return false
	}
	record, ok := plan.Returned(it, deleted, digest)
	if ok {
		p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: record})
		p.report.Seen++
	}
	return ok
}
