package fetch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// retrieve fetches and delivers what the plan says. inStep says whether the
// session can still be used: a connection that was lost or left in the middle
// of something must never see a QUIT.
func (p *poll) retrieve(todo plan.Plan) (inStep bool) {
	items, err := p.verify(todo)
	if err != nil {
		p.fail(p.because(err))
		return false
	}
	if items.Len() == 0 {
		return true
	}
	if p.Progress != nil {
		p.Progress.Start(items.Len(), todo.Octets())
		defer p.Progress.End()
	}
	inStep, err = p.receive(items)
	p.fail(err)
	p.refuseWithheld()
	if inStep {
		if err := p.confirm(); err != nil {
			p.fail(err)
			inStep = false
		}
	}
	if !inStep {
		p.renounce()
	}
	// What was received whole is delivered, whatever ended the session.
	p.settleRest()
	return inStep
}

// receive retrieves the items in their order. It settles full groups and leaves
// the last one.
func (p *poll) receive(items plan.Items) (inStep bool, err error) {
	nums := items.Nums()
	for items.Len() > 0 {
		done, inStep, err := p.stretch(items, nums)
		if err != nil {
			return inStep, err
		}
		items, nums = items.From(done), nums[done:]
		if err := p.confirm(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// stretch retrieves items until the last one, or until the poll is to end, or a
// message is doubtful and everything that was asked for has been answered. It
// returns how many it has dealt with.
func (p *poll) stretch(items plan.Items, nums []int) (done int, inStep bool, err error) {
	p.before = p.done
	for m, err := range p.session.Retr(nums) {
		if done == items.Len() {
			return done, false, p.lose(err)
		}
		it := items.At(done)
		done++
		p.done++
		if inStep, err := p.handle(it, m, err); err != nil {
			return done, inStep && p.session.Owed() == 0, err
		}
		why := p.life.reason()
		if done == items.Len() || why == nil && !p.group.doubted() {
			continue
		}
		p.session.Drain()
		if p.session.Owed() > 0 {
			continue
		}
		return done, p.life.Err() == nil, why
	}
	return done, true, nil
}

// confirm makes sure of what was received, where that is not known: nothing is
// owed any more, and when the server answers one more command as it should, its
// replies belong to our commands. A full group is settled then.
func (p *poll) confirm() error {
	if p.group.sure(p.inStepUpTo()) == len(p.group.members) {
		return nil
	}
	var refused *pop3.ResponseError // is as good an answer
	if err := p.session.Noop(); err != nil && !errors.As(err, &refused) {
		return p.lose(err)
	}
	p.group.doubt, p.sure = 0, p.done
	return p.settleFull()
}

// inStepUpTo returns how many messages of this poll are known to be what was
// asked for.
func (p *poll) inStepUpTo() int {
	if p.session.Pipelined() {
		p.sure = max(p.sure, p.before+p.session.Confirmed())
	} else {
		p.sure = p.done
	}
	return p.sure
}

// renounce gives up what was received when the server was perhaps out of step
// already: two messages may be glued into one, or one be cut in two, or a reply
// be missing, and everything after it be taken for another message. A connection
// that was cut says nothing of the kind, and some servers hide for ever what they
// have given once: what came whole before the cut is kept.
func (p *poll) renounce() {
	upTo := p.done
	if p.shifted {
		upTo = p.inStepUpTo()
	}
	n := p.group.sure(upTo)
	kept := p.group.take(n)
	for _, m := range p.group.take(len(p.group.members)) {
		m.staged.Abort()
		if m.seq == p.group.doubt {
			p.interrupted(m.Item, fmt.Errorf("not the octets came that were announced, but %d, and then the server was out of step", m.octets))
		}
	}
	p.group = group{members: kept}
}

// lose notes why the session broke where a reply should have come, and returns it.
func (p *poll) lose(err error) error {
	var garbled *pop3.ProtocolError
	p.shifted = errors.As(err, &garbled) || errors.Is(err, os.ErrDeadlineExceeded)
	p.lostStep = p.because(err)
	return p.lostStep
}

// handle deals with one answer to RETR. An error ends the retrieval.
func (p *poll) handle(it plan.Item, m *pop3.Message, err error) (inStep bool, _ error) {
	var refused *pop3.ResponseError
	switch {
	case errors.As(err, &refused):
		p.withheld = append(p.withheld, withheld{it, refused})
		return true, nil
	case err != nil:
		p.interrupted(it, err)
		return false, p.lose(err)
	}
	return p.take(it, m)
}

// withheld is a message that the server did not give.
type withheld struct {
	plan.Item
	refused *pop3.ResponseError
}

// refuseWithheld notes what the server did not give. Where it gave nothing at all
// of several messages, that is trouble of the server and counts against none.
func (p *poll) refuseWithheld() {
	if p.lostStep != nil { // the refusals may be of other messages
		p.withheld = nil
		return
	}
	trouble := !p.given && len(p.withheld) > 1
	for _, w := range p.withheld {
		p.refuse(w.Item, w.refused, !trouble && !temporaryCode(w.refused.Code))
	}
	p.withheld = nil
}

// take stages one message and settles its group when that is full.
func (p *poll) take(it plan.Item, m *pop3.Message) (inStep bool, err error) {
	b := &body{r: m.Body, digest: plan.NewDigest(), limit: p.Policy.MaxOctets, progress: p.Progress, between: p.settleOld}
	meta := p.meta(it)
	staged, err := p.dest.Stage(p.life, meta, p.stamped(meta, b))
	p.report.Octets += b.octets
	p.given = p.given || b.err == nil
	if b.err != nil && err == nil { // a destination that takes half a message for a whole one
		staged.Abort()
	}
	switch {
	case p.session.Pipelined() && b.isReply() && !announced(b.octets, m.Octets, it.Octets):
		// The server sent a reply too many, which was taken for the one to RETR.
		if err == nil {
			staged.Abort()
		}
		return false, p.lose(&pop3.ProtocolError{Command: fmt.Sprintf("RETR %d", it.Num), Line: string(b.head[:]), Reason: "the message begins with a reply"})
	case b.err == errTooBig:
		p.outgrown(it, b.octets)
		return false, fmt.Errorf("RETR %d: the connection is dropped, for the rest of the message may never end", it.Num)
	case b.err != nil:
		p.interrupted(it, b.err)
		if b.octets == 0 { // it may have been a reply without a message, that to a mark
			err := p.lose(b.err)
			p.shifted = p.shifted || p.session.Pipelined() && m.Octets < 0
			return false, err
		}
		p.lostStep = p.because(b.err)
		return false, p.lostStep
	case err != nil && scopeOf(err) == deliver.Message:
		p.refuse(it, err, !temporary(err))
		_, err := io.Copy(io.Discard, b)
		return err == nil, err
	case err != nil:
		// The place does not work: the next message would meet the same. The
		// rest of this one is read, so that what was delivered before can
		// still be deleted.
		_, drained := io.Copy(io.Discard, b)
		return drained == nil, err
	}
	if p.cameBack(it, b.digest.Sum()) {
		return true, staged.Abort()
	}
	p.group.add(member{Item: it, staged: staged, record: b.record(it), octets: b.octets, seq: p.done}, !announced(b.octets, m.Octets, it.Octets))
	return true, p.settleFull()
}

// announced says whether a message has as many octets as the server said, in its
// reply to RETR and in the scan listing. Either may be wrong, or -1 for not said.
// A message that was cut, or glued to the next one, or is the answer to another
// RETR, is found out by the one or the other.
func announced(octets int64, said ...int64) bool {
	differs := func(n int64) bool { return n >= 0 && n != octets }
	return slices.Contains(said, octets) && !slices.ContainsFunc(said, differs)
}

// stamped returns the message as it is delivered: the octets of the wire, with the
// stamp of the account, if any, in front.
func (p *poll) stamped(meta deliver.Meta, b io.Reader) io.Reader {
	if p.Stamp == nil {
		return b
	}
	return io.MultiReader(strings.NewReader(p.Stamp(meta)), b)
}

func (p *poll) meta(it plan.Item) deliver.Meta {
	return deliver.Meta{
		ID:       plan.DeliveryID(p.Key, it.ID),
		Account:  p.Name,
		User:     p.User,
		Host:     p.Host,
		UID:      it.UID(),
		Protocol: p.Protocol,
		Attempt:  it.Record.Failures + 1,
		Time:     time.Now(),
	}
}

// interrupted notes in whose middle the connection ended: the next poll takes
// that message last, so that one which breaks every connection does not hold up
// the others, and when it does so again, that counts. That the user has stopped popfetch says nothing about a message.
func (p *poll) interrupted(it plan.Item, why error) {
	if p.life.outer.Err() != nil {
		return
	}
	r := it.Record
	if it.Tried() {
		r.Failures++ // it came last, and again
	}
	r.Reason = bounded(why.Error())
	r.Delivered, r.Octets = time.Time{}, it.Octets
	p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: r})
}

// outgrown notes a message that is bigger than the server had said and than the
// account takes. The next poll leaves it out.
func (p *poll) outgrown(it plan.Item, octets int64) {
	r := it.Record
	r.Octets = octets
	p.tried(it, r, fmt.Errorf("larger than max_size (%d octets) although the server announced %d", p.Policy.MaxOctets, it.Octets))
}
