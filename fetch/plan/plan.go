package plan

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"popfetch/state"
)

// Plan is what one poll is going to do, and why.
type Plan struct {
	Retrieve Items // in this order: messages that failed before come last
	Verify   Items // Changed: their header blocks are needed first, see Review
	Delete   Items
	TooBig   Items
	SetAside Items
	Seen     int
	Deferred int
	// Verdicts has one element for each message of the listing.
	Verdicts []Verdict
	// Aged are records of ids that the listing lacks or has again, and Forget the
	// ids that were absent for long enough. Both apply to a complete listing only.
	Aged   []state.Entry
	Forget []string
	// Present counts the delivered ids that the listing has, Missing those that it
	// lacks and that were listed until recently; MissingOctets is their size.
	Present, Missing int
	MissingOctets    int64
	// Twins are records of messages that shared their unique-id with others and
	// that the listing lacks.
	Twins []state.Entry
}

// New compares a listing with what is known, which comes in byte order of the ids,
// and decides. It takes O(listing + known) time, plus sorting if the listing has
// another order, and keeps nothing of known records that stay as they are.
func New(listing *Listing, known iter.Seq2[[]byte, state.Record], p Policy, now time.Time) Plan {
	d := &decision{listing: listing, policy: p, now: now}
	d.Verdicts = make([]Verdict, listing.Len())
	order, next := listing.byID(), 0
	var buf [maxUID + 16]byte
	for id, r := range known {
		for next < len(order) && bytes.Compare(listing.id(int(order[next]), buf[:]), id) < 0 {
			d.judge(order[next], state.Record{})
			next++
		}
		if next == len(order) || !bytes.Equal(listing.id(int(order[next]), buf[:]), id) {
			d.absent(id, r)
			continue
		}
		d.present(order[next], id, r)
		next++
	}
	for _, i := range order[next:] {
		d.judge(i, state.Record{})
	}
	d.arrange()
	return d.Plan
}

// decision is a plan in the making.
type decision struct {
	Plan
	listing *Listing
	policy  Policy
	now     time.Time
	count   [len(verdictNames)]int
	records [len(verdictNames)]map[int32]state.Record // for Items; none for Seen
}

// judge decides about the message at index i.
func (d *decision) judge(i int32, r state.Record) {
	v := d.verdict(int(i), r)
	d.Verdicts[i] = v
	d.count[v]++
	if v == Seen || r == (state.Record{}) {
		return
	}
	if d.records[v] == nil {
		d.records[v] = make(map[int32]state.Record)
	}
	d.records[v][i] = r
}

// verdict applies the rules. The first one that fits decides.
func (d *decision) verdict(i int, r state.Record) Verdict {
	p, octets := d.policy, d.listing.octets.get(i, -1)
	switch {
	case r.Deleted:
		return Changed
	case r.Seen() && octets >= 0 && r.Octets >= 0 && octets != r.Octets:
		return Changed
	case r.Seen() && p.Delete && !d.listing.repeated(i) && age(r, d.now) >= p.After:
		return Due
	case r.Seen():
		return Seen
	case r.Failures >= MaxFailures:
		return SetAside
	// The record has the real size of a message that turned out larger than the
	// server had announced.
	case p.exceeds(max(octets, r.Octets)):
		return TooBig
	}
	return Fresh
}

// age returns how long ago the message was delivered. A delivery in the future
// (the clock was set back) counts as just now.
func age(r state.Record, now time.Time) time.Duration { return max(0, now.Sub(r.Delivered)) }

// present decides about a listed message that has a record. Its absence, if there
// was one, is over; a retrieval stores a new record anyway.
func (d *decision) present(i int32, id []byte, r state.Record) {
	if r.Seen() {
		d.Present++
	}
	absent := !r.Absent.IsZero()
	r.Absent, r.Absences = time.Time{}, 0
	d.judge(i, r)
	if v := d.Verdicts[i]; absent && v != Fresh && v != Changed {
		d.aged(id, r)
	}
}

// arrange puts the messages in the order of their numbers, those that failed
// before behind the others, so that they cannot hold these up. It keeps to
// MaxMessages.
func (d *decision) arrange() {
	every := func(int) bool { return true }
	tried := func(i int) bool { return d.records[Fresh][int32(i)].Reason != "" }
	d.Retrieve = d.items(Fresh, func(i int) bool { return !tried(i) })
	d.Retrieve.index = append(d.Retrieve.index, d.items(Fresh, tried).index...)
	d.Verify, d.Delete = d.items(Changed, every), d.items(Due, every)
	d.TooBig, d.SetAside = d.items(TooBig, every), d.items(SetAside, every)
	d.Seen = d.count[Seen]
	if most := d.policy.MaxMessages; most > 0 && d.Retrieve.Len() > most {
		for _, i := range d.Retrieve.index[most:] {
			d.Verdicts[i] = Deferred
		}
		d.DeferBeyond(most)
	}
}

// items returns what has a verdict and is wanted, in the order of the numbers.
func (d *decision) items(v Verdict, want func(i int) bool) Items {
	items := Items{listing: d.listing, records: d.records[v]}
	if d.count[v] > 0 {
		items.index = d.listing.pick(func(i int) bool { return d.Verdicts[i] == v && want(i) })
	}
	return items
}

// DeferBeyond leaves all but the first messages for a later poll.
func (p *Plan) DeferBeyond(most int) {
	if most >= p.Retrieve.Len() {
		return
	}
	p.Deferred += p.Retrieve.Len() - most
	p.Retrieve = p.Retrieve.First(most)
}

// Idle reports whether a poll with this plan neither retrieves nor deletes, so
// that sizes would change nothing.
func (p Plan) Idle() bool { return p.Retrieve.Len()+p.Verify.Len()+p.Delete.Len() == 0 }

// Octets returns the announced size of what is to be retrieved, as far as it is
// known.
func (p Plan) Octets() int64 {
	var sum int64
	for _, i := range p.Retrieve.index {
		sum += min(max(p.Retrieve.listing.octets.get(int(i), -1), 0), math.MaxInt64-sum)
	}
	return sum
}

// String describes the plan in words and leaves out what is zero.
func (p Plan) String() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{p.Retrieve.Len(), "to retrieve"}, {p.Verify.Len(), "to verify"}, {p.Delete.Len(), "to delete"}, {p.Seen, "seen"},
		{p.TooBig.Len(), "too big"}, {p.SetAside.Len(), "set aside"}, {p.Deferred, "deferred"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
