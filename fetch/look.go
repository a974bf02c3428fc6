package fetch

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// makePlan lists the maildrop and decides. It asks for sizes only if they matter, or
// if the poll always wants them, and for header blocks where ids are not enough.
func (v *visit) makePlan() error {
	listing, err := v.list()
	if err != nil {
		return v.because(err)
	}
	v.listing = listing
	if !v.alwaysSizes && !v.when.Daily {
		if err := v.compare(); err != nil || v.plan.Idle() {
			return err
		}
	}
	if err := v.listSizes(); err != nil {
		return v.because(err)
	}
	if err := v.compare(); err != nil || !v.records {
		return err
	}
	return v.look()
}

// noHeaders reports whether TOP is of no use: the server does not have it, or has shown
// header blocks with it that are not those of the messages.
func (v *visit) noHeaders() bool {
	c := v.session.Capabilities()
	return c.Known && c.Has("UIDL") && !c.Has("TOP") || v.without.top || v.within(headersFor, v.facts.NoHeaders)
}

// compare makes the plan from the listing, what is recorded, and the header blocks
// that were shown so far.
func (v *visit) compare() error {
	when := v.when
	when.NoHeaders, when.OneDue = v.noHeaders(), v.oneDue
	return v.memory.Scan(func(known iter.Seq2[[]byte, state.Record]) {
		v.plan = plan.New(v.listing, known, v.policy, when, v.shown)
	})
}

// look shows the plan the header blocks that it needs. What they show may make it need
// more of them.
func (v *visit) look() error {
	for v.plan.Look.Len() > 0 {
		v.log.Debug("comparing header blocks", "messages", v.plan.Look.Len())
		if err := v.showHeaders(v.plan.Look.Nums()); err != nil {
			return v.because(err)
		}
		if err := v.compare(); err != nil {
			return err
		}
	}
	return nil
}

// showHeaders asks for the header blocks of messages (TOP n 0) and enters what they
// show in v.shown, nil for a message whose header block the server refuses to show. After
// mostRefusals of them it asks no more.
func (v *visit) showHeaders(nums []int) error {
	return v.readHeaders(nums, func(_ int, header io.Reader) (*plan.Identity, error) { return identityOf(header) })
}

// readHeaders is showHeaders with another function that reads the header block of a
// message to its end.
func (v *visit) readHeaders(nums []int, read func(num int, header io.Reader) (*plan.Identity, error)) error {
	for _, num := range nums {
		v.shown[num] = nil
	}
	k, refusals := 0, 0
	var last *pop3.ResponseError // nil if the latest header block was shown
	for m, err := range v.session.Top(nums, 0) {
		num := nums[k]
		k++
		var refused *pop3.ResponseError
		switch {
		case errors.As(err, &refused):
			last = refused
			if refusals++; refusals < mostRefusals {
				continue
			}
			if v.session.Drain(); v.session.Owed() == 0 {
				return nil
			}
		case err != nil:
			return denied(last, err)
		default:
			last = nil
			if v.shown[num], err = read(num, m.Body); err != nil {
				return fmt.Errorf("TOP %d 0: %w", num, err)
			}
		}
	}
	return v.stillOpen(last)
}

func identityOf(header io.Reader) (*plan.Identity, error) {
	d := plan.NewIdentifier()
	_, err := io.Copy(d, header)
	id := d.Identity()
	return &id, err
}

// apply records what the plan has learned about known messages, and prepares to
// compare received ones with them.
func (v *visit) apply() error {
	if v.plan.Reused > 0 {
		v.log.Warn("the server has given the unique-ids of delivered messages to others, which are fetched", "messages", v.plan.Reused)
	}
	if v.plan.Moved > 0 {
		v.log.Warn("recognised messages under new unique-ids; they are not fetched again", "messages", v.plan.Moved)
	}
	if err := v.ledger.CommitOnly(v.withAbsences(v.plan.Change)); err != nil {
		return err
	}
	if !v.plan.Compare {
		return nil
	}
	return v.memory.Scan(func(known iter.Seq2[[]byte, state.Record]) {
		v.unclaimed = plan.NewUnclaimed(v.listing, known)
	})
}

// withAbsences returns what the plan has learned together with the absences that it counts. If
// records have changed their ids, a crash must not leave others under ids that were not listed:
// the next poll could take a new message for theirs.
func (v *visit) withAbsences(c state.Change) state.Change {
	if !c.Empty() && v.lostLines == 0 {
		c.Put = slices.Concat(c.Put, v.plan.Aged)
		v.plan.Aged = nil
	}
	return c
}

// recognised is a received message that was delivered before. That counts once the
// session is known to have been in step when it came.
type recognised struct {
	plan.Item
	seq    int // as that of a settle.Member
	was    state.Entry
	record state.Record
	due    bool // to be deleted
}

// recognise reports whether a message that was received whole was delivered before.
func (v *visit) recognise(it plan.Item, id plan.Identity) (bool, error) {
	if shown := v.shown[it.Num]; shown != nil && shown.Contradicts(id) {
		v.facts.NoHeaders = v.when.Now
	}
	if v.unclaimed == nil {
		return false, nil
	}
	was, ok, err := v.unclaimed.Find(it.ID, id, v.memory.Get)
	if !ok || err != nil {
		return false, err
	}
	when := v.when
	when.NoHeaders = v.noHeaders()
	record, due := plan.Recognised(it, was, id, v.policy, when)
	v.repeats++
	v.again = append(v.again, recognised{it, v.answered, was, record, due})
	if len(v.again) >= recognisedAtOnce {
		return true, v.noteRecognised(v.confirmed())
	}
	return true, nil
}

// recognisedAtOnce is how many recognised messages one transaction records.
const recognisedAtOnce = 1000

// noteRecognised records the received messages that were delivered before, as far as
// the session was in step, and has those deleted that are due.
func (v *visit) noteRecognised(upTo int) error {
	// What the group before has still to record must not come after this.
	if err := v.settler.Wait(); err != nil {
		return err
	}
	due, n := false, 0
	var left []string // ids that recognised messages do not have any more
	var put []state.Entry
	for _, m := range v.again {
		if m.seq > upTo {
			break
		}
		n++
		v.seen++
		v.notices.add(slog.LevelInfo, "delivered before, under another unique-id or size", "num", m.Num, "uid", m.UID())
		v.askedFor = v.askedFor || plan.AskedFor(m.was.Record)
		left, put = append(left, m.was.ID), append(put, state.Entry{ID: m.ID, Record: m.record})
		if m.due {
			due = true
			v.settler.Removable = append(v.settler.Removable, settle.Removable{Num: m.Num, ID: m.ID})
		}
	}
	v.ledger.Forget(left...)
	v.ledger.Put(put...)
	v.again = slices.Delete(v.again, 0, n)
	if due || n >= recognisedAtOnce/2 {
		return v.ledger.Commit() // before the DELE
	}
	return nil
}
