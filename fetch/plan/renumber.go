package plan

import (
	"iter"
	"time"

	"popfetch/state"
)

// A maildrop counts as renumbered when none of its delivered ids is left, at least
// fewestMissing of them vanished at once, and what is listed instead differs in
// number and in octets by no more than tolerance.
const (
	fewestMissing = 20
	tolerance     = 0.2
)

// Renumbered reports whether the server seems to have given new unique-ids to all
// messages: it was moved, or restored, or its software changed. Taken literally,
// the listing would have the whole maildrop fetched again. An account that deletes
// what it delivers has no old messages on the server.
func (p Plan) Renumbered(listing *Listing, policy Policy) bool {
	if policy.DeletesAtOnce() || p.Present > 0 || p.Missing < fewestMissing {
		return false
	}
	var octets int64
	for i := range listing.Len() {
		octets += max(listing.octets.get(i, -1), 0)
	}
	return similar(float64(listing.Len()), float64(p.Missing)) && similar(float64(octets), float64(p.MissingOctets))
}

func similar(a, b float64) bool { return a <= b*(1+tolerance) && a >= b*(1-tolerance) }

// Match finds delivered messages among listed ones by their header blocks, whatever
// their unique-ids. The zero value knows no message.
type Match struct {
	known map[appearance][]state.Entry
	// Change gives the records of recognised messages to their new ids.
	Change state.Change
	// Found counts the recognised messages.
	Found int
}

// appearance is what can be seen of a message without its body. Different messages
// may have the same header block, so the octets count too.
type appearance struct {
	digest [16]byte // of the header block
	octets int64
}

// Know adds a delivered message. Its ID is empty if it has no record yet.
func (m *Match) Know(e state.Entry) {
	if m.known == nil {
		m.known = make(map[appearance][]state.Entry)
	}
	at := appearance{e.Record.Digest, e.Record.Octets}
	m.known[at] = append(m.known[at], e)
}

// KnowRecent adds the recorded messages that a renumbered maildrop may hold under
// new ids.
func (m *Match) KnowRecent(known iter.Seq2[[]byte, state.Record], now time.Time) {
	for id, r := range known {
		if recent(r, now) && r.Digest != [16]byte{} {
			m.Know(state.Entry{ID: string(id), Record: r})
		}
	}
}

// Spend removes one message that looks like r: each can be found once.
func (m *Match) Spend(r state.Record) (state.Entry, bool) {
	at := appearance{r.Digest, r.Octets}
	entries := m.known[at]
	if len(entries) == 0 {
		return state.Entry{}, false
	}
	m.known[at] = entries[1:]
	return entries[0], true
}

// Show looks for the message whose header block has this digest.
func (m *Match) Show(l Listed, digest [16]byte) {
	old, ok := m.Spend(state.Record{Digest: digest, Octets: l.Octets})
	if !ok {
		return
	}
	m.Found++
	m.Change.Put = append(m.Change.Put, state.Entry{ID: l.ID, Record: old.Record})
	if old.ID != "" {
		m.Change.Forget = append(m.Change.Forget, old.ID)
	}
}

// Enough reports whether so many of the missing messages were found that the
// others cannot be mail that was delivered before.
func (m *Match) Enough(missing int) bool { return float64(m.Found) >= float64(missing)*(1-tolerance) }
