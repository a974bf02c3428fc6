package fetch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"popfetch/deliver"
	"popfetch/state"
)

// settling is a group on its way through the order of safety, in a goroutine of its
// own: the next messages are received meanwhile, so that neither the disk waits
// for the network nor the network for the disk. The poll joins its ledger when it
// is over.
type settling struct {
	ledger
	dest   deliver.Destination
	delete bool            // what is delivered is deleted from the server
	ctx    context.Context // lifetime.late of the poll
	err    error           // of the destination as a whole or of the state: nothing more can be delivered
	over   chan struct{}
}

// settleFull settles what is known to be in step when that is enough.
func (p *poll) settleFull() error {
	n := p.group.sure(p.inStepUpTo())
	if !p.group.full(n, p.dest.Group()) {
		return p.peek()
	}
	return p.settle(n)
}

// settle has the first n members taken through the order of safety, when that is
// done for the group before. The error, if any, is that of the group before; the
// members are given up then.
func (p *poll) settle(n int) error {
	if err := p.await(); err != nil || n == 0 {
		return err
	}
	s := &settling{
		ledger: p.split(), dest: p.dest, delete: p.Policy.Delete && p.Policy.After == 0,
		ctx: p.life.late, over: make(chan struct{}),
	}
	p.settling = s
	go s.run(p.group.take(n))
	return nil
}

// settleRest settles what is left, and waits for that too.
func (p *poll) settleRest() {
	p.fail(p.settle(len(p.group.members)))
	p.fail(p.await())
}

// settleOld settles what has waited for long enough while a message comes slowly.
// It never waits itself.
func (p *poll) settleOld() {
	if n := p.group.sure(p.inStepUpTo()); p.group.old(n) && p.settling.went() {
		_ = p.settle(n) // there is no error: it would be of the group before
	}
}

// peek is await for a group that is settled already.
func (p *poll) peek() error {
	if p.settling.ended() {
		return p.await()
	}
	return nil
}

// ended says whether s is over; nil is.
func (s *settling) ended() bool {
	if s == nil {
		return true
	}
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// went says whether s is over and went well.
func (s *settling) went() bool { return s.ended() && (s == nil || s.err == nil) }

// await waits for the group that is being settled. After an error nothing more can
// be delivered, and what was received since is given up.
func (p *poll) await() error {
	s := p.settling
	if s == nil {
		return nil
	}
	<-s.over
	p.settling = nil
	p.join(&s.ledger)
	if s.err != nil {
		abort(p.group.take(len(p.group.members)))
	}
	return s.err
}

func abort(members []member) {
	for _, m := range members {
		m.staged.Abort()
	}
}

// run settles the members in parts of the size that the destination likes. What
// comes after a part that could not be settled is given up.
func (s *settling) run(members []member) {
	defer close(s.over)
	defer func() {
		if r := recover(); r != nil {
			s.err, s.unsure = &panicError{r, debug.Stack()}, true
		}
	}()
	for len(members) > 0 && s.err == nil {
		part := members[:min(len(members), s.dest.Group())]
		members = members[len(part):]
		s.err = s.settle(s.ctx, part)
	}
	abort(members)
}

// settle makes the members durable, records and publishes them. What fails
// stays on the server.
func (s *settling) settle(ctx context.Context, members []member) error {
	ready, prepareErr := s.prepare(ctx, members)
	if len(ready) == 0 {
		return prepareErr
	}
	if err := s.intend(ready); err != nil {
		// Whether the intents are recorded is not known. The files stay for
		// Recover to decide about.
		return err
	}
	if err := s.publish(ctx, ready); err != nil {
		return err
	}
	return prepareErr
}

// prepare makes the members durable and returns those that are.
func (s *settling) prepare(ctx context.Context, members []member) (ready []member, place error) {
	errs := s.dest.Prepare(ctx, stagedOf(members))
	for i, m := range members {
		err := errorAt(errs, i)
		if err == nil {
			ready = append(ready, m)
			continue
		}
		m.staged.Abort()
		s.refuse(m.Item, err, scopeOf(err) == deliver.Message && !temporary(err))
		if scopeOf(err) == deliver.Place {
			place = err
		}
	}
	return ready, place
}

// intend records what is about to be published. From here on the messages count
// as seen.
func (s *settling) intend(members []member) error {
	entries := make([]state.Entry, len(members))
	for i, m := range members {
		intent := state.Intent(m.staged.Intent())
		entries[i] = state.Entry{ID: m.ID, Record: m.record, Intent: &intent}
	}
	return s.commit(entries)
}

// publish delivers the members. An intent that fails for its message is voided;
// one that fails for the place stays open, and the next poll finishes it.
func (s *settling) publish(ctx context.Context, members []member) (place error) {
	atOnce := !s.dest.Recoverable()
	errs := s.dest.Publish(ctx, stagedOf(members))
	for i, m := range members {
		err := errorAt(errs, i)
		switch {
		case err == nil:
			s.pending.Done = append(s.pending.Done, m.ID)
			if s.delete {
				s.removable = append(s.removable, removable{m.Num, state.Entry{ID: m.ID, Record: m.record}})
			}
			s.delivered++
			s.putOff = 0
			s.log.Info("delivered", "num", m.Num, "uid", m.UID(), "octets", m.octets)
		case scopeOf(err) == deliver.Message:
			s.pending.Done = append(s.pending.Done, m.ID)
			s.closing = append(s.closing, m.staged)
			s.refuse(m.Item, err, !temporary(err))
			if temporary(err) {
				s.putOff++
			} else {
				s.putOff = 0
			}
			// Recover would take the missing file for a delivered message, so
			// that intent must not wait for the next transaction either.
			atOnce = atOnce || errors.Is(err, deliver.ErrGone)
		default:
			s.failed++
			place = err
		}
	}
	if atOnce {
		if err := s.commit(nil); err != nil {
			return err
		}
	}
	if place == nil && s.putOff >= maxPutOff {
		return fmt.Errorf("%d messages in a row were put off, the others are left for another time", s.putOff)
	}
	return place
}

func stagedOf(members []member) []deliver.Staged {
	staged := make([]deliver.Staged, len(members))
	for i, m := range members {
		staged[i] = m.staged
	}
	return staged
}

// errorAt is the ith error of a group; a nil slice means that all is well.
func errorAt(errs []error, i int) error {
	if errs == nil {
		return nil
	}
	return errs[i]
}
