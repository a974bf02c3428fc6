package fetch

import (
	"context"
	"io"
	"iter"
	"time"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// Stored is a message that was found where mail was delivered.
type Stored struct {
	Digest [16]byte // of its header block, see Recognise
	Octets int64    // as it was on the wire
	Time   time.Time
}

// Recognise returns what Relearn compares of a message in wire form. Its Time is
// not set.
func Recognise(message io.Reader) (s Stored, err error) {
	d := plan.NewDigest()
	s.Octets, err = io.Copy(d, message)
	s.Digest = d.Sum()
	return s, err
}

// Relearn records as delivered what is both in the maildrop and in have. It fetches
// nothing, and leaves records that exist as they are. It returns how many messages
// it has recorded and how many it did not find in have.
func (a *Account) Relearn(ctx context.Context, have []Stored) (learned, unknown int, err error) {
	p := a.begin(ctx)
	p.alwaysSizes = true
	p.guard(func() {
		learned, unknown, err = p.relearn(have)
		p.fail(err)
	})
	p.guard(p.end)
	return learned, unknown, p.outcome()
}

func (p *poll) relearn(have []Stored) (learned, unknown int, err error) {
	if err := p.enter(); err != nil {
		return 0, 0, err
	}
	v := p.visit
	fresh := v.listing.Items(func(i int) bool { return v.plan.Verdicts[i] != plan.Seen && v.plan.Verdicts[i] != plan.Due })
	var match plan.Match
	for _, h := range have {
		match.Know(state.Entry{Record: state.Record{Delivered: h.Time, Digest: h.Digest, Octets: h.Octets}})
	}
	// A recorded message has its copy in the Maildir already; a twin needs another
	// copy.
	err = p.memory.Scan(func(known iter.Seq2[[]byte, state.Record]) {
		for _, r := range known {
			if r.Seen() {
				match.Spend(r)
			}
		}
	})
	if err != nil {
		return 0, 0, err
	}
	if err := v.show(&match, fresh); err != nil {
		return 0, 0, err
	}
	match.Change.Begin = true
	if err := p.memory.Commit(match.Change); err != nil {
		return 0, 0, err
	}
	return match.Found, fresh.Len() - match.Found, v.session.Quit()
}
