package plan_test

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"popfetch/fetch/plan"
	"popfetch/state"
)

const day = 24 * time.Hour

// noon is the time at which all plans are made.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// records is what is recorded of a maildrop, by id.
type records map[string]state.Record

// sorted yields the records as state.Maildrop.Scan does: in byte order, in a
// buffer that the next record overwrites.
func (r records) sorted(yield func([]byte, state.Record) bool) {
	var buf []byte
	for _, id := range slices.Sorted(maps.Keys(r)) {
		buf = append(buf[:0], id...)
		if !yield(buf, r[id]) {
			return
		}
	}
	clear(buf)
}

// store applies what a plan wants to be recorded, as a poll does that retrieves
// nothing.
func (r records) store(p plan.Plan) {
	for _, e := range p.Aged {
		r[e.ID] = e.Record
	}
	for _, id := range p.Forget {
		delete(r, id)
	}
}

var _ iter.Seq2[[]byte, state.Record] = records(nil).sorted

// list returns a listing of these ids, without sizes.
func list(ids ...string) *plan.Listing {
	listing := new(plan.Listing)
	for i, id := range ids {
		listing.Add(plan.Listed{Num: i + 1, ID: id, Octets: -1})
	}
	return listing
}

func listing(messages ...plan.Listed) *plan.Listing {
	l := new(plan.Listing)
	for _, m := range messages {
		l.Add(m)
	}
	return l
}

// listed returns the messages of a listing.
func listed(l *plan.Listing) []plan.Listed {
	var all []plan.Listed
	for _, m := range l.All() {
		all = append(all, m)
	}
	return all
}

func seen(ago time.Duration) state.Record {
	return state.Record{Delivered: noon.Add(-ago), Octets: 100}
}

func nums(items plan.Items) []int {
	var all []int
	for it := range items.All() {
		all = append(all, it.Num)
	}
	return all
}

func TestPlanVerdict(t *testing.T) {
	tests := []struct {
		name   string
		policy plan.Policy
		octets int64
		twin   bool
		known  *state.Record
		want   plan.Verdict
	}{
		{"unknown", plan.Policy{}, -1, false, nil, plan.Fresh},
		{"unknown, delete", plan.Policy{Delete: true}, 100, false, nil, plan.Fresh},
		{"delivered, keep", plan.Policy{}, 100, false, &state.Record{Delivered: noon.Add(-day), Octets: 100}, plan.Seen},
		{"delivered, delete", plan.Policy{Delete: true}, 100, false, &state.Record{Delivered: noon.Add(-day), Octets: 100}, plan.Due},
		{"delivered, delete, size not asked", plan.Policy{Delete: true}, -1, false, &state.Record{Delivered: noon.Add(-day), Octets: 100}, plan.Due},
		{"delivered, not yet due", plan.Policy{Delete: true, After: 2 * day}, 100, false, &state.Record{Delivered: noon.Add(-2*day + time.Second), Octets: 100}, plan.Seen},
		{"delivered, just due", plan.Policy{Delete: true, After: 2 * day}, 100, false, &state.Record{Delivered: noon.Add(-2 * day), Octets: 100}, plan.Due},
		{"delivered in the future", plan.Policy{Delete: true, After: day}, 100, false, &state.Record{Delivered: noon.Add(10 * 365 * day), Octets: 100}, plan.Seen},
		{"delivered in the future, delete at once", plan.Policy{Delete: true}, 100, false, &state.Record{Delivered: noon.Add(day), Octets: 100}, plan.Due},
		{"other octets", plan.Policy{}, 101, false, &state.Record{Delivered: noon, Octets: 100}, plan.Changed},
		{"other octets, delete", plan.Policy{Delete: true}, 101, false, &state.Record{Delivered: noon.Add(-day), Octets: 100}, plan.Changed},
		{"octets were never announced", plan.Policy{}, 101, false, &state.Record{Delivered: noon, Octets: -1}, plan.Seen},
		{"as big as allowed", plan.Policy{MaxOctets: 100}, 100, false, nil, plan.Fresh},
		{"too big by the listing", plan.Policy{MaxOctets: 100}, 101, false, nil, plan.TooBig},
		{"too big by experience", plan.Policy{MaxOctets: 100}, 5, false, &state.Record{Octets: 101}, plan.TooBig},
		{"too big, but delivered", plan.Policy{MaxOctets: 100}, 200, false, &state.Record{Delivered: noon, Octets: 200}, plan.Seen},
		{"limit was raised", plan.Policy{MaxOctets: 300}, 5, false, &state.Record{Octets: 101}, plan.Fresh},
		{"failed four times", plan.Policy{}, 100, false, &state.Record{Failures: 4, Reason: "no"}, plan.Fresh},
		{"failed five times", plan.Policy{}, 100, false, &state.Record{Failures: 5, Reason: "no"}, plan.SetAside},
		{"failed five times, delete", plan.Policy{Delete: true}, 100, false, &state.Record{Failures: 5, Reason: "no"}, plan.SetAside},
		{"a twin is never due", plan.Policy{Delete: true}, 100, true, &state.Record{Delivered: noon.Add(-day), Octets: 100}, plan.Seen},
		{"an unknown twin", plan.Policy{Delete: true}, 100, true, nil, plan.Fresh},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			known := records{}
			if tt.known != nil {
				known["id"] = *tt.known
			}
			listing := listing(plan.Listed{Num: 7, ID: "id", Octets: tt.octets, Repeated: tt.twin})
			todo := plan.New(listing, known.sorted, tt.policy, noon)
			if got := todo.Verdicts[0]; got != tt.want {
				t.Errorf("verdict %v, want %v", got, tt.want)
			}
			if len(todo.Aged)+len(todo.Forget) != 0 {
				t.Errorf("ages %v and forgets %v", todo.Aged, todo.Forget)
			}
		})
	}
}

func TestPlanTakesFailedMessagesLast(t *testing.T) {
	known := records{"a": {Reason: "cut"}, "c": {Failures: 2, Reason: "refused"}}
	todo := plan.New(list("a", "b", "c", "d"), known.sorted, plan.Policy{}, noon)
	if diff := cmp.Diff([]int{2, 4, 1, 3}, nums(todo.Retrieve)); diff != "" {
		t.Error(diff)
	}
}

func TestPlanDefersBeyondMaxMessages(t *testing.T) {
	known := records{"a": {Reason: "cut"}, "e": seen(day)}
	todo := plan.New(list("a", "b", "c", "d", "e"), known.sorted, plan.Policy{MaxMessages: 2}, noon)
	if diff := cmp.Diff([]int{2, 3}, nums(todo.Retrieve)); diff != "" {
		t.Error(diff)
	}
	if todo.Deferred != 2 {
		t.Errorf("deferred %d, want 2", todo.Deferred)
	}
	want := []plan.Verdict{plan.Deferred, plan.Fresh, plan.Fresh, plan.Deferred, plan.Seen}
	if diff := cmp.Diff(want, todo.Verdicts); diff != "" {
		t.Error(diff)
	}
}

func TestPlanIgnoresNumbersAndOrder(t *testing.T) {
	known := records{"a": seen(day), "b": seen(day), "c": seen(day)}
	before := []plan.Listed{
		{Num: 4, ID: "c", Octets: -1}, {Num: 2, ID: "new", Octets: -1}, {Num: 1, ID: "a", Octets: -1}, {Num: 3, ID: "b", Octets: -1},
	}
	listing := listing(before...)
	todo := plan.New(listing, known.sorted, plan.Policy{Delete: true}, noon)
	if diff := cmp.Diff([]int{2}, nums(todo.Retrieve)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 3, 4}, nums(todo.Delete)); diff != "" {
		t.Error(diff)
	}
	want := []plan.Verdict{plan.Due, plan.Fresh, plan.Due, plan.Due}
	if diff := cmp.Diff(want, todo.Verdicts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, listed(listing)); diff != "" {
		t.Errorf("the listing was changed: %s", diff)
	}
}

func TestPlanForgetsNothingOverOneListing(t *testing.T) {
	for name, listing := range map[string]*plan.Listing{"empty": list(), "partial": list("b")} {
		t.Run(name, func(t *testing.T) {
			known := records{"a": seen(400 * day), "b": seen(400 * day), "c": seen(400 * day)}
			for range 100 { // however often it is seen on one day
				todo := plan.New(listing, known.sorted, plan.Policy{}, noon)
				if len(todo.Forget) > 0 {
					t.Fatalf("forgets %q", todo.Forget)
				}
				known.store(todo)
			}
			if todo := plan.New(list("a", "b", "c"), known.sorted, plan.Policy{}, noon); todo.Seen != 3 {
				t.Errorf("%v, want 3 seen", todo)
			}
		})
	}
}

func TestPlanCountsAnAbsenceOncePerDay(t *testing.T) {
	known := records{"gone": seen(day)}
	changes := 0
	for hour := range 24 * 40 {
		todo := plan.New(list(), known.sorted, plan.Policy{}, noon.Add(time.Duration(hour)*time.Hour))
		changes += len(todo.Aged)
		known.store(todo)
		if r, ok := known["gone"]; ok && (r.Absences > 3 || !r.Absent.Equal(noon)) {
			t.Fatalf("hour %d: %+v", hour, r)
		} else if want := hour < 30*24; ok != want {
			t.Fatalf("hour %d: known %v, want %v", hour, ok, want)
		}
	}
	if changes != 3 {
		t.Errorf("the record was written %d times, want 3", changes)
	}
}

func TestPlanWantsSeveralAbsencesHoweverLongTheyTake(t *testing.T) {
	known := records{"gone": seen(day)}
	for i, want := range []bool{true, true, true, false} {
		now := noon.Add(time.Duration(i) * 365 * day)
		known.store(plan.New(list(), known.sorted, plan.Policy{}, now))
		if _, ok := known["gone"]; ok != want {
			t.Fatalf("after listing %d: known %v, want %v", i+1, ok, want)
		}
	}
}

func TestPlanForgivesAnAbsenceThatEnds(t *testing.T) {
	was := seen(50 * day)
	was.Absent, was.Absences = noon.Add(-40*day), 3
	known := records{"back": was}
	todo := plan.New(list("back"), known.sorted, plan.Policy{}, noon)
	known.store(todo)
	if diff := cmp.Diff(records{"back": seen(50 * day)}, known); diff != "" || todo.Seen != 1 {
		t.Errorf("%v, records (-want +got):\n%s", todo, diff)
	}
	if again := plan.New(list("back"), known.sorted, plan.Policy{}, noon); len(again.Aged) != 0 {
		t.Errorf("the record is written again: %v", again.Aged)
	}
}

func TestPlanString(t *testing.T) {
	todo := plan.New(list("a"), records{}.sorted, plan.Policy{}, noon)
	if got := todo.String(); got != "1 to retrieve" {
		t.Errorf("%q", got)
	}
	known := records{"a": seen(day), "b": seen(day), "c": seen(0), "d": seen(0), "e": seen(0)}
	policy := plan.Policy{Delete: true, After: day, MaxMessages: 1}
	todo = plan.New(list("a", "b", "c", "d", "e", "f", "g"), known.sorted, policy, noon)
	if got := todo.String(); got != "1 to retrieve, 2 to delete, 3 seen, 1 deferred" {
		t.Errorf("%q", got)
	}
	if got := (plan.Plan{}).String(); got != "nothing to do" {
		t.Errorf("%q", got)
	}
	for v := plan.Fresh; v <= plan.Deferred; v++ {
		if v.String() == "" {
			t.Errorf("verdict %d has no name", v)
		}
	}
}

// naivePlan is a plan whose Items are lists.
type naivePlan struct {
	plan.Plan
	Retrieve, Verify, Delete, TooBig, SetAside []plan.Item
}

// spread makes a naivePlan of a plan.
func spread(p plan.Plan) naivePlan {
	all := func(items plan.Items) []plan.Item { return slices.Collect(items.All()) }
	return naivePlan{p, all(p.Retrieve), all(p.Verify), all(p.Delete), all(p.TooBig), all(p.SetAside)}
}

// naive does what New promises, without care for speed.
func naive(listing []plan.Listed, known records, p plan.Policy, now time.Time) naivePlan {
	todo := naivePlan{Plan: plan.Plan{Verdicts: make([]plan.Verdict, len(listing))}}
	listed := map[string]bool{}
	for i, l := range listing {
		listed[l.ID] = true
		r := known[l.ID]
		absent := r.Absences > 0
		if !r.Delivered.IsZero() {
			todo.Present++
		}
		r.Absent, r.Absences = time.Time{}, 0
		it := plan.Item{Listed: l, Record: r}
		delivered := !r.Delivered.IsZero()
		changed := delivered && l.Octets != -1 && r.Octets != -1 && l.Octets != r.Octets
		old := p.After == 0 || !r.Delivered.After(now.Add(-p.After))
		switch {
		case changed:
			todo.Verdicts[i] = plan.Changed
			todo.Verify = append(todo.Verify, it)
		case delivered && p.Delete && old && !l.Repeated:
			todo.Verdicts[i] = plan.Due
			todo.Delete = append(todo.Delete, it)
		case delivered:
			todo.Verdicts[i] = plan.Seen
			todo.Seen++
		case r.Failures >= 5:
			todo.Verdicts[i] = plan.SetAside
			todo.SetAside = append(todo.SetAside, it)
		case p.MaxOctets > 0 && (l.Octets > p.MaxOctets || r.Octets > p.MaxOctets):
			todo.Verdicts[i] = plan.TooBig
			todo.TooBig = append(todo.TooBig, it)
		default:
			todo.Verdicts[i] = plan.Fresh
			todo.Retrieve = append(todo.Retrieve, it)
		}
		if absent && todo.Verdicts[i] != plan.Fresh && !changed {
			todo.Aged = append(todo.Aged, state.Entry{ID: l.ID, Record: r})
		}
	}
	naiveOrder(&todo, listing, p)
	naiveAbsences(&todo.Plan, listed, known, now)
	return todo
}

func naiveOrder(todo *naivePlan, listing []plan.Listed, p plan.Policy) {
	for _, items := range [][]plan.Item{todo.Verify, todo.Delete, todo.TooBig, todo.SetAside, todo.Retrieve} {
		slices.SortFunc(items, func(a, b plan.Item) int { return a.Num - b.Num })
	}
	var fresh, tried []plan.Item
	for _, it := range todo.Retrieve {
		if it.Record.Reason == "" {
			fresh = append(fresh, it)
		} else {
			tried = append(tried, it)
		}
	}
	todo.Retrieve = append(fresh, tried...)
	for p.MaxMessages > 0 && len(todo.Retrieve) > p.MaxMessages {
		last := todo.Retrieve[len(todo.Retrieve)-1]
		todo.Retrieve = todo.Retrieve[:len(todo.Retrieve)-1]
		todo.Deferred++
		i := slices.IndexFunc(listing, func(l plan.Listed) bool { return l.Num == last.Num })
		todo.Verdicts[i] = plan.Deferred
	}
}

func naiveAbsences(todo *plan.Plan, listed map[string]bool, known records, now time.Time) {
	for id, r := range known {
		if !listed[id] && r.Seen() && (r.Absent.IsZero() || now.Sub(r.Absent) < 14*day) {
			todo.Missing++
			todo.MissingOctets += max(r.Octets, 0)
		}
		days := int(now.Sub(r.Absent) / day)
		switch {
		case listed[id]:
		case r.Absent.IsZero():
			r.Absent, r.Absences = now, 1
			todo.Aged = append(todo.Aged, state.Entry{ID: id, Record: r})
		case days >= 30 && r.Absences >= 3:
			todo.Forget = append(todo.Forget, id)
		case r.Absences < 3 && days >= r.Absences:
			r.Absences++
			todo.Aged = append(todo.Aged, state.Entry{ID: id, Record: r})
		}
	}
}

// scenario makes a listing and records from octets, three for each id.
func scenario(octets []byte) (listing []plan.Listed, known records, p plan.Policy) {
	at := func(i int) int {
		if i < len(octets) {
			return int(octets[i])
		}
		return 0
	}
	p = plan.Policy{Delete: at(0)&1 > 0, After: time.Duration(at(0)>>1&3) * 10 * day, MaxMessages: at(0) >> 3 & 7, MaxOctets: int64(at(0)>>6) * 100}
	sizes := []int64{-1, 0, 100, 200}
	known = records{}
	for i := 1; i+2 < len(octets); i += 3 {
		a, b, c := at(i), at(i+1), at(i+2)
		id := fmt.Sprintf("id%d", (i*7)%1000)
		if a&1 > 0 {
			num := len(listing) + 1
			listing = append(listing, plan.Listed{Num: num, ID: id, Octets: sizes[b%4], Repeated: a&2 > 0})
		}
		if a&4 > 0 {
			r := state.Record{Octets: sizes[c%4], Failures: a >> 5}
			if a&8 > 0 {
				r.Delivered = noon.Add(-time.Duration(b-20) * day)
			} else if r.Failures > 0 || a&16 > 0 {
				r.Reason = "tried before"
			}
			if c&64 > 0 {
				r.Absent, r.Absences = noon.Add(-time.Duration(c&63)*day), 1+b%4
			}
			known[id] = r
		}
	}
	slices.Reverse(listing)
	return listing, known, p
}

func checkPlan(t *testing.T, octets []byte) {
	t.Helper()
	messages, known, p := scenario(octets)
	got := spread(plan.New(listing(messages...), known.sorted, p, noon))
	want := naive(messages, known, p, noon)
	opts := cmp.Options{
		cmpopts.EquateEmpty(),
		cmpopts.IgnoreTypes(plan.Items{}), // compared as they are spread
		cmpopts.SortSlices(func(a, b state.Entry) bool { return a.ID < b.ID }),
		cmpopts.SortSlices(func(a, b string) bool { return a < b }),
	}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Fatalf("scenario %x, plan (-naive +got):\n%s", octets, diff)
	}
	sum := len(got.Retrieve) + len(got.Verify) + len(got.Delete) + len(got.TooBig) + len(got.SetAside) + got.Seen + got.Deferred
	if sum != len(messages) {
		t.Fatalf("scenario %x: %d messages are in the plan, %d in the listing", octets, sum, len(messages))
	}
	for i, v := range got.Verdicts {
		if v < plan.Fresh || v > plan.Deferred {
			t.Fatalf("scenario %x: message %d has no verdict", octets, i)
		}
	}
}
