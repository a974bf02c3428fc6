package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"popfetch/fetch/pop3"
	"popfetch/state"
)

// A maildrop counts as renumbered when at least so many delivered ids are gone
// at once and none is left, and what is there instead is about as much.
const (
	fewestGone = 20
	likeness   = 0.2 // by which number and octets may differ
)

// renumbered says whether the server seems to have given new unique-ids to its
// messages: it was moved, or restored, or its software changed. Taken at its
// word, the listing would have the whole maildrop fetched again. An account that
// deletes what it delivers has no old messages there.
func (plan Plan) renumbered(listing *Listing, p Policy) bool {
	if p.Delete && p.After == 0 || plan.Present > 0 || plan.Missing < fewestGone {
		return false
	}
	var octets int64
	for i := range listing.Len() {
		octets += max(listing.octets.get(i, -1), 0)
	}
	return alike(float64(listing.Len()), float64(plan.Missing)) && alike(float64(octets), float64(plan.MissingOctets))
}

func alike(a, b float64) bool { return a <= b*(1+likeness) && a >= b*(1-likeness) }

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

// recognise looks at the header blocks of a renumbered maildrop, gives the
// records of known messages to their new ids, and plans anew. Where most are not
// known the account stops.
func (p *poll) recognise(listing *Listing, plan Plan) (Plan, error) {
	p.log.Warn("the server has changed all unique-ids; comparing header blocks", "known", plan.Missing, "listed", listing.Len())
	have := make(index)
	now := time.Now()
	err := p.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for id, r := range known {
			if lately(r, now) && r.Digest != [16]byte{} {
				have.add(state.Entry{ID: string(id), Record: r})
			}
		}
		return nil
	})
	if err != nil {
		return plan, &StateError{err}
	}
	change, found, err := p.match(listing.items(func(int) bool { return true }), have)
	if err != nil {
		return plan, p.because(err)
	}
	if float64(found) < float64(plan.Missing)*(1-likeness) {
		return plan, &RenumberedError{plan.Missing, listing.Len(), found}
	}
	if err := p.Maildrop.Commit(change); err != nil {
		p.unsure = true
		return plan, &StateError{err}
	}
	p.log.Warn("recognised messages under their new unique-ids; they are not fetched again", "messages", found)
	return p.compare(listing, time.Now())
}

// index finds delivered messages by what can be seen of them without their
// bodies.
type index map[look][]state.Entry

type look struct {
	digest [16]byte // of the header block
	octets int64
}

func (have index) add(e state.Entry) {
	at := look{e.Record.Digest, e.Record.Octets}
	have[at] = append(have[at], e)
}

// take returns an entry, each one once.
func (have index) take(at look) (state.Entry, bool) {
	entries := have[at]
	if len(entries) == 0 {
		return state.Entry{}, false
	}
	have[at] = entries[1:]
	return entries[0], true
}

// match asks for the header block of every one of the messages, and gives those that
// have holds the record found there under its new id. Different messages may have
// one header block, so the octets must agree too. A message whose header block
// the server does not show is not found.
func (p *poll) match(items Items, have index) (change state.Change, found int, err error) {
	next := 0
	for m, err := range p.session.Top(items.nums(), 0) {
		var refused *pop3.ResponseError
		if err != nil && !errors.As(err, &refused) {
			return change, found, err
		}
		l := items.At(next)
		next++
		if refused != nil {
			continue
		}
		sum, err := digestOf(m.Body)
		if err != nil {
			return change, found, err
		}
		old, ok := have.take(look{sum, l.Octets})
		if !ok {
			continue
		}
		found++
		change.Put = append(change.Put, state.Entry{ID: l.ID, Record: old.Record})
		if old.ID != "" {
			change.Forget = append(change.Forget, old.ID)
		}
	}
	return change, found, nil
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
	listing, plan, err := p.enter()
	if err != nil {
		return 0, 0, err
	}
	fresh := listing.items(func(i int) bool { return plan.Verdicts[i] != Seen && plan.Verdicts[i] != Due })
	stored := make(index)
	for _, h := range have {
		stored.add(state.Entry{Record: state.Record{Delivered: h.Time, Digest: h.Digest, Octets: h.Octets}})
	}
	// What is recorded already has its copy in the Maildir; a twin needs another.
	err = p.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for _, r := range known {
			if r.Seen() {
				stored.take(look{r.Digest, r.Octets})
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, &StateError{err}
	}
	change, found, err := p.match(fresh, stored)
	if err != nil {
		return 0, 0, p.because(err)
	}
	change.Begin = true
	if err := p.Maildrop.Commit(change); err != nil {
		return 0, 0, &StateError{err}
	}
	return found, fresh.Len() - found, p.session.Quit()
}

// Recognise returns what Relearn compares of a message in wire form. Its Time is
// not set.
func Recognise(message io.Reader) (s Stored, err error) {
	d := newDigest()
	s.Octets, err = io.Copy(d, message)
	s.Digest = d.Sum()
	return s, err
}
