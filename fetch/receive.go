package fetch

import (
	"errors"
	"fmt"
	"slices"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/settle"
)

// retrieve fetches and delivers what the plan says.
func (v *visit) retrieve() {
	v.expectRoom()
	items := v.plan.Retrieve
	if items.Len() == 0 {
		v.fail(v.noRoomLeft())
		return
	}
	if v.Progress != nil {
		v.showStage(Receiving)
		v.Progress.Start(items.Len(), v.plan.Octets())
	}
	if v.facts.Unready {
		items = v.tryOne(items)
	}
	v.fail(v.receiveAll(items))
	v.refuseWithheld()
	if v.usable() {
		v.fail(v.confirm())
	}
	upTo := v.answered
	if !v.usable() {
		upTo = v.giveUpDoubtful()
	}
	// What was received whole is delivered, whatever ended the session.
	v.fail(v.settler.SettleRest())
	v.fail(v.settler.Wait())
	v.fail(v.noteRecognised(upTo))
	v.again = nil
	v.noteReady()
	v.fail(v.noRoomLeft())
}

// tryOne delivers the first item by itself, because the latest poll could deliver nothing
// at all: a window of messages is not downloaded again and again for a destination that
// does not work. It returns what is still to be retrieved, nothing after a failure.
func (v *visit) tryOne(items plan.Items) plan.Items {
	err := v.receive(items.First(1))
	if err == nil {
		err = v.settler.SettleRest()
	}
	if err == nil {
		err = v.settler.Wait()
	}
	if err != nil {
		v.fail(err)
		return items.First(0)
	}
	return items.From(1)
}

// noteReady notes whether the destination works. A poll in which no message came to it
// says nothing about that.
func (v *visit) noteReady() {
	switch {
	case v.ledger.Delivered() > 0:
		v.facts.Unready = false
	case slices.ContainsFunc(v.failures, func(err error) bool {
		return Classify(err) == Delivery && settle.ScopeOf(err) == deliver.Place
	}):
		v.facts.Unready = true
	}
}

// receiveAll retrieves the items, and one of those that were left for later for each that
// turns out to have been delivered before. Otherwise the messages that a poll only compares
// could use up max_messages each time, and new mail would never come.
func (v *visit) receiveAll(items plan.Items) error {
	for {
		before := v.repeats
		if err := v.receive(items); err != nil {
			return err
		}
		items = v.plan.TakeLater(v.repeats - before)
		if items.Len() == 0 {
			return nil
		}
		v.skipped -= items.Len()
		if err := v.life.reason(); err != nil {
			return err
		}
	}
}

// receive retrieves the items in their order. It settles full groups and leaves
// the last one to its caller.
func (v *visit) receive(items plan.Items) error {
	items = v.fitting(items)
	nums := items.Nums()
	for items.Len() > 0 {
		done, err := v.receiveSome(items, nums)
		if err != nil {
			return err
		}
		items = v.fitting(items.From(done))
		nums = items.Nums()
		if err := v.confirm(); err != nil {
			return err
		}
	}
	return nil
}

// receiveSome retrieves items up to the last one, or until the poll is to end or a
// message is doubtful, and everything that was asked for has been answered. It
// returns how many items the server has given or refused.
func (v *visit) receiveSome(items plan.Items, nums []int) (done int, err error) {
	v.before = v.answered
	for m, err := range v.session.Retr(nums, items.Octets) {
		if done == items.Len() {
			return done, v.stepLost(err)
		}
		it := items.At(done)
		done++
		v.answered++
		err := v.handle(it, m, err)
		if v.Progress != nil {
			v.Progress.Message()
		}
		if err != nil {
			return done, err
		}
		why := v.life.reason()
		if why == nil {
			why = v.tooManyRefusals()
		}
		if done == items.Len() || why == nil && !v.settler.InDoubt() && !v.refit {
			continue
		}
		v.session.Drain()
		if v.session.Owed() > 0 {
			continue
		}
		return done, why
	}
	return done, nil
}

// mostRefusals is how many messages a visit sees refused before it ends, by the server or
// by the destination, and how many DELE or TOP. The replies that are on their way then
// may refuse some more.
const mostRefusals = 256

// tooManyRefusals returns an error if the visit is to end for the messages that were
// refused. The next poll goes on with the others.
func (v *visit) tooManyRefusals() error {
	if n := len(v.withheld) + v.settler.Failed(); n >= mostRefusals {
		return fmt.Errorf("%d messages were refused, so this visit ends; the next poll begins with the others", n)
	}
	return nil
}

// confirm makes sure of the received messages if that is needed. No reply is owed
// any more; if the server answers one more command as it should, its replies belong
// to the commands. A full group is settled then.
func (v *visit) confirm() error {
	sure := v.confirmed()
	// A server that closes the connection behind a refusal takes no DELE any more.
	open := !v.denied || v.session.Pipelined() && sure == v.answered
	if n := len(v.again); open && v.settler.AllSure(sure) && (n == 0 || v.again[n-1].seq <= sure) {
		return nil
	}
	if err := v.probe(); err != nil {
		return v.stepLost(err)
	}
	v.settler.Trust()
	v.sure, v.denied = v.answered, false
	return v.settler.SettleFull(v.sure)
}

// probe makes sure that the server is there and answers what it is asked. Every server has
// STAT; some close the connection at a NOOP. A refusal, or a reply without numbers, shows as
// well that replies belong to their commands.
func (v *visit) probe() error {
	var (
		refused *pop3.ResponseError
		odd     *pop3.LineError
	)
	if _, _, err := v.session.Stat(); err != nil && !errors.As(err, &refused) && !errors.As(err, &odd) {
		return err
	}
	return nil
}

// confirmed returns how many messages of this session are known to be what was
// asked for.
func (v *visit) confirmed() int {
	if v.session.Pipelined() {
		v.sure = max(v.sure, v.before+v.session.Confirmed())
	} else {
		v.sure = v.answered
	}
	return v.sure
}

// giveUpDoubtful gives up received messages that may not be what was asked for,
// because the server may have been out of step: two messages may be glued into one,
// one be cut in two, or a reply be missing, and every later message be taken for
// another one. A connection that was cut says nothing of the kind, and some servers
// never give a message twice: what came whole before the cut is kept. It returns how
// many messages are not given up.
func (v *visit) giveUpDoubtful() (upTo int) {
	upTo = v.answered
	if v.shifted {
		upTo = v.confirmed()
	}
	if m, ok := v.settler.GiveUp(upTo); ok {
		// What was received is not what its id is recorded for: it was handed to nobody.
		if was, err := v.memory.Get(m.ID); err == nil {
			m.Item.Record = was
		}
		v.interrupted(m.Item, fmt.Errorf("%d octets came, which is not the announced size, and then the server was out of step", m.Octets))
	}
	return upTo
}

// handle deals with one answer to RETR. An error ends the retrieval.
func (v *visit) handle(it plan.Item, m *pop3.Message, err error) error {
	var refused *pop3.ResponseError
	switch {
	case errors.As(err, &refused):
		v.denied = true
		v.withheld = append(v.withheld, withheld{it, refused})
		return nil
	case err != nil:
		lost := v.stepLost(err)
		garbled, ok := errors.AsType[*pop3.ProtocolError](err)
		if unasked := ok && garbled.Unasked; !v.ended && !unasked {
			v.interrupted(it, err)
		}
		return lost
	}
	v.denied = false
	return v.stage(it, m)
}

// withheld is a message that the server refused to give.
type withheld struct {
	plan.Item
	refused *pop3.ResponseError
}

// refuseWithheld notes what the server refused to give. If it gave nothing at all
// of several messages, the server may have a problem, which counts against each of them once
// a day only: a server has no problem for a week.
func (v *visit) refuseWithheld() {
	if v.lostStep != nil && v.session.Pipelined() && !v.ended { // the refusals may belong to other messages
		v.withheld = nil
		return
	}
	// If the connection ended behind the first refusal, the others were not asked for.
	asked := len(v.withheld)
	if v.ended {
		asked = v.plan.Retrieve.Len() + len(v.settler.Problems)
	}
	trouble := !v.given && asked > 1
	for _, w := range v.withheld {
		switch {
		case temporaryCode(w.refused.Code):
			v.settler.Refuse(w.Item, w.refused, false)
		case trouble:
			v.settler.RefuseWithAll(w.Item, w.refused)
		default:
			v.settler.Refuse(w.Item, w.refused, true)
		}
	}
	v.withheld = nil
}

// interrupted notes during which message the connection ended. The next poll takes
// that message last, so that one which breaks every connection does not hold up the
// others; if it breaks the connection again then, that counts. When the user has
// stopped popfetch, that says nothing about a message.
func (v *visit) interrupted(it plan.Item, why error) {
	if v.life.outer.Err() != nil {
		return
	}
	r := it.Record
	if it.Tried() {
		r.Failures++
		if r.Failures == plan.MaxFailures {
			v.log.Warn("message is set aside: the connection ended while it was received", "num", it.Num, "uid", it.UID(), "failures", r.Failures, "reason", why)
		}
	}
	r.Octets = it.Octets
	v.ledger.Postpone(it, r, why)
}

// outgrown notes a message that is larger than the server announced and than the
// account takes. The next poll leaves it on the server.
func (v *visit) outgrown(it plan.Item, b *body) {
	r := it.Record
	r.Octets = b.octets
	r.Fingerprint = b.identifier.Identity().Fingerprint
	v.settler.Fail(it, r, fmt.Errorf("larger than max_size (%d octets) although the server announced %d", v.Policy.MaxOctets, it.Octets))
}
