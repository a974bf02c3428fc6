package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// retrieve fetches and delivers what the plan says. inStep says whether the
// session can still be used: a connection that was lost or left in the middle
// of something must never see a QUIT.
func (p *poll) retrieve(plan Plan) (inStep bool) {
	items, err := p.verify(plan)
	if err != nil {
		p.fail(p.because(err))
		return false
	}
	if len(items) == 0 {
		return true
	}
	if p.Progress != nil {
		p.Progress.Start(len(items), plan.octets())
		defer p.Progress.End()
	}
	inStep, err = p.receive(items)
	p.fail(err)
	if inStep {
		if err := p.confirm(); err != nil {
			p.fail(err)
			inStep = false
		}
	}
	p.renounce()
	// What was received whole is delivered, whatever ended the session.
	p.fail(p.settle())
	return inStep
}

// receive retrieves the items in their order. It settles full groups and leaves
// the last one.
func (p *poll) receive(items []Item) (inStep bool, err error) {
	for len(items) > 0 {
		done, inStep, err := p.stretch(items)
		if err != nil {
			return inStep, err
		}
		items = items[done:]
		if err := p.confirm(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// stretch retrieves items until the last one, or until the poll is to end, or a
// message is doubtful and everything that was asked for has been answered. It
// returns how many it has dealt with.
func (p *poll) stretch(items []Item) (done int, inStep bool, err error) {
	nums := make([]int, len(items))
	for i, it := range items {
		nums[i] = it.Num
	}
	for m, err := range p.session.Retr(nums) {
		if done == len(items) {
			return done, false, p.because(err)
		}
		it := items[done]
		done++
		if inStep, err := p.handle(it, m, err); err != nil {
			return done, inStep && p.session.Owed() == 0, err
		}
		why := p.life.reason()
		if done == len(items) || why == nil && !p.group.doubted() {
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

// confirm ends a doubt: nothing is owed any more, and when the server answers
// one more command as it should, its replies belong to our commands. A full
// group is settled then.
func (p *poll) confirm() error {
	if !p.group.doubted() {
		return nil
	}
	if err := p.session.Noop(); err != nil {
		p.lostStep = true
		return p.because(err)
	}
	p.group.trust()
	if p.group.full(p.dest.Group()) {
		return p.settle()
	}
	return nil
}

// renounce gives up what was received after the server may have lost its step:
// two messages may be glued into one, or one be cut in two, and everything after
// it be taken for another message.
func (p *poll) renounce() {
	for i, m := range p.group.renounce() {
		m.staged.Abort()
		if i == 0 {
			p.interrupted(m.Item, fmt.Errorf("%d octets came where %d were announced, and then the server was out of step", m.octets, m.Octets))
		}
	}
}

// handle deals with one answer to RETR. An error ends the retrieval.
func (p *poll) handle(it Item, m *pop3.Message, err error) (inStep bool, _ error) {
	var refused *pop3.ResponseError
	switch {
	case errors.As(err, &refused):
		p.refuse(it, refused, !temporaryCode(refused.Code))
		return true, nil
	case err != nil:
		p.lostStep = true
		p.interrupted(it, err)
		return false, p.because(err)
	}
	return p.take(it, m)
}

// take stages one message and settles its group when that is full.
func (p *poll) take(it Item, m *pop3.Message) (inStep bool, err error) {
	b := &body{r: m.Body, digest: newDigest(), limit: p.Policy.MaxOctets, progress: p.Progress}
	meta := p.meta(it)
	staged, err := p.dest.Stage(p.life, meta, p.stored(meta, b))
	p.report.Octets += b.octets
	if b.err != nil && err == nil { // a destination that takes half a message for a whole one
		staged.Abort()
	}
	switch {
	case b.err == errTooBig:
		p.outgrown(it, b.octets)
		return false, fmt.Errorf("RETR %d: the connection is dropped, for the rest of the message may never end", it.Num)
	case b.err != nil:
		p.lostStep = true
		p.interrupted(it, b.err)
		return false, p.because(b.err)
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
	p.group.add(member{Item: it, staged: staged, record: b.record(it), octets: b.octets}, !announced(b.octets, m.Octets, it.Octets))
	if !p.group.doubted() && p.group.full(p.dest.Group()) {
		return true, p.settle()
	}
	return true, nil
}

// announced says whether a message has as many octets as the server said, in its
// reply to RETR or in the scan listing. Both may be wrong, or -1 for not said; a
// message that was cut or glued to the next one agrees with neither.
func announced(octets int64, said ...int64) bool { return slices.Contains(said, octets) }

// stored is the message as it is stored: stamped, with LF line ends.
func (p *poll) stored(meta deliver.Meta, b io.Reader) io.Reader {
	lines := deliver.NewLFReader(b)
	if p.Stamp == nil {
		return lines
	}
	return io.MultiReader(strings.NewReader(p.Stamp(meta)), lines)
}

func (p *poll) meta(it Item) deliver.Meta {
	return deliver.Meta{
		ID:       deliveryID(p.Key, it.ID),
		Account:  p.Name,
		User:     p.User,
		Host:     p.Host,
		UID:      it.UID(),
		Protocol: p.Protocol,
		Attempt:  it.Record.Failures + 1,
		Time:     time.Now(),
	}
}

// deliveryID names the delivery of one message from one maildrop, for ever the
// same one, so that a receiver can drop a repeat.
func deliveryID(key, id string) string {
	sum := sha256.Sum256([]byte(key + "\x00" + id))
	return hex.EncodeToString(sum[:16])
}

// refuse notes that the server or the destination does not give or take a
// message. A definite refusal counts; MaxFailures of them set the message aside.
func (p *poll) refuse(it Item, why error, definite bool) {
	r := it.Record
	if definite {
		r.Failures++
	}
	p.tried(it, r, why)
	if r.Failures == MaxFailures {
		p.log.Warn("message is set aside and not tried again; it stays on the server",
			"num", it.Num, "uid", it.UID(), "failures", r.Failures, "reason", why)
	}
}

// interrupted notes in whose middle the connection ended: the next poll takes
// that message last, so that one which breaks every connection does not hold up
// the others. That the user has stopped popfetch says nothing about a message.
func (p *poll) interrupted(it Item, why error) {
	if p.life.outer.Err() != nil {
		return
	}
	r := it.Record
	r.Reason = bounded(why.Error())
	r.Delivered, r.Octets = time.Time{}, it.Octets
	p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: r})
}

// outgrown notes a message that is bigger than the server had said and than the
// account takes. The next poll leaves it out.
func (p *poll) outgrown(it Item, octets int64) {
	r := it.Record
	r.Octets = octets
	p.tried(it, r, fmt.Errorf("bigger than max_size (%d octets) although the server announced %d", p.Policy.MaxOctets, it.Octets))
}

// tried records a message that was not delivered.
func (p *poll) tried(it Item, r state.Record, why error) {
	r.Delivered, r.Reason = time.Time{}, bounded(why.Error())
	p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: r})
	p.report.Failed++
	p.problems = append(p.problems, &MessageError{it.Num, it.UID(), why})
	p.log.Debug("message was not delivered", "num", it.Num, "uid", it.UID(), "reason", why)
}

// bounded cuts a reason to what is worth keeping.
func bounded(s string) string {
	const most = 500
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// verify looks at the messages whose id was delivered with other octets. Some
// servers announce another size for the same message (an estimate, then the
// real one); some give an old id to a new message. The header block tells.
func (p *poll) verify(plan Plan) ([]Item, error) {
	items := plan.Retrieve
	if len(plan.Verify) == 0 {
		return items, nil
	}
	nums := make([]int, len(plan.Verify))
	for i, it := range plan.Verify {
		nums[i] = it.Num
	}
	next := 0
	for m, err := range p.session.Top(nums, 0) {
		if next == len(nums) {
			return nil, err
		}
		it := plan.Verify[next]
		next++
		same, err := p.same(it, m, err)
		if err != nil {
			return nil, err
		}
		if same {
			it.Record.Octets = it.Octets
			p.pending.Put = append(p.pending.Put, state.Entry{ID: it.ID, Record: it.Record})
			p.report.Seen++
			continue
		}
		p.log.Info("another message has the unique-id of a delivered one; it is fetched", "num", it.Num, "uid", it.UID())
		it.Record = state.Record{}
		if p.Policy.MaxOctets > 0 && it.Octets > p.Policy.MaxOctets {
			p.report.Skipped++
			p.leave(it)
			continue
		}
		items = append(items, it)
	}
	return items, nil
}

// same says whether the answer to TOP shows the header block of the record.
func (p *poll) same(it Item, m *pop3.Message, err error) (bool, error) {
	var refused *pop3.ResponseError
	if errors.As(err, &refused) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	sum, err := digestOf(m.Body)
	return sum == it.Record.Digest, err
}
