package plan

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"popfetch/state"
)

// When holds what a plan depends on besides listing and records: the time, and what kind
// of look the poll takes.
type When struct {
	Now      time.Time     // by the clock of this machine
	Observed time.Duration // observed time of the maildrop, see Observe
	Steady   time.Time     // as Now, by a clock that does not jump, see Observe
	// Daily says that the daily look is due: the listing has the sizes of all
	// messages, and the header blocks of some are looked at although nothing else
	// gives a reason.
	Daily bool
	// Room is how many octets the destination has room for, 0 = not known.
	Room int64
	// NoHeaders says that the header blocks that the server shows (TOP) are not to be
	// trusted, so that none is asked for.
	NoHeaders bool
	// OneDue says that no more than one message is due: the server has not deleted any for
	// some time.
	OneDue bool
	// Turn is a random number. It decides which of the messages that failed before
	// comes first, for a poll may end before it comes to all of them.
	Turn uint32
}

// Shown holds the identities of messages whose header blocks the server has shown, by
// message number; nil for a message whose header block it refused to show.
type Shown map[int]*Identity

// Plan is what one poll is going to do, and why.
type Plan struct {
	// Look holds the messages whose header blocks are needed before the plan is
	// final. Show them to New, which then makes a new plan; the other fields are
	// provisional until Look is empty.
	Look Items

	Retrieve Items // in this order: messages that failed before come last
	// Later holds what goes on behind Retrieve, beyond Policy.MaxMessages. A message that is
	// received and turns out to have been delivered before makes room for one of them.
	Later Items
	// Delete holds messages that an earlier poll delivered and that are due. Once Look is
	// empty, their header blocks have shown in this session that they are these messages.
	Delete   Items
	Unsure   int // messages that Look has to decide about, those in Delete aside
	TooBig   Items
	SetAside Items
	Seen     int // messages that were delivered and stay
	Deferred int
	// Undeleted counts delivered messages that are listed although the server was asked
	// MaxFailures times to delete them. FirstUndeleted is one of them.
	Undeleted      int
	FirstUndeleted Item
	// AskedFor says that a delivered message is listed although the server was asked to delete
	// it.
	AskedFor bool
	// Undelivered is how many records of undelivered messages there will be, without
	// those that Forget removes. See MaxUndelivered.
	Undelivered int
	// Compare says that what is retrieved may have been delivered under another
	// unique-id, or under its own: see Unclaimed.
	Compare bool
	// Numbered says that the unique-ids are the message numbers. Then sizes are wanted
	// in every poll.
	Numbered bool
	// Reused counts the ids under which another message was delivered; Moved the
	// messages that were recognised under another id.
	Reused, Moved int
	// Change stores what was learned about the records, and is to be committed before
	// anything is retrieved.
	Change state.Change

	// Verdicts has one element for each message of the listing.
	Verdicts []Verdict
	// Aged are records of ids that the listing lacks or has again, and Forget the
	// ids that were absent for long enough. Both apply to a complete listing only.
	Aged   []state.Entry
	Forget []string

	known    int  // delivered ids that are listed
	missing  int  // ids of messages that are not, and were until recently; delivered ones, and those that were handed over and perhaps not delivered
	unlisted bool // a delivered id is not listed
	hasDue   bool // a message is due
	shownDue bool // so is one whose header block was shown
}

// New compares a listing with what is known, which comes in byte order of the ids,
// and with the header blocks that were shown so far, and decides. It takes O(listing
// + known) time, plus sorting if the listing has another order, and keeps nothing of
// known records that stay as they are.
func New(listing *Listing, known iter.Seq2[[]byte, state.Record], p Policy, when When, shown Shown) Plan {
	d := &decision{listing: listing, policy: p, when: when, shown: shown}
	d.Verdicts = make([]Verdict, listing.Len())
	d.Numbered = listing.numbered()
	d.loose.wantOnly(shown)
	order, next := listing.byID(), 0
	var buf [maxUID + 16]byte
	for id, r := range known {
		if !r.Seen() {
			d.Undelivered++
		}
		for next < len(order) && bytes.Compare(listing.id(int(order[next]), buf[:]), id) < 0 {
			d.unknown(order[next])
			next++
		}
		if next == len(order) || !bytes.Equal(listing.id(int(order[next]), buf[:]), id) {
			d.absent(id, r)
			continue
		}
		d.present(order[next], id, &r)
		next++
	}
	for _, i := range order[next:] {
		d.unknown(i)
	}
	if d.lookFurther(); len(d.look) == 0 {
		d.disownStamped()
		d.retrieveRefused()
		d.retrieveTwins()
		d.retrieveConfusable()
		d.assign()
	}
	d.forgetUndelivered()
	d.arrange()
	return d.Plan
}

// decision is a plan in the making.
type decision struct {
	Plan
	listing *Listing
	policy  Policy
	when    When
	shown   Shown
	records [len(verdictNames)]map[int32]state.Record // for Items; of undelivered messages only

	count [len(verdictNames)]int

	look      []int32                 // indices of the messages whose header blocks are needed
	grave     []int32                 // as look, of those whose ids cannot be believed
	stamped   []believed              // that differ from their records of version 1 like stamped ones
	refused   []believed              // believed although the server has not shown their header blocks
	mild      []int32                 // as look, of those that are only mildly suspect
	homeless  []int32                 // whose header block was shown, and that have no record which fits
	loose     loose                   // records without a message
	displaced []looseRecord           // records that had to leave their ids
	gone      []string                // ids of undelivered messages that are not listed
	believed  map[int32]state.Record  // of delivered messages that share a unique-id or a weak fingerprint with others
	reused    bool                    // an id is that of another message than before
	updated   map[int32]state.Record  // records to be stored under the ids of their messages
	weak      map[Fingerprint][]int32 // messages with a delivered record of a weak fingerprint that was shown
	bodiless  []int32                 // as weak, of records without a digest of the body, see hasNoBody
	confused  map[Fingerprint]bool    // weak fingerprints of messages that are not sure to have their own records
	others    []int32                 // whose ids were those of other messages
	twinsGone map[string]bool         // unique-ids that several messages shared of which one is not listed now
	witnesses witnesses               // see lookForShift
}

// believed is a message that counts as the one of its record, with some doubt.
type believed struct {
	i      int32
	record state.Record
}

// give decides about the message at an index. r is its record, which the caller of New
// needs if the message is not delivered.
func (d *decision) give(i int32, v Verdict, r state.Record) {
	delete(d.records[d.Verdicts[i]], i)
	d.Verdicts[i] = v
	if v == Seen || v == Suspect || v == Due || r == (state.Record{}) {
		return
	}
	if d.records[v] == nil {
		d.records[v] = make(map[int32]state.Record)
	}
	d.records[v][i] = r
}

// identity returns what was shown of the message at an index. looked reports whether
// the server was asked; the identity is nil if it did not show anything.
func (d *decision) identity(i int32) (id *Identity, looked bool) {
	id, looked = d.shown[d.listing.num(int(i))]
	return id, looked || d.when.NoHeaders
}

// unknown decides about a message whose id has no record.
func (d *decision) unknown(i int32) {
	d.give(i, d.undelivered(i, state.Record{}), state.Record{})
	if shown, _ := d.identity(i); shown != nil {
		d.findHome(i, *shown)
	}
}

// findHome has a record looked for that is the one of a message which was shown.
func (d *decision) findHome(i int32, shown Identity) {
	d.homeless = append(d.homeless, i)
	if shown.Weak {
		d.confuse(shown.Fingerprint)
	}
}

// undelivered applies the rules for messages that are not delivered. The first one
// that fits decides.
func (d *decision) undelivered(i int32, r state.Record) Verdict {
	octets := d.listing.octets.get(int(i), -1)
	// A message that turned out larger than the server had announced has a fingerprint.
	// Without one the id may be that of another message now.
	if octets < 0 || r.Fingerprint != (Fingerprint{}) {
		octets = max(octets, r.Octets)
	}
	switch {
	case waits(r, d.when.Now), waitsForRoom(r, d.when):
		return SetAside
	case d.policy.exceeds(octets):
		return TooBig
	}
	return Fresh
}

// present decides about a listed message that has a record.
func (d *decision) present(i int32, id []byte, was *state.Record) {
	shown, looked := d.identity(i)
	r := listedAgain(*was)
	switch {
	case d.Numbered && was.Deleted && isWeak(was):
		// A number says nothing, and the next message may have the same header block and
		// even the same body. The numbers behind a deleted one have changed.
		d.reused = true
		d.unknown(i)
		return
	case r.Seen():
		d.known++
		d.delivered(i, id, was, &r)
	case r.Fingerprint == (Fingerprint{}):
		d.give(i, d.undelivered(i, r), r)
	// It was received whole before, and perhaps handed over: its delivery id must not
	// be used for another message.
	case !looked:
		d.give(i, d.undelivered(i, r), r)
		if d.Verdicts[i] == Fresh || d.when.Daily {
			d.look = append(d.look, i)
		}
	case shown != nil && shown.Fingerprint != r.Fingerprint && !(shown.bare && isWeak(&r)):
		d.another(i, id, r, *shown)
	// If its header block has no identity field, any field that TOP adds makes it look like
	// another message. What is received tells whether it is.
	default:
		d.give(i, d.undelivered(i, r), r)
	}
	if v := d.Verdicts[i]; shown == nil && v != Fresh && v != Suspect && r != *was {
		d.aged(id, r)
	}
}

// listedAgain returns a record without its absence: a listing has its id. A message that
// popfetch had deleted, and that was away for a day or more, was put back by somebody.
func listedAgain(r state.Record) state.Record {
	r.PutBack = r.PutBack || r.Deleted && r.Absences > 1
	r.Absent, r.Counted, r.Absences = time.Time{}, time.Time{}, 0
	return r
}

// arrange puts the messages in the order of their numbers, those that failed
// before behind the others, so that they cannot hold these up. It keeps to
// MaxMessages.
func (d *decision) arrange() {
	for _, v := range d.Verdicts {
		d.count[v]++
	}
	every := func(int) bool { return true }
	tried := func(i int) bool { return d.records[Fresh][int32(i)].Reason != "" }
	d.Look = Items{listing: d.listing, index: d.listing.inNumberOrder(d.look)}
	d.Retrieve = d.items(Fresh, func(i int) bool { return !tried(i) })
	if d.Undelivered >= MaxUndelivered { // some of them may have failed too
		d.turn(d.Retrieve.index)
	}
	again := d.items(Fresh, tried).index
	d.turn(again)
	d.Retrieve.index = append(d.Retrieve.index, again...)
	d.TooBig, d.SetAside = d.items(TooBig, every), d.items(SetAside, every)
	d.Delete = d.items(Due, every)
	d.Seen, d.Unsure = d.count[Seen], d.count[Suspect]
	if most := d.policy.MaxMessages; most > 0 && d.Retrieve.Len() > most {
		for _, i := range d.Retrieve.index[most:] {
			d.Verdicts[i] = Deferred
		}
		d.DeferBeyond(most)
	}
	if d.Deferred > 0 || len(again) > 0 {
		// They are to be compared with what was displaced, however long that takes.
		d.Forget = slices.DeleteFunc(d.Forget, func(id string) bool { return strings.HasPrefix(id, displacedMark) })
	}
	d.Compare = d.Compare && d.Retrieve.Len() > 0
	for _, i := range slices.Sorted(maps.Keys(d.updated)) {
		d.Change.Put = append(d.Change.Put, state.Entry{ID: string(d.listing.id(int(i), nil)), Record: d.updated[i]})
	}
}

// turn moves the first messages behind the others, so that another one is the first in
// each poll. A server that refuses many messages cannot make a poll end always before
// the same ones.
func (d *decision) turn(index []int32) {
	if len(index) == 0 {
		return
	}
	n := int(d.when.Turn % uint32(len(index)))
	copy(index, slices.Concat(index[n:], index[:n]))
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
	p.Later = p.Retrieve.followedBy(p.Later).From(most)
	p.Retrieve = p.Retrieve.First(most)
}

// TakeLater takes the first n of Later, or all of them if there are fewer.
func (p *Plan) TakeLater(n int) Items {
	n = min(n, p.Later.Len())
	taken := p.Later.First(n)
	p.Later = p.Later.From(n)
	p.Deferred -= n
	return taken
}

// LeaveOut leaves messages that were to be retrieved for a later poll.
func (p *Plan) LeaveOut(out func(Item) bool) {
	in := func(it Item) bool { return !out(it) }
	p.Retrieve, p.Later = p.Retrieve.Only(in), p.Later.Only(in)
}

// Idle reports whether a poll with this plan neither looks at, retrieves nor deletes
// anything, so that sizes would change nothing.
func (p Plan) Idle() bool { return p.Look.Len()+p.Retrieve.Len()+p.Delete.Len() == 0 && !p.Numbered }

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
		{p.Retrieve.Len(), "to retrieve"}, {p.Unsure, "to verify"}, {p.Delete.Len(), "to delete"}, {p.Seen, "seen"},
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
