package fetch

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
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
	Retrieve []Item // in this order: those that failed before come last
	Verify   []Item // Changed: retrieve them unless their header block is the known one
	Delete   []Item
	TooBig   []Item
	SetAside []Item
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
// the ids, and decides. It is pure; the listing is not changed. It takes
// O(listing + known) time and keeps nothing of what is known and stays as it is.
func NewPlan(listing []Listed, known iter.Seq2[string, state.Record], p Policy, now time.Time) Plan {
	plan := Plan{Verdicts: make([]Verdict, len(listing))}
	order := byID(listing)
	next := 0 // in order
	for id, r := range known {
		for next < len(order) && listing[order[next]].ID < id {
			plan.judge(order[next], listing, state.Record{}, p, now)
			next++
		}
		if next == len(order) || listing[order[next]].ID != id {
			plan.absent(id, r, now)
			continue
		}
		plan.present(order[next], listing, r, p, now)
		next++
	}
	for ; next < len(order); next++ {
		plan.judge(order[next], listing, state.Record{}, p, now)
	}
	plan.arrange(listing, p)
	return plan
}

// byID returns the indices of the listing in byte order of the ids, equal ones
// in the order of the listing.
func byID(listing []Listed) []int32 {
	order := make([]int32, len(listing))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(strings.Compare(listing[a].ID, listing[b].ID), int(a-b))
	})
	return order
}

// judge decides about the message at index i.
func (plan *Plan) judge(i int32, listing []Listed, r state.Record, p Policy, now time.Time) {
	it := Item{listing[i], r}
	v := verdict(it, p, now)
	plan.Verdicts[i] = v
	switch v {
	case New:
		plan.Retrieve = append(plan.Retrieve, it)
	case Changed:
		plan.Verify = append(plan.Verify, it)
	case Due:
		plan.Delete = append(plan.Delete, it)
	case TooBig:
		plan.TooBig = append(plan.TooBig, it)
	case SetAside:
		plan.SetAside = append(plan.SetAside, it)
	case Seen:
		plan.Seen++
	}
}

func verdict(it Item, p Policy, now time.Time) Verdict {
	r := it.Record
	switch {
	case r.Deleted:
		return Changed
	case r.Seen() && it.Octets >= 0 && r.Octets >= 0 && it.Octets != r.Octets:
		return Changed
	case r.Seen() && p.Delete && !it.Repeated && age(r, now) >= p.After:
		return Due
	case r.Seen():
		return Seen
	case r.Failures >= MaxFailures:
		return SetAside
	// A message that turned out bigger than the server had said is
	// remembered with its real size.
	case p.MaxOctets > 0 && max(it.Octets, r.Octets) > p.MaxOctets:
		return TooBig
	}
	return New
}

// present decides about a known message. Its absence, if there was one, is
// over; who retrieves it stores a new record anyway.
func (plan *Plan) present(i int32, listing []Listed, r state.Record, p Policy, now time.Time) {
	if r.Seen() {
		plan.Present++
	}
	absent := !r.Absent.IsZero()
	r.Absent, r.Absences = time.Time{}, 0
	plan.judge(i, listing, r, p, now)
	if v := plan.Verdicts[i]; absent && v != New && v != Changed {
		plan.aged(listing[i].ID, r)
	}
}

// aged has a record stored whose absence has begun, goes on or is over, unless
// there are many such already.
func (plan *Plan) aged(id string, r state.Record) {
	if len(plan.Aged) < agedAtOnce {
		plan.Aged = append(plan.Aged, state.Entry{ID: id, Record: r})
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
func (plan *Plan) absent(id string, r state.Record, now time.Time) {
	if strings.Contains(id, twinMark) {
		plan.Twins = append(plan.Twins, state.Entry{ID: id, Record: r})
	}
	if lately(r, now) {
		plan.Missing++
		plan.MissingOctets += max(r.Octets, 0)
	}
	switch {
	case r.Absent.IsZero():
		r.Absent, r.Absences = now, 1
	case r.Absences >= forgetAbsences && now.Sub(r.Absent) >= forgetAfter:
		if len(plan.Forget) < agedAtOnce {
			plan.Forget = append(plan.Forget, id)
		}
		return
	case r.Absences < forgetAbsences && now.Sub(r.Absent) >= time.Duration(r.Absences)*24*time.Hour:
		r.Absences++
	default:
		return
	}
	plan.aged(id, r)
}

// arrange puts the messages in the order of their numbers, those that failed
// before behind the others so that they cannot hold them up, and keeps to
// MaxMessages.
func (plan *Plan) arrange(listing []Listed, p Policy) {
	for _, items := range [][]Item{plan.Verify, plan.Delete, plan.TooBig, plan.SetAside} {
		slices.SortFunc(items, byNumber)
	}
	slices.SortFunc(plan.Retrieve, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.tried(), b.tried()), byNumber(a, b))
	})
	if p.MaxMessages > 0 && len(plan.Retrieve) > p.MaxMessages {
		plan.deferBeyond(p.MaxMessages, listing)
	}
}

// deferBeyond leaves all but the first messages for another poll.
func (plan *Plan) deferBeyond(most int, listing []Listed) {
	later := make(map[int]bool)
	for _, it := range plan.Retrieve[most:] {
		later[it.Num] = true
	}
	for i, l := range listing {
		if later[l.Num] {
			plan.Verdicts[i] = Deferred
		}
	}
	plan.Deferred = len(plan.Retrieve) - most
	plan.Retrieve = plan.Retrieve[:most]
}

func byNumber(a, b Item) int { return a.Num - b.Num }

// tried is 1 where an earlier attempt at the message ended badly, else 0.
func (it Item) tried() int {
	if it.Record.Reason != "" {
		return 1
	}
	return 0
}

// idle says whether a poll with this plan would neither retrieve nor delete,
// so that sizes would change nothing.
func (plan Plan) idle() bool { return len(plan.Retrieve)+len(plan.Verify)+len(plan.Delete) == 0 }

// octets is the size of what is to be retrieved, as far as it is known.
func (plan Plan) octets() int64 {
	var sum int64
	for _, it := range plan.Retrieve {
		sum += min(max(it.Octets, 0), math.MaxInt64-sum)
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
		{len(plan.Retrieve), "to retrieve"}, {len(plan.Verify), "to verify"}, {len(plan.Delete), "to delete"}, {plan.Seen, "seen"},
		{len(plan.TooBig), "too big"}, {len(plan.SetAside), "set aside"}, {plan.Deferred, "deferred"},
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
