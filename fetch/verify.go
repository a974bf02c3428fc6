package fetch

import (
	"errors"
	"iter"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// showHeaders asks for the header block of each of the items (TOP n 0) and calls
// got with its place among the items and its digest, zero if the server refuses to
// show it.
func (v *visit) showHeaders(items plan.Items, got func(k int, digest [16]byte)) error {
	k := 0
	for m, err := range v.session.Top(items.Nums(), 0) {
		var refused *pop3.ResponseError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		var digest [16]byte
		if refused == nil {
			if digest, err = plan.DigestOf(m.Body); err != nil {
				return err
			}
		}
		got(k, digest)
		k++
	}
	return nil
}

// verify looks at the header blocks of the messages that the plan could not decide
// about, and returns what is to be retrieved.
func (v *visit) verify() (plan.Items, error) {
	items, doubtful := v.plan.Retrieve, v.plan.Verify
	if doubtful.Len() == 0 {
		return items, nil
	}
	review := v.plan.Review(v.Policy)
	v.unseen = make(map[string]state.Record)
	err := v.showHeaders(doubtful, func(k int, digest [16]byte) {
		it := doubtful.At(k)
		if v.noteFinding(it, review.Judge(it, digest)) {
			items = items.With(doubtful, k)
		}
	})
	return items, err
}

// noteFinding acts on what a review says about a message, and reports whether it is
// to be retrieved.
func (v *visit) noteFinding(it plan.Item, found plan.Finding) (retrieve bool) {
	if found.Verdict == plan.Seen || found.Verdict == plan.Due {
		v.seen++
		entry := state.Entry{ID: it.ID, Record: found.Record}
		if found.Record != (state.Record{}) {
			v.ledger.Put(entry)
		}
		if found.Verdict == plan.Due {
			v.settler.Removable = append(v.settler.Removable, settle.Removable{Num: it.Num, Entry: entry})
		}
		return false
	}
	if found.Unseen {
		v.unseen[it.ID] = it.Record
	} else {
		v.log.Info("another message has the unique-id of a delivered one; it is fetched", "num", it.Num, "uid", it.UID())
	}
	if found.Verdict == plan.TooBig {
		it.Record = state.Record{}
		v.skipped++
		v.leave(it)
		return false
	}
	return true
}

// cameBack reports whether a message that was retrieved because its header block
// was not shown is the one that was delivered and deleted under its id: the server
// did not delete it. The next poll asks again.
func (v *visit) cameBack(it plan.Item, digest [16]byte) bool {
	deleted, ok := v.unseen[it.ID]
	if !ok {
		return false
	}
	record, ok := plan.Returned(it, deleted, digest)
	if ok {
		v.ledger.Put(state.Entry{ID: it.ID, Record: record})
		v.seen++
	}
	return ok
}

// recognise compares the header blocks of a renumbered maildrop, gives the records
// of known messages to their new ids, and plans anew. If most are unknown the
// account stops.
func (v *visit) recognise() error {
	v.log.Warn("the server has changed all unique-ids; comparing header blocks", "known", v.plan.Missing, "listed", v.listing.Len())
	var match plan.Match
	now := time.Now()
	err := v.memory.Scan(func(known iter.Seq2[[]byte, state.Record]) { match.KnowRecent(known, now) })
	if err != nil {
		return err
	}
	if err := v.show(&match, v.listing.Items(func(int) bool { return true })); err != nil {
		return err
	}
	if !match.Enough(v.plan.Missing) {
		return &RenumberedError{v.plan.Missing, v.listing.Len(), match.Found}
	}
	if err := v.ledger.CommitOnly(match.Change); err != nil {
		return err
	}
	v.log.Warn("recognised messages under their new unique-ids; they are not fetched again", "messages", match.Found)
	return v.compare(time.Now())
}

// show looks for each of the items in match. An item whose header block the server
// refuses to show is not found.
func (v *visit) show(match *plan.Match, items plan.Items) error {
	return v.because(v.showHeaders(items, func(k int, digest [16]byte) {
		if digest != [16]byte{} {
			match.Show(items.At(k).Listed, digest)
		}
	}))
}
