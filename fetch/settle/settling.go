package settle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"popfetch/deliver"
	"popfetch/state"
)

// maxPutOff is how many messages in a row the destination may put off before the
// poll ends: it is unlikely to take the next one, and each costs a download.
const maxPutOff = 5

// settling is a group on its way through the order of safety.
type settling struct {
	books
	Options
	err  error         // of the destination as a whole, or of the state: nothing more can be delivered
	over chan struct{} // closed at the end
}

// start settles the members in a goroutine. The ledger belongs to it until the end.
func start(ledger *Ledger, o Options, members []Member) *settling {
	s := &settling{books: books{Ledger: ledger}, Options: o, over: make(chan struct{})}
	go func() {
		defer close(s.over)
		if panicked := Guard(func() { s.run(members) }); panicked != nil {
			s.err, s.unsure = panicked, true
		}
	}()
	return s
}

// ended reports whether s is over; nil is.
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

// endedWell reports whether s is over, without an error.
func (s *settling) endedWell() bool { return s.ended() && (s == nil || s.err == nil) }

// run settles the members in parts of the size that the destination likes. After a
// part that could not be settled the rest is given up.
func (s *settling) run(members []Member) {
	for len(members) > 0 && s.err == nil {
		part := members[:min(len(members), s.Destination.Group())]
		members = members[len(part):]
		s.err = s.settle(s.Context, part)
	}
	giveUp(members)
	// Recovery would have these messages fetched again: they must not wait for the next
	// transaction if nobody knows when it comes.
	if !s.Destination.Recoverable() && !s.unsure && len(s.pending.Done) > 0 {
		s.err = cmp.Or(s.Commit(), s.err)
	}
}

// settle makes the members durable, records and publishes them. A message that
// fails stays on the server.
func (s *settling) settle(ctx context.Context, members []Member) error {
	ready, prepareErr := s.prepare(ctx, members)
	if len(ready) == 0 {
		return prepareErr
	}
	if err := s.intend(ready); err != nil {
		// It is not known whether the intents are recorded. The staged messages stay
		// for recovery to decide about.
		return err
	}
	if err := s.publish(ctx, ready); err != nil {
		return err
	}
	return prepareErr
}

// prepare makes the members durable and returns those that are.
func (s *settling) prepare(ctx context.Context, members []Member) (ready []Member, place error) {
	errs := s.Destination.Prepare(ctx, stagedOf(members))
	for i, m := range members {
		err := errorAt(errs, i)
		if err == nil {
			ready = append(ready, m)
			continue
		}
		m.Staged.Abort()
		switch ScopeOf(err) {
		case deliver.Room:
			s.NoRoom(m.Item, m.Octets, false, err)
		case deliver.Message:
			s.Refuse(m.Item, err, !s.Temporary(err))
		default:
			s.Refuse(m.Item, err, false)
			place = err
		}
	}
	return ready, place
}

// intend records what is about to be published. From here on the messages count
// as seen.
func (s *settling) intend(members []Member) error {
	entries := make([]state.Entry, len(members))
	for i, m := range members {
		intent := state.Intent(m.Staged.Intent())
		entries[i] = state.Entry{ID: m.ID, Record: m.Record, Intent: &intent}
	}
	return s.commit(entries)
}

// publish delivers the members. If the destination refuses a message, its intent is
// closed. If the place as a whole fails, the intents stay open, and the next poll
// finishes them. Where recovery could only have the message fetched again, the intent is
// closed by the transaction of the next message, before that is published, or at the end of
// run; so a crash repeats one message at most. The failure counts against nothing.
func (s *settling) publish(ctx context.Context, members []Member) (place error) {
	atOnce := false
	errs := s.Destination.Publish(ctx, stagedOf(members))
	for i, m := range members {
		err := errorAt(errs, i)
		switch {
		case err == nil:
			s.published(m)
		case ScopeOf(err) == deliver.Message:
			s.notPublished(m, err)
			// Recovery would take the missing file for a delivered message, so
			// that intent must not wait for the next transaction.
			atOnce = atOnce || errors.Is(err, deliver.ErrGone)
		case s.Destination.Recoverable():
			s.Open++
			place = err
		default:
			s.Open++
			s.void(m, err)
			place = err
		}
	}
	if atOnce {
		if err := s.Commit(); err != nil {
			return err
		}
	}
	if place == nil && s.putOff >= maxPutOff {
		return fmt.Errorf("%d messages in a row were put off, the others are left for another time", s.putOff)
	}
	return place
}

// published notes a delivery.
func (s *settling) published(m Member) {
	s.pending.Done = append(s.pending.Done, m.ID)
	if s.Delete {
		s.Removable = append(s.Removable, Removable{m.Num, m.ID})
	}
	s.delivered++
	s.putOff = 0
	s.log.Info("delivered", "num", m.Num, "uid", m.UID(), "octets", m.Octets)
}

// notPublished notes that the destination refused a message whose intent is
// recorded. What is staged is aborted once the next transaction has closed the
// intent.
func (s *settling) notPublished(m Member, why error) {
	s.pending.Done = append(s.pending.Done, m.ID)
	s.closing = append(s.closing, m.Staged)
	s.Refuse(m.Item, why, !s.Temporary(why) || unclear(why))
	if s.Temporary(why) {
		s.putOff++
	} else {
		s.putOff = 0
	}
}

// void closes the intent of a message that the place failed to take.
func (s *settling) void(m Member, why error) {
	s.pending.Done = append(s.pending.Done, m.ID)
	s.closing = append(s.closing, m.Staged)
	s.Postpone(m.Item, m.Item.Record, why)
}

func stagedOf(members []Member) []deliver.Staged {
	staged := make([]deliver.Staged, len(members))
	for i, m := range members {
		staged[i] = m.Staged
	}
	return staged
}

// errorAt returns the ith error of a group; a nil slice means that there is none.
func errorAt(errs []error, i int) error {
	if errs == nil {
		return nil
	}
	return errs[i]
}

// ScopeOf returns what an error of a destination is about. An unknown error is
// about the place, so that nothing more is tried.
func ScopeOf(err error) deliver.Scope {
	var e *deliver.Error
	if errors.As(err, &e) {
		return e.Scope
	}
	return deliver.Place
}

// unclear reports whether the receiver may have the message although err says that it was
// not delivered.
func unclear(err error) bool {
	var e *deliver.Error
	return errors.As(err, &e) && e.Unclear
}

// PanicError is a panic that was caught: a defect of popfetch.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("popfetch has a defect, please report it: %v\n%s", e.Value, e.Stack)
}

// Guard runs a step and returns its panic, if there is one, as a *PanicError.
func Guard(step func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{r, debug.Stack()}
		}
	}()
	step()
	return nil
}
