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
func (plan Plan) renumbered(listing []Listed, p Policy) bool {
	if p.Delete && p.After == 0 || plan.Present > 0 || plan.Missing < fewestGone {
		return false
	}
	var octets int64
	for _, l := range listing {
		octets += max(l.Octets, 0)
	}
	return alike(float64(len(listing)), float64(plan.Missing)) && alike(float64(octets), float64(plan.MissingOctets))
}

func alike(a, b float64) bool { return a <= b*(1+likeness) && a >= b*(1-likeness) }

// RenumberedError is a maildrop whose unique-ids have all changed, and whose
// messages cannot be recognised either.
type RenumberedError struct {
	Known      int // delivered ids that are gone
	Listed     int // messages in the maildrop
	Recognised int // of these, known by their header blocks
	Err        error
}

func (e *RenumberedError) Error() string {
	why := fmt.Sprintf("only %d of them are known by their header blocks", e.Recognised)
	if e.Err != nil {
		why = fmt.Sprintf("their header blocks cannot be had: %v", e.Err)
	}
	return fmt.Sprintf("the server has changed the unique-ids of the whole maildrop: all %d known ones are gone, %d new ones are there, and %s; "+
		"nothing is fetched, for it may all have been delivered before", e.Known, e.Listed, why)
}

// Unwrap returns why the messages could not be looked at, nil if they could.
func (e *RenumberedError) Unwrap() error { return e.Err }

// recognise looks at the header blocks of a renumbered maildrop, gives the
// records of known messages to their new ids, and plans anew. Where most are not
// known the account stops.
func (p *poll) recognise(listing []Listed, plan Plan) (Plan, error) {
	p.log.Warn("the server has changed all unique-ids; comparing header blocks", "known", plan.Missing, "listed", len(listing))
	have := make(map[[16]byte][]state.Entry)
	err := p.Maildrop.Scan(func(known iter.Seq2[string, state.Record]) error {
		for id, r := range known {
			if r.Seen() && r.Absent.IsZero() && r.Digest != [16]byte{} {
				have[r.Digest] = append(have[r.Digest], state.Entry{ID: id, Record: r})
			}
		}
		return nil
	})
	if err != nil {
		return plan, &StateError{err}
	}
	change, found, err := p.match(listing, have)
	var refused *pop3.ResponseError
	if errors.As(err, &refused) || err == nil && float64(found) < float64(plan.Missing)*(1-likeness) {
		return plan, &RenumberedError{plan.Missing, len(listing), found, err}
	}
	if err != nil {
		return plan, p.because(err)
	}
	if err := p.Maildrop.Commit(change); err != nil {
		p.unsure = true
		return plan, &StateError{err}
	}
	p.log.Warn("recognised messages under their new unique-ids; they are not fetched again", "messages", found)
	return p.compare(listing, time.Now())
}

// match asks for the header block of every listed message, and gives those that
// have holds the record found there under its new id. Each record is given once.
func (p *poll) match(listing []Listed, have map[[16]byte][]state.Entry) (change state.Change, found int, err error) {
	nums := make([]int, len(listing))
	for i, l := range listing {
		nums[i] = l.Num
	}
	next := 0
	for m, err := range p.session.Top(nums, 0) {
		if err != nil {
			return change, found, err
		}
		sum, err := digestOf(m.Body)
		if err != nil {
			return change, found, fmt.Errorf("TOP %d 0: %w", m.Num, err)
		}
		l := listing[next]
		next++
		entries := have[sum]
		if len(entries) == 0 {
			continue
		}
		old := entries[0]
		have[sum] = entries[1:]
		found++
		record := old.Record
		record.Octets = l.Octets
		change.Put = append(change.Put, state.Entry{ID: l.ID, Record: record})
		if old.ID != "" {
			change.Forget = append(change.Forget, old.ID)
		}
	}
	return change, found, nil
}

// Stored is a message that was found where mail was delivered.
type Stored struct {
	Digest [16]byte // see DigestHeader
	Time   time.Time
}

// Relearn records as delivered what is in the maildrop and among have. It
// fetches nothing; messages that are recorded already stay as they are. It
// returns how many it has learned and how many it did not know.
func (a *Account) Relearn(ctx context.Context, have []Stored) (learned, unknown int, err error) {
	p := a.begin(ctx)
	defer p.end()
	learned, unknown, err = p.relearn(have)
	if err != nil {
		return 0, 0, &AccountError{a.Name, []error{err}}
	}
	return learned, unknown, nil
}

func (p *poll) relearn(have []Stored) (learned, unknown int, err error) {
	if err := p.open(); err != nil {
		return 0, 0, err
	}
	listing, plan, err := p.plan(true)
	if err != nil {
		return 0, 0, err
	}
	var fresh []Listed
	for i, l := range listing {
		if v := plan.Verdicts[i]; v != Seen && v != Due {
			fresh = append(fresh, l)
		}
	}
	index := make(map[[16]byte][]state.Entry)
	for _, h := range have {
		index[h.Digest] = append(index[h.Digest], state.Entry{Record: state.Record{Delivered: h.Time, Digest: h.Digest}})
	}
	change, found, err := p.match(fresh, index)
	if err != nil {
		return 0, 0, p.because(err)
	}
	change.Begin = true
	if err := p.Maildrop.Commit(change); err != nil {
		return 0, 0, &StateError{err}
	}
	return found, len(fresh) - found, p.session.Quit()
}

// DigestHeader returns the digest of the header block at the beginning of a
// message in wire form, as Relearn compares it.
func DigestHeader(message io.Reader) ([16]byte, error) {
	return digestOf(io.LimitReader(message, digestLimit))
}
