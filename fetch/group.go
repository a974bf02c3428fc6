package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"popfetch/deliver"
	"popfetch/state"
)

// A group is closed when it has as many messages as the destination likes, so
// many octets, or is so old: what has been received is not kept waiting for what
// comes slowly.
const (
	groupOctets = 32 << 20
	groupAge    = 5 * time.Second
)

// maxPutOff is how many messages in a row the destination may put off before the
// poll ends: it will hardly take the next one, and each costs a download.
const maxPutOff = 5

// member is a message that is received whole and not yet delivered.
type member struct {
	Item
	staged deliver.Staged
	record state.Record
	octets int64
	seq    int // of the messages of this poll, see poll.done
}

// group is messages that share one Prepare, one transaction and one Publish.
type group struct {
	members []member
	opened  time.Time // when the oldest of them came
	doubt   int       // seq of the first doubtful one, 0 = none is
}

// add adds a message. From a doubtful one on, messages must not be settled before
// it is known that the server is in step.
func (g *group) add(m member, doubtful bool) {
	if len(g.members) == 0 {
		g.opened = time.Now()
	}
	g.members = append(g.members, m)
	if doubtful && g.doubt == 0 {
		g.doubt = m.seq
	}
}

func (g *group) doubted() bool { return g.doubt > 0 }

// sure returns how many members may be settled where the first so many messages
// of the poll are known to be in step.
func (g *group) sure(seq int) int {
	n := 0
	for n < len(g.members) && g.members[n].seq <= seq && (g.doubt == 0 || g.members[n].seq < g.doubt) {
		n++
	}
	return n
}

// full says whether n members are to be settled.
func (g *group) full(n, most int) bool {
	var octets int64
	for _, m := range g.members[:n] {
		octets += m.octets
	}
	return n >= most || octets >= groupOctets || n > 0 && time.Since(g.opened) >= groupAge
}

// take removes the first n members.
func (g *group) take(n int) []member {
	taken := g.members[:n:n]
	g.members = g.members[n:]
	g.opened = time.Now()
	return taken
}

// settleFull settles what is known to be in step when that is enough.
func (p *poll) settleFull() error {
	n := p.group.sure(p.inStepUpTo())
	if !p.group.full(n, p.dest.Group()) {
		return nil
	}
	return p.settle(n)
}

// settle takes the first n members through the order of safety, in parts of the
// size that the destination likes. The error, if any, is of the destination as a
// whole or of the state; nothing more can be delivered then, and the rest is
// given up.
func (p *poll) settle(n int) error {
	members := p.group.take(n)
	ctx, cancel := p.life.overtime()
	defer cancel()
	for len(members) > 0 {
		part := members[:min(len(members), p.dest.Group())]
		members = members[len(part):]
		if err := p.settlePart(ctx, part); err != nil {
			for _, m := range append(members, p.group.take(len(p.group.members))...) {
				m.staged.Abort()
			}
			return err
		}
	}
	return nil
}

// settlePart makes the members durable, records and publishes them. What fails
// stays on the server.
func (p *poll) settlePart(ctx context.Context, members []member) error {
	ready, prepareErr := p.prepare(ctx, members)
	if len(ready) == 0 {
		return prepareErr
	}
	if err := p.intend(ready); err != nil {
		// Whether the intents are recorded is not known. The files stay for
		// Recover to decide about.
		return err
	}
	if err := p.publish(ctx, ready); err != nil {
		return err
	}
	return prepareErr
}

// prepare makes the members durable and returns those that are.
func (p *poll) prepare(ctx context.Context, members []member) (ready []member, place error) {
	errs := p.dest.Prepare(ctx, stagedOf(members))
	for i, m := range members {
		err := errorAt(errs, i)
		if err == nil {
			ready = append(ready, m)
			continue
		}
		m.staged.Abort()
		p.refuse(m.Item, err, scopeOf(err) == deliver.Message && !temporary(err))
		if scopeOf(err) == deliver.Place {
			place = err
		}
	}
	return ready, place
}

// intend records what is about to be published. From here on the messages count
// as seen.
func (p *poll) intend(members []member) error {
	entries := make([]state.Entry, len(members))
	for i, m := range members {
		intent := state.Intent(m.staged.Intent())
		entries[i] = state.Entry{ID: m.ID, Record: m.record, Intent: &intent}
	}
	return p.commit(entries)
}

// publish delivers the members. An intent that fails for its message is voided;
// one that fails for the place stays open, and the next poll finishes it.
func (p *poll) publish(ctx context.Context, members []member) (place error) {
	// A destination that takes one message at a time cannot say after a crash
	// what became of it: what it has taken is recorded at once.
	atOnce := p.dest.Group() == 1
	errs := p.dest.Publish(ctx, stagedOf(members))
	for i, m := range members {
		err := errorAt(errs, i)
		switch {
		case err == nil:
			p.pending.Done = append(p.pending.Done, m.ID)
			p.removable = append(p.removable, removable{m.Num, state.Entry{ID: m.ID, Record: m.record}})
			p.report.Delivered++
			p.putOff = 0
			p.log.Info("delivered", "num", m.Num, "uid", m.UID(), "octets", m.octets)
		case scopeOf(err) == deliver.Message:
			p.pending.Done = append(p.pending.Done, m.ID)
			p.closing = append(p.closing, m.staged)
			p.refuse(m.Item, err, !temporary(err))
			if temporary(err) {
				p.putOff++
			} else {
				p.putOff = 0
			}
			// Recover would take the missing file for a delivered message, so
			// that intent must not wait for the next transaction either.
			atOnce = atOnce || errors.Is(err, deliver.ErrGone)
		default:
			p.report.Failed++
			place = err
		}
	}
	if atOnce {
		if err := p.commit(nil); err != nil {
			return err
		}
	}
	if place == nil && p.putOff >= maxPutOff {
		return fmt.Errorf("%d messages in a row were put off, the others are left for another time", p.putOff)
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
