package fetch

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// ledger is what has become of messages and has yet to be recorded, reported or
// followed up. The poll has one, and each group that is being settled beside it.
type ledger struct {
	maildrop state.Maildrop
	log      *slog.Logger

	pending   state.Change     // rides in the next transaction
	closing   []deliver.Staged // given up, once the next transaction has ended their intents
	removable []removable      // messages that are delivered and recorded, of which the server's copy may go
	problems  []error          // of single messages
	delivered int              // messages
	failed    int              // messages
	putOff    int              // messages in a row that the destination has put off
	unsure    bool             // a transaction failed: it is not known what is recorded
}

// removable is a message that may be deleted from the server, with its record.
type removable struct {
	num   int
	entry state.Entry
}

// split returns a ledger for a group: what is pending rides in its first
// transaction.
func (l *ledger) split() ledger {
	part := ledger{maildrop: l.maildrop, log: l.log, pending: l.pending, closing: l.closing, putOff: l.putOff}
	l.pending, l.closing = state.Change{}, nil
	return part
}

// join adds what a part has come to hold since it was split off.
func (l *ledger) join(part *ledger) {
	l.pending.Begin = l.pending.Begin || part.pending.Begin
	l.pending.Facts = cmp.Or(l.pending.Facts, part.pending.Facts)
	l.pending.Done = append(part.pending.Done, l.pending.Done...)
	l.pending.Forget = append(part.pending.Forget, l.pending.Forget...)
	l.pending.Put = append(part.pending.Put, l.pending.Put...)
	l.closing = append(part.closing, l.closing...)
	l.removable = append(l.removable, part.removable...)
	l.problems = append(l.problems, part.problems...)
	l.delivered += part.delivered
	l.failed += part.failed
	l.putOff = part.putOff
	l.unsure = l.unsure || part.unsure
}

// commit stores what is pending and the entries after it, in one transaction.
func (l *ledger) commit(put []state.Entry) error {
	change := l.pending
	change.Put = append(change.Put, put...)
	l.pending = state.Change{}
	if err := l.maildrop.Commit(change); err != nil {
		l.unsure = true
		return &StateError{err}
	}
	for _, s := range l.closing {
		s.Abort()
	}
	l.closing = nil
	return nil
}

// refuse notes that the server or the destination does not give or take a
// message. A definite refusal counts; MaxFailures of them set the message aside.
func (l *ledger) refuse(it plan.Item, why error, definite bool) {
	r := it.Record
	if definite {
		r.Failures++
	}
	if r.Failures == plan.MaxFailures {
		why = fmt.Errorf("%w; this was the %dth time, and it is set aside: it stays on the server until popfetch state retry", why, plan.MaxFailures)
	}
	l.tried(it, r, why)
}

// tried records a message that was not delivered.
func (l *ledger) tried(it plan.Item, r state.Record, why error) {
	r.Delivered, r.Reason = time.Time{}, bounded(why.Error())
	l.pending.Put = append(l.pending.Put, state.Entry{ID: it.ID, Record: r})
	l.failed++
	l.problems = append(l.problems, &MessageError{it.Num, it.UID(), why})
	l.log.Debug("message was not delivered", "num", it.Num, "uid", it.UID(), "reason", why)
}

// bounded cuts a reason to what is worth keeping.
func bounded(s string) string {
	const most = 500
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
