package fetch

import (
	"context"
	"errors"
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

// member is a message that is received whole and not yet delivered.
type member struct {
	Item
	staged deliver.Staged
	record state.Record
	octets int64
}

// group is messages that share one Prepare, one transaction and one Publish.
type group struct {
	members []member
	octets  int64
	opened  time.Time
	doubt   int // index of the first doubtful member plus 1, 0 = none is
}

// add adds a message. From a doubtful one on, the group must not be settled
// before it is known that the server is in step.
func (g *group) add(m member, doubtful bool) {
	if len(g.members) == 0 {
		g.opened = time.Now()
	}
	g.members = append(g.members, m)
	g.octets += m.octets
	if doubtful && g.doubt == 0 {
		g.doubt = len(g.members)
	}
}

func (g *group) doubted() bool { return g.doubt > 0 }

// trust ends the doubt.
func (g *group) trust() { g.doubt = 0 }

// renounce removes the doubtful member and those after it, and returns them.
func (g *group) renounce() []member {
	if g.doubt == 0 {
		return nil
	}
	out := g.members[g.doubt-1:]
	g.members = g.members[:g.doubt-1]
	g.doubt = 0
	return out
}

func (g *group) full(most int) bool {
	return len(g.members) >= most || g.octets >= groupOctets || time.Since(g.opened) >= groupAge
}

// settle takes the group through the order of safety: durable, recorded,
// published. What fails stays on the server. The error, if any, is of the
// destination as a whole or of the state; nothing more can be delivered then.
func (p *poll) settle() error {
	members := p.group.members
	p.group = group{}
	if len(members) == 0 {
		return nil
	}
	ctx, cancel := p.life.overtime()
	defer cancel()
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
	gone := false
	errs := p.dest.Publish(ctx, stagedOf(members))
	for i, m := range members {
		err := errorAt(errs, i)
		switch {
		case err == nil:
			p.pending.Done = append(p.pending.Done, m.ID)
			p.published = append(p.published, m.Num)
			p.report.Delivered++
			p.log.Info("delivered", "num", m.Num, "uid", m.UID(), "octets", m.octets)
		case scopeOf(err) == deliver.Message:
			p.pending.Done = append(p.pending.Done, m.ID)
			p.closing = append(p.closing, m.staged)
			p.refuse(m.Item, err, !temporary(err))
			gone = gone || errors.Is(err, deliver.ErrGone)
		default:
			p.report.Failed++
			place = err
		}
	}
	if gone {
		// Recover would take the missing file for a delivered message, so its
		// intent must not wait for the next transaction.
		if err := p.commit(nil); err != nil {
			return err
		}
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
