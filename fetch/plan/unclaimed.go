package plan

import (
	"bytes"
	"iter"
	"slices"
	"strings"

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
// it finds the one that fits best, and of these the one that was listed last. uid is the id
// that the message has now, and get reads a record.
func (u *Unclaimed) Find(uid string, m Identity, get func(id string) (state.Record, error)) (e state.Entry, ok bool, err error) {
	var found *unclaimed
	copies, best := 0, 0
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
			own := hasLeft(id, uid, &r)
			if !m.is(r, own) {
				continue
			}
			fit := m.fit(&r, own)
			if copies++; fit > best || fit == best && r.Absent.After(e.Record.Absent) {
				found, e, best = &u.entries[at], state.Entry{ID: id, Record: r}, fit
			}
		}
	}
	if found == nil {
		return state.Entry{}, false, nil
	}
	found.taken = true
	return e, true, nil
}

// Record notes in a record what a message is that was received whole.
func (m Identity) Record(r *state.Record) {
	r.Fingerprint, r.Body, r.Strong = m.Fingerprint, m.Body, !m.Weak
}

// MayBe reports whether a message that was received whole may be that of the record of an
// attempt to deliver it. The body decides if it is recorded.
func (m Identity) MayBe(r state.Record) bool {
	return r.Fingerprint == (Fingerprint{}) || r.Fingerprint == m.Fingerprint && m.hasBodyOf(&r)
}

// hasBodyOf reports whether a message that was received whole has the body of the message of
// a record, as far as that is known.
func (m Identity) hasBodyOf(r *state.Record) bool {
	return r.Body == [16]byte{} || r.Body == m.Body
}

// fit returns how well the record of a message that this may be fits it, above 0. own is as
// for is.
func (m Identity) fit(r *state.Record, own bool) int {
	fit := 1
	if own {
		fit++
	}
	if m.hasBodyOf(r) {
		fit += 2
	}
	return fit
}

// isWeak reports whether the fingerprint of a record is weak.
func isWeak(r *state.Record) bool { return r.Body != [16]byte{} && !r.Strong }

// hasLeft reports whether a record, which has the id now, had to leave the unique-id uid.
func hasLeft(id, uid string, r *state.Record) bool {
	return strings.HasPrefix(id, displacedMark) && id == displacedID([]byte(uid), *r)
}

// hasNoBody reports whether a record has no digest of the body although its fingerprint may be
// weak: it comes from a record of version 1, or the user has marked the message as seen.
func hasNoBody(r *state.Record) bool {
	return r.Unproven && r.Fingerprint != (Fingerprint{}) && r.Body == [16]byte{}
}

// is reports whether a message that was received whole is that of a record. own says that the
// record was that of the message's own unique-id.
func (m Identity) is(r state.Record, own bool) bool {
	switch {
	case !r.Seen():
		return false
	case r.Fingerprint == Fingerprint{}:
		// The body is not known, and new mail with a weak fingerprint may have the same
		// header block.
		return r.Digest == m.Block && (own || !m.Weak)
	case r.Fingerprint != m.Fingerprint:
		return false
	case m.Weak:
		return r.Body == m.Body
	}
	// Some servers make another body each time that a message is retrieved. So the body decides
	// only if the unique-id does not speak for the message.
	return m.hasBodyOf(&r) || own && !r.Deleted && !r.Moved
}

// Recognised returns the record of a received message that was delivered before, and
// whether the message is to be deleted for its age.
func Recognised(it Item, e state.Entry, m Identity, p Policy, when When) (r state.Record, toDelete bool) {
	r = listedAgain(e.Record)
	if r.Fingerprint == (Fingerprint{}) {
		r.Digest, r.Unproven = [16]byte{}, m.Weak // only the header blocks could be compared
	}
	// A record that had to leave this id was not absent, whatever was counted. With another
	// body it may still be a message that nobody has.
	own := hasLeft(e.ID, it.ID, &e.Record)
	r.PutBack = e.Record.PutBack || !m.hasBodyOf(&r) || r.Deleted && !own
	m.Record(&r)
	r.Kept = own && (r.Kept || r.Deleted)
	if r.Moved = false; own {
		r = listedAfterDeletion(r, when)
	}
	r.Deleted = false
	if it.Octets >= 0 {
		r.Octets = it.Octets
	}
	return r, due(&r, p, when)
}
