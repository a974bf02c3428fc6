package fetch

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"popfetch/state"
)

// Policy is what the user wants done with the messages of an account. The zero
// value keeps everything on the server and takes everything.
type Policy struct {
	Delete      bool          // delete from the server what was delivered
	After       time.Duration // with Delete: this long after the delivery, 0 = in the same session
	MaxOctets   int64         // leave bigger messages where they are, 0 = no limit
	MaxMessages int           // retrieve no more in one poll, 0 = no limit
}

// MaxFailures is how many times a message may fail for a reason of its own
// before it is set aside.
const MaxFailures = 5

// forgetAfter and forgetAbsences say when an id is forgotten: when it has been
// missing for so long and on so many days of complete listings. One empty or
// partial listing must not make a year of mail new again.
const (
	forgetAfter    = 30 * 24 * time.Hour
	forgetAbsences = 3
)

// recently is how long an id that is gone may belong to a maildrop that comes back
// under other ids: a server that is moved may show nothing for a while.
const recently = 14 * 24 * time.Hour

// agedAtOnce bounds the records of ids that are absent, or were, which one poll
// changes or forgets; the others follow at the next ones.
const agedAtOnce = 10_000

// Verdict is what a plan does with one message.
type Verdict uint8

const (
	New      Verdict = iota + 1 // retrieve it
	Changed                     // its id was delivered, with other octets or long gone: perhaps another message
	Seen                        // delivered earlier, leave it
	Due                         // delivered earlier, delete it
	TooBig                      // bigger than max_size, leave it
	SetAside                    // failed MaxFailures times, leave it
	Deferred                    // beyond max_messages, another time
)

var verdictNames = [...]string{New: "new", Changed: "changed", Seen: "seen", Due: "due", TooBig: "too big", SetAside: "failed", Deferred: "deferred"}

func (v Verdict) String() string { return verdictNames[v] }

// Item is a listed message together with what is known of it.
type Item struct {
	Listed
	Record state.Record // zero where nothing is known
}

// Plan is what one poll is going to do, and why.
type Plan struct {
	Retrieve Items // in this order: those that failed before come last
	Verify   Items // Changed: retrieve them unless their header block is the known one
	Delete   Items
	TooBig   Items
	SetAside Items
	Seen     int
	Deferred int
	// Verdicts has one element for each element of the listing.
	Verdicts []Verdict
	// Aged are records of ids that the listing lacks or has again, to be
	// stored when the listing was complete; Forget are those absent for long.
	Aged   []state.Entry
	Forget []string
	// Present and Missing count delivered ids: those that this listing has, and
	// those that it lacks and earlier ones had until recently, with their octets.
	Present, Missing int
	MissingOctets    int64
	// Twins are records that this listing lacks of messages that shared their
	// unique-id with others.
	Twins []state.Entry
}

// NewPlan compares a listing with what is known, which comes in byte order of
// the ids, and decides. It is pure. It takes O(listing + known) time, beside the
// sorting of a listing that has another order, and keeps nothing of what is known
// and stays as it is.
func NewPlan(listing *Listing, known iter.Seq2[[]byte, state.Record], p Policy, now time.Time) Plan {
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
	records [len(verdictNames)]map[int32]state.Record // see Items; none of what is seen
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
	// A message that turned out bigger than the server had said is
	// remembered with its real size.
	case p.MaxOctets > 0 && max(octets, r.Octets) > p.MaxOctets:
		return TooBig
	}
	return New
}

// present decides about a known message. Its absence, if there was one, is
// over; who retrieves it stores a new record anyway.
func (d *decision) present(i int32, id []byte, r state.Record) {
	if r.Seen() {
		d.Present++
	}
	absent := !r.Absent.IsZero()
	r.Absent, r.Absences = time.Time{}, 0
	d.judge(i, r)
	if v := d.Verdicts[i]; absent && v != New && v != Changed {
		d.aged(id, r)
	}
}

// aged has a record stored whose absence has begun, goes on or is over, unless
// there are many such already.
func (d *decision) aged(id []byte, r state.Record) {
	if len(d.Aged) < agedAtOnce {
		d.Aged = append(d.Aged, state.Entry{ID: string(id), Record: r})
	}
}

// age is how long ago the message was delivered; a delivery in the future (the
// clock was set back) has just happened.
func age(r state.Record, now time.Time) time.Duration { return max(0, now.Sub(r.Delivered)) }

// lately says whether a delivered message was listed until recently, and went
// without our doing.
func lately(r state.Record, now time.Time) bool {
	return r.Seen() && !r.Deleted && (r.Absent.IsZero() || now.Sub(r.Absent) < recently)
}

// absent counts days on which a complete listing lacked id, and forgets it in time.
func (d *decision) absent(id []byte, r state.Record) {
	if bytes.Contains(id, []byte(twinMark)) {
		d.Twins = append(d.Twins, state.Entry{ID: string(id), Record: r})
	}
	if lately(r, d.now) {
		d.Missing++
		d.MissingOctets += max(r.Octets, 0)
	}
	switch {
	case r.Absent.IsZero():
		r.Absent, r.Absences = d.now, 1
	case r.Absences >= forgetAbsences && d.now.Sub(r.Absent) >= forgetAfter:
		if len(d.Forget) < agedAtOnce {
			d.Forget = append(d.Forget, string(id))
		}
		return
	case r.Absences < forgetAbsences && d.now.Sub(r.Absent) >= time.Duration(r.Absences)*24*time.Hour:
		r.Absences++
	default:
		return
	}
	d.aged(id, r)
}

// arrange puts the messages in the order of their numbers, those that failed
// before behind the others so that they cannot hold them up, and keeps to
// MaxMessages.
func (d *decision) arrange() {
	every := func(int) bool { return true }
	tried := func(i int) bool { return d.records[New][int32(i)].Reason != "" }
	d.Retrieve = d.items(New, func(i int) bool { return !tried(i) })
	d.Retrieve.index = append(d.Retrieve.index, d.items(New, tried).index...)
	d.Verify, d.Delete = d.items(Changed, every), d.items(Due, every)
	d.TooBig, d.SetAside = d.items(TooBig, every), d.items(SetAside, every)
	d.Seen = d.count[Seen]
	if most := d.policy.MaxMessages; most > 0 && d.Retrieve.Len() > most {
		for _, i := range d.Retrieve.index[most:] {
			d.Verdicts[i] = Deferred
		}
		d.deferBeyond(most)
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

// deferBeyond leaves all but the first messages for another poll.
func (plan *Plan) deferBeyond(most int) {
	plan.Deferred += plan.Retrieve.Len() - most
	plan.Retrieve = plan.Retrieve.upTo(most)
}

// tried is 1 where an earlier attempt at the message ended badly, else 0.
func (it Item) tried() int {
	if it.Record.Reason != "" {
		return 1
	}
	return 0
}

// idle says whether a poll with this plan would neither retrieve nor delete,
// so that sizes would change nothing.
func (plan Plan) idle() bool { return plan.Retrieve.Len()+plan.Verify.Len()+plan.Delete.Len() == 0 }

// octets is the size of what is to be retrieved, as far as it is known.
func (plan Plan) octets() int64 {
	var sum int64
	for _, i := range plan.Retrieve.index {
		sum += min(max(plan.Retrieve.listing.octets.get(int(i), -1), 0), math.MaxInt64-sum)
	}
	return sum
}

// String is the plan in words, what is zero left out.
func (plan Plan) String() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{plan.Retrieve.Len(), "to retrieve"}, {plan.Verify.Len(), "to verify"}, {plan.Delete.Len(), "to delete"}, {plan.Seen, "seen"},
		{plan.TooBig.Len(), "too big"}, {plan.SetAside.Len(), "set aside"}, {plan.Deferred, "deferred"},
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
