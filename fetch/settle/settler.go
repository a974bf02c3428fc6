package settle

import (
	"context"

	"popfetch/deliver"
)

// Options are what a Settler works with.
type Options struct {
	Destination deliver.Destination
	Context     context.Context // bounds Prepare and Publish
	Delete      bool            // delivered messages become Removable
	// Temporary reports whether the destination may take a refused message another
	// time, so that the refusal does not count.
	Temporary func(error) bool
}

// Settler settles the messages of one session. All calls come from one goroutine.
// Its Ledger and Results lag behind until Wait has returned.
type Settler struct {
	books
	options Options
	group   group     // the current one
	running *settling // the group before, nil = none
}

// New returns a Settler that enters everything into the ledger of the poll.
func New(ledger *Ledger, o Options) *Settler {
	return &Settler{books: books{Ledger: ledger}, options: o}
}

// Add takes a message into the current group.
func (s *Settler) Add(m Member) { s.group.add(m) }

// InDoubt reports whether the current group has a doubtful message.
func (s *Settler) InDoubt() bool { return s.group.doubt > 0 }

// Trust says that every message of the current group is known to be what was asked
// for.
func (s *Settler) Trust() { s.group.doubt = 0 }

// AllSure reports whether the whole current group may be settled, given that the
// first messages of the session up to seq are known to be what was asked for.
func (s *Settler) AllSure(seq int) bool { return s.group.sure(seq) == len(s.group.members) }

// SettleFull settles what is sure in the current group if that is enough. The error
// is that of the group before: nothing more can be delivered then.
func (s *Settler) SettleFull(seq int) error {
	n := s.group.sure(seq)
	if s.group.full(n, s.options.Destination.Group()) && !s.gathers(n) {
		return s.settle(n)
	}
	if s.running.ended() {
		return s.Wait()
	}
	return nil
}

// gathers reports whether the first n members wait for the one that is on its way to the
// destination, because each of them shares its transaction with the next one then. They take
// no more memory than that.
func (s *Settler) gathers(n int) bool {
	const messages, octets = 20, 4 << 20
	return !s.options.Destination.Recoverable() && !s.running.ended() && n < messages && s.group.octets(n) < octets
}

// SettleOld settles what is sure in the current group if it has waited for long
// enough. It never waits.
func (s *Settler) SettleOld(seq int) {
	if n := s.group.sure(seq); s.group.old(n) && s.running.endedWell() {
		_ = s.settle(n) // the only error would be that of the group before
	}
}

// SettleRest settles the current group.
func (s *Settler) SettleRest() error { return s.settle(len(s.group.members)) }

// settle waits for the group before and starts to settle the first n members. The
// error is that of the group before; the current group is given up then.
func (s *Settler) settle(n int) error {
	if err := s.Wait(); err != nil || n == 0 {
		return err
	}
	s.running = start(s.Ledger.split(), s.options, s.group.cut(n))
	return nil
}

// Wait waits for the group that is being settled. After an error nothing more can
// be delivered, and the current group is given up.
func (s *Settler) Wait() error {
	running := s.running
	if running == nil {
		return nil
	}
	<-running.over
	s.running = nil
	s.Ledger.join(running.Ledger)
	s.Results.join(&running.Results)
	if running.err != nil {
		giveUp(s.group.cut(len(s.group.members)))
	}
	return running.err
}

// GiveUp gives up every member of the current group that is not sure. It returns
// the first doubtful one, if there is one.
func (s *Settler) GiveUp(seq int) (doubtful Member, ok bool) {
	kept := s.group.cut(s.group.sure(seq))
	for _, m := range s.group.members {
		if m.Seq == s.group.doubt {
			doubtful, ok = m, true
		}
	}
	giveUp(s.group.members)
	s.group = group{members: kept}
	return doubtful, ok
}

func giveUp(members []Member) { abort(stagedOf(members)) }

func abort(staged []deliver.Staged) {
	for _, s := range staged {
		s.Abort()
	}
}
