package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// RenumberedError is a maildrop whose unique-ids have all changed, and whose
// messages cannot be recognised either.
type RenumberedError struct {
	Known      int // delivered ids that are gone
	Listed     int // messages in the maildrop
	Recognised int // of these, known by header block and octets
}

func (e *RenumberedError) Error() string {
	return fmt.Sprintf("the server has changed the unique-ids of the whole maildrop: all %d known ones are gone, %d new ones are there, "+
		"and only %d of them are known by header block and size; nothing is fetched, for it may all have been delivered before", e.Known, e.Listed, e.Recognised)
}

// recognise compares the header blocks of a renumbered maildrop, gives the records
// of known messages to their new ids, and plans anew. If most are unknown the
// account stops.
func (p *poll) recognise(listing *plan.Listing, todo plan.Plan) (plan.Plan, error) {
	p.log.Warn("the server has changed all unique-ids; comparing header blocks", "known", todo.Missing, "listed", listing.Len())
	var match plan.Match
	now := time.Now()
	err := p.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		match.KnowRecent(known, now)
		return nil
	})
	if err != nil {
		return todo, &StateError{err}
	}
	if err := p.show(&match, listing.Items(func(int) bool { return true })); err != nil {
		return todo, p.because(err)
	}
	if !match.Enough(todo.Missing) {
		return todo, &RenumberedError{todo.Missing, listing.Len(), match.Found}
	}
	if err := p.Maildrop.Commit(match.Change); err != nil {
		p.unsure = true
		return todo, &StateError{err}
	}
	p.log.Warn("recognised messages under their new unique-ids; they are not fetched again", "messages", match.Found)
	return p.compare(listing, time.Now())
}

// show asks for the header block of each of the messages and shows it to match. A
// message whose header block the server refuses to show is not found.
func (p *poll) show(match *plan.Match, items plan.Items) error {
	next := 0
	for m, err := range p.session.Top(items.Nums(), 0) {
		var refused *pop3.ResponseError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		l := items.At(next).Listed
		next++
		if refused != nil {
			continue
		}
		sum, err := plan.DigestOf(m.Body)
		if err != nil {
			return err
		}
		match.Show(l, sum)
	}
	return nil
}

// Stored is a message that was found where mail was delivered.
type Stored struct {
	Digest [16]byte // of its header block, see Recognise
	Octets int64    // as it was on the wire
	Time   time.Time
}

// Relearn records as delivered what is in the maildrop and among have. It
// fetches nothing; messages that are recorded already stay as they are. It
// returns how many it has learned and how many it did not know.
func (a *Account) Relearn(ctx context.Context, have []Stored) (learned, unknown int, err error) {
	p := a.begin(ctx)
	p.guard(func() {
		learned, unknown, err = p.relearn(have)
		p.fail(err)
	})
	p.guard(p.end)
	return learned, unknown, p.outcome()
}

func (p *poll) relearn(have []Stored) (learned, unknown int, err error) {
	p.sized = true
	listing, todo, err := p.enter()
	if err != nil {
		return 0, 0, err
	}
	fresh := listing.Items(func(i int) bool { return todo.Verdicts[i] != plan.Seen && todo.Verdicts[i] != plan.Due })
	var match plan.Match
	for _, h := range have {
		match.Know(state.Entry{Record: state.Record{Delivered: h.Time, Digest: h.Digest, Octets: h.Octets}})
	}
	// A recorded message has its copy in the Maildir already; a twin needs another
	// copy.
	err = p.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for _, r := range known {
			if r.Seen() {
				match.Spend(r)
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, &StateError{err}
	}
	if err := p.show(&match, fresh); err != nil {
		return 0, 0, p.because(err)
	}
	match.Change.Begin = true
	if err := p.Maildrop.Commit(match.Change); err != nil {
		return 0, 0, &StateError{err}
	}
	return match.Found, fresh.Len() - match.Found, p.session.Quit()
}

// Recognise returns what Relearn compares of a message in wire form. Its Time is
// not set.
func Recognise(message io.Reader) (s Stored, err error) {
	d := plan.NewDigest()
	s.Octets, err = io.Copy(d, message)
	s.Digest = d.Sum()
	return s, err
}
