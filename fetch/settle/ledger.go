package settle

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// Maildrop is what is recorded of one maildrop: a state.Maildrop, or one that wraps
// its errors.
type Maildrop interface {
	Commit(state.Change) error
}

// Ledger is what happened to messages in one poll and is yet to be recorded. One
// goroutine at a time uses it; the goroutine of a Settler has a part of it.
type Ledger struct {
	maildrop Maildrop
	log      *slog.Logger
	now      func() time.Time

	pending   state.Change     // goes into the next transaction
	closing   []deliver.Staged // to be aborted once the next transaction has closed their intents
	delivered int              // messages
	putOff    int              // messages in a row that the destination has put off
	full      bool             // see Full
	unsure    bool             // a transaction failed: it is not known what is recorded
}

// NewLedger returns a ledger with nothing to record. now tells the time.
func NewLedger(m Maildrop, log *slog.Logger, now func() time.Time) *Ledger {
	return &Ledger{maildrop: m, log: log, now: now}
}

// Put has records stored by the next transaction.
func (l *Ledger) Put(entries ...state.Entry) { l.pending.Put = append(l.pending.Put, entries...) }

// Forget has ids forgotten by the next transaction, and drops their records that were put
// before: a transaction forgets first.
func (l *Ledger) Forget(ids ...string) {
	l.pending.Forget = append(l.pending.Forget, ids...)
	if len(l.pending.Put) == 0 {
		return
	}
	forgotten := make(map[string]bool, len(ids))
	for _, id := range ids {
		forgotten[id] = true
	}
	l.pending.Put = slices.DeleteFunc(l.pending.Put, func(e state.Entry) bool { return forgotten[e.ID] })
}

// Learn has facts about the server stored by the next transaction.
func (l *Ledger) Learn(f state.Facts) { l.pending.Facts = &f }

// Count counts messages that were delivered without a Settler.
func (l *Ledger) Count(delivered int) { l.delivered += delivered }

// Delivered returns how many messages were delivered.
func (l *Ledger) Delivered() int { return l.delivered }

// Full says that there are as many records of undelivered messages as one maildrop may
// have. The ledger then forgets a message that fails and has no such record.
func (l *Ledger) Full(full bool) { l.full = full }

// Unsure reports whether a transaction has failed. It is not known then what is
// recorded, and nothing may be deleted from the server.
func (l *Ledger) Unsure() bool { return l.unsure }

// Postpone records why an attempt at a message failed, so that the next poll takes
// that message last.
func (l *Ledger) Postpone(it plan.Item, r state.Record, why error) {
	r.Tried = l.now()
	l.postpone(it, r, why)
}

// postpone is Postpone with the time of the attempt in the record.
func (l *Ledger) postpone(it plan.Item, r state.Record, why error) {
	if l.full && !it.Tried() {
		l.Forget(it.ID) // its intent may be recorded
		return
	}
	r.Delivered, r.Reason = time.Time{}, Bounded(why.Error())
	var refused *deliver.Error
	if errors.As(why, &refused) && refused.Progress != "" {
		r.Progress = refused.Progress
	}
	l.Put(state.Entry{ID: it.ID, Record: r})
}

// Commit stores what is pending in one transaction.
func (l *Ledger) Commit() error { return l.commit(nil) }

// CommitOnly stores one change and leaves what is pending for the next transaction.
func (l *Ledger) CommitOnly(c state.Change) error {
	err := l.maildrop.Commit(c)
	l.unsure = l.unsure || err != nil
	return err
}

// commit stores what is pending, and the entries after it, in one transaction.
func (l *Ledger) commit(put []state.Entry) error {
	change := l.pending
	change.Put = append(change.Put, put...)
	l.pending = state.Change{}
	if err := l.CommitOnly(change); err != nil {
		return err
	}
	// Not before: while a recorded intent names a staged message, recovery takes
	// its missing file for a delivery.
	abort(l.closing)
	l.closing = nil
	return nil
}

// split returns a ledger for a group. What is pending goes into the group's first
// transaction.
func (l *Ledger) split() *Ledger {
	part := &Ledger{maildrop: l.maildrop, log: l.log, now: l.now, pending: l.pending, closing: l.closing, putOff: l.putOff, full: l.full}
	l.pending, l.closing = state.Change{}, nil
	return part
}

// join adds what a part holds since it was split off.
func (l *Ledger) join(part *Ledger) {
	l.pending.Begin = l.pending.Begin || part.pending.Begin
	l.pending.Facts = cmp.Or(l.pending.Facts, part.pending.Facts)
	l.pending.Done = append(part.pending.Done, l.pending.Done...)
	l.pending.Forget = append(part.pending.Forget, l.pending.Forget...)
	l.pending.Put = append(part.pending.Put, l.pending.Put...)
	l.closing = append(part.closing, l.closing...)
	l.delivered += part.delivered
	l.putOff = part.putOff
	l.unsure = l.unsure || part.unsure
}

// Removable is a message whose copy on the server may be deleted.
type Removable struct {
	Num int // of this session
	ID  string
}

// Problem is why a message was not delivered. It stays on the server.
type Problem struct {
	plan.Item
	Err error
}

// Results is what happened to the messages of one session.
type Results struct {
	Removable []Removable // delivered and recorded
	Problems  []Problem
	// Open counts messages that the place as a whole failed to take. Its error is their
	// reason. The next poll finishes their intents, or fetches them again.
	Open int
}

// Failed returns how many messages were not delivered.
func (r *Results) Failed() int { return len(r.Problems) + r.Open }

func (r *Results) join(part *Results) {
	r.Removable = append(r.Removable, part.Removable...)
	r.Problems = append(r.Problems, part.Problems...)
	r.Open += part.Open
}

// books are where the fate of a message is noted.
type books struct {
	*Ledger
	Results
}

// Refuse notes that the server or the destination refuses a message. A definite
// refusal counts against the message, and plan.MaxFailures of them set it aside.
func (b *books) Refuse(it plan.Item, why error, definite bool) {
	r, told := it.Record, why
	if definite {
		r.Failures++
		told = Counted(why, r.Failures)
	}
	b.note(it, r, why, told)
}

// RefuseWithAll is Refuse for a server that refuses everything. It counts if the message was
// refused a day ago too.
func (b *books) RefuseWithAll(it plan.Item, why error) {
	r := it.Record
	if counts := plan.CountsWithAll(r, b.now()); counts || r.Tried.IsZero() || r.Failures >= plan.MaxFailures {
		b.Refuse(it, why, counts)
		return
	}
	b.postpone(it, r, why) // r.Tried stays what the day is counted from
	b.tell(it, why)
}

// Counted returns why an attempt failed, with what follows from the number of failures
// that count against the message.
func Counted(why error, failures int) error {
	switch {
	case failures == plan.MaxFailures:
		return &AsideError{why, failures}
	case failures > plan.MaxFailures:
		return fmt.Errorf("%w; this was the %dth time, and the message stays set aside", why, failures)
	}
	return why
}

// AsideError is a failure that has set a message aside.
type AsideError struct {
	Err   error
	Times int // that it has failed
}

func (e *AsideError) Error() string {
	return fmt.Sprintf("%v; this was the %dth time, and the message is set aside: it stays on the server, is tried again once a day and later once a week, or after popfetch state retry", e.Err, e.Times)
}

// Unwrap returns the failure.
func (e *AsideError) Unwrap() error { return e.Err }

// NoRoom notes that the destination has no room for a message, of which so many octets
// were received; known says that it knows how much room it has. That counts against
// nothing.
func (b *books) NoRoom(it plan.Item, octets int64, known bool, why error) {
	r := it.Record
	r.Octets = max(r.Octets, it.Octets, octets)
	prefix := plan.NoRoomTold
	if known {
		prefix = plan.NoRoom
	}
	b.note(it, r, fmt.Errorf("%s%w", prefix, why), why)
}

// Fail notes that a message was not delivered, with the record to be stored.
func (b *books) Fail(it plan.Item, r state.Record, why error) { b.note(it, r, why, why) }

// note is Fail with another error for the user.
func (b *books) note(it plan.Item, r state.Record, why, told error) {
	b.Postpone(it, r, why)
	b.tell(it, told)
}

// tell enters why a message was not delivered into the results.
func (b *books) tell(it plan.Item, why error) {
	b.Problems = append(b.Problems, Problem{it, why})
	b.log.Debug("message was not delivered", "num", it.Num, "uid", it.UID(), "reason", why)
}

// Bounded shortens a reason to what is worth storing.
func Bounded(s string) string {
	const most = 500
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
