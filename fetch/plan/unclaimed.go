package plan

import (
	"bytes"
	"iter"
	"slices"

	"popfetch/state"
)

// Unclaimed holds the delivered messages whose ids are not listed. A message that is
// received while Plan.Compare is set may be one of them. A maildrop may have a million:
// each takes little more memory than its id.
type Unclaimed struct {
	entries []unclaimed // in the order of print
	ids     arena
}

type unclaimed struct {
	print [16]byte // the fingerprint, or the digest of the header block
	id    place
	taken bool
}

// NewUnclaimed collects the records whose ids are not in the listing.
func NewUnclaimed(listing *Listing, known iter.Seq2[[]byte, state.Record]) *Unclaimed {
	u := new(Unclaimed)
	order, next := listing.byID(), 0
	var buf [maxUID + 16]byte
	for id, r := range known {
		for next < len(order) && bytes.Compare(listing.id(int(order[next]), buf[:]), id) < 0 {
			next++
		}
		listed := next < len(order) && bytes.Equal(listing.id(int(order[next]), buf[:]), id)
		print := r.Fingerprint
		if print == (Fingerprint{}) {
			print = r.Digest
		}
		if !listed && r.Seen() && !(r.Deleted && isWeak(&r)) && print != (Fingerprint{}) {
			u.entries = append(u.entries, unclaimed{print: print, id: u.ids.add(id)})
		}
	}
	slices.SortFunc(u.entries, func(a, b unclaimed) int { return bytes.Compare(a.print[:], b.print[:]) })
	return u
}

// mostCopies is how many equal copies of a message are compared, to find the one that was
// listed last. A maildrop may have a hundred thousand.
const mostCopies = 16

// Find looks for a received message, and returns its entry, which it finds once. Of copies
// it finds the one that was listed last. uid is the id that the message has now, and get
// reads a record.
func (u *Unclaimed) Find(uid string, m Identity, get func(id string) (state.Record, error)) (e state.Entry, ok bool, err error) {
	var found *unclaimed
	copies := 0
	for _, print := range [][16]byte{m.Fingerprint, m.Block} {
		at, _ := slices.BinarySearchFunc(u.entries, print, func(e unclaimed, print [16]byte) int { return bytes.Compare(e.print[:], print[:]) })
		for ; at < len(u.entries) && u.entries[at].print == print && copies < mostCopies; at++ {
			if u.entries[at].taken {
				continue
			}
			id := string(u.ids.get(u.entries[at].id))
			r, err := get(id)
			if err != nil {
				return state.Entry{}, false, err
			}
			own := r.Fingerprint == (Fingerprint{}) && id == displacedID([]byte(uid), r)
			if !m.is(r, own) {
				continue
			}
			if copies++; found == nil || r.Absent.After(e.Record.Absent) {
				found, e = &u.entries[at], state.Entry{ID: id, Record: r}
			}
		}
	}
	if found == nil {
		return state.Entry{}, false, nil
	}
	found.taken = true
	return e, true, nil
}

// Recorded returns what is recorded of a message that was received whole: its
// fingerprint, and the digest of its body if the fingerprint is weak.
func (m Identity) Recorded() (_ Fingerprint, body [16]byte) {
	if m.Weak {
		body = m.Body
	}
	return m.Fingerprint, body
}

// MayBe reports whether a message that was received whole may be that of the record of an
// attempt to deliver it. The body decides if it is recorded.
func (m Identity) MayBe(r state.Record) bool {
	print, body := m.Recorded()
	return r.Fingerprint == (Fingerprint{}) || r.Fingerprint == print && (!isWeak(&r) || r.Body == body)
}

// isWeak reports whether the fingerprint of a record is weak.
func isWeak(r *state.Record) bool { return r.Body != [16]byte{} }

// hasNoBody reports whether a record has no digest of the body although its fingerprint may be
// weak: it comes from a record of version 1, or the user has marked the message as seen.
func hasNoBody(r *state.Record) bool {
	return r.Unproven && r.Fingerprint != (Fingerprint{}) && r.Body == [16]byte{}
}

// is reports whether a message that was received whole is that of a record. The body
// decides if the fingerprint is weak. A record of version 1 does not have it, and new mail
// with the same header block must not be taken for old: own says that the record was that
// of the message's own unique-id.
func (m Identity) is(r state.Record, own bool) bool {
	switch {
	case !r.Seen():
		return false
	case r.Fingerprint == Fingerprint{}:
		return r.Digest == m.Block && (own || !m.Weak)
	}
	return r.Fingerprint == m.Fingerprint && (!m.Weak || r.Body == m.Body)
}

// Recognised returns the record of a received message that was delivered before, and
// whether the message is to be deleted for its age.
func Recognised(it Item, e state.Entry, m Identity, p Policy, when When) (r state.Record, toDelete bool) {
	r = listedAgain(e.Record)
	if r.Fingerprint == (Fingerprint{}) {
		r.Digest, r.Unproven = [16]byte{}, m.Weak // only the header blocks could be compared
	}
	r.Fingerprint, r.Body = m.Recorded()
	r.PutBack, r.Deleted = r.PutBack || r.Deleted, false // it has another id
	if it.Octets >= 0 {
		r.Octets = it.Octets
	}
	return r, due(&r, p, when)
}
