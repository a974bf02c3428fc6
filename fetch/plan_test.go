package fetch_test

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"popfetch/fetch"
	"popfetch/state"
)

const day = 24 * time.Hour

// noon is the time of all plans.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// records is what is known of a maildrop.
type records map[string]state.Record

// sorted yields the records as state.Maildrop.Scan does: who keeps an id without
// copying it keeps the next one.
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

// store keeps what a plan wants to be kept, as a poll would that retrieved nothing.
func (r records) store(p fetch.Plan) {
	for _, e := range p.Aged {
		r[e.ID] = e.Record
	}
	for _, id := range p.Forget {
		delete(r, id)
	}
}

var _ iter.Seq2[[]byte, state.Record] = records(nil).sorted

// list numbers messages without sizes.
func list(ids ...string) *fetch.Listing {
	listing := new(fetch.Listing)
	for i, id := range ids {
		listing.Add(fetch.Listed{Num: i + 1, ID: id, Octets: -1})
	}
	return listing
}

func listing(messages ...fetch.Listed) *fetch.Listing {
	l := new(fetch.Listing)
	for _, m := range messages {
		l.Add(m)
	}
	return l
}

// listed is the other way round.
func listed(l *fetch.Listing) []fetch.Listed {
	var all []fetch.Listed
	for _, m := range l.All() {
		all = append(all, m)
	}
	return all
}

func seen(ago time.Duration) state.Record {
	return state.Record{Delivered: noon.Add(-ago), Octets: 100}
}

func nums(items fetch.Items) []int {
	var all []int
	for it := range items.All() {
		all = append(all, it.Num)
	}
	return all
}

func TestPlanVerdict(t *testing.T) {
	tests := []struct {
		name   string
		policy fetch.Policy
		octets int64
		twin   bool
		known  *state.Record
		want   fetch.Verdict
	}{
		{"unknown", fetch.Policy{}, -1, false, nil, fetch.New},
		{"unknown, delete", fetch.Policy{Delete: true}, 100, false, nil, fetch.New},
		{"delivered, keep", fetch.Policy{}, 100, false, &state.Record{Delivered: noon.Add(-day), Octets: 100}, fetch.Seen},
		{"delivered, delete", fetch.Policy{Delete: true}, 100, false, &state.Record{Delivered: noon.Add(-day), Octets: 100}, fetch.Due},
		{"delivered, delete, size not asked", fetch.Policy{Delete: true}, -1, false, &state.Record{Delivered: noon.Add(-day), Octets: 100}, fetch.Due},
		{"delivered, not yet due", fetch.Policy{Delete: true, After: 2 * day}, 100, false, &state.Record{Delivered: noon.Add(-2*day + time.Second), Octets: 100}, fetch.Seen},
		{"delivered, just due", fetch.Policy{Delete: true, After: 2 * day}, 100, false, &state.Record{Delivered: noon.Add(-2 * day), Octets: 100}, fetch.Due},
		{"delivered in the future", fetch.Policy{Delete: true, After: day}, 100, false, &state.Record{Delivered: noon.Add(10 * 365 * day), Octets: 100}, fetch.Seen},
		{"delivered in the future, delete at once", fetch.Policy{Delete: true}, 100, false, &state.Record{Delivered: noon.Add(day), Octets: 100}, fetch.Due},
		{"other octets", fetch.Policy{}, 101, false, &state.Record{Delivered: noon, Octets: 100}, fetch.Changed},
		{"other octets, delete", fetch.Policy{Delete: true}, 101, false, &state.Record{Delivered: noon.Add(-day), Octets: 100}, fetch.Changed},
		{"octets were never announced", fetch.Policy{}, 101, false, &state.Record{Delivered: noon, Octets: -1}, fetch.Seen},
		{"as big as allowed", fetch.Policy{MaxOctets: 100}, 100, false, nil, fetch.New},
		{"too big by the listing", fetch.Policy{MaxOctets: 100}, 101, false, nil, fetch.TooBig},
		{"too big by experience", fetch.Policy{MaxOctets: 100}, 5, false, &state.Record{Octets: 101}, fetch.TooBig},
		{"too big, but delivered", fetch.Policy{MaxOctets: 100}, 200, false, &state.Record{Delivered: noon, Octets: 200}, fetch.Seen},
		{"limit was raised", fetch.Policy{MaxOctets: 300}, 5, false, &state.Record{Octets: 101}, fetch.New},
		{"failed four times", fetch.Policy{}, 100, false, &state.Record{Failures: 4, Reason: "no"}, fetch.New},
		{"failed five times", fetch.Policy{}, 100, false, &state.Record{Failures: 5, Reason: "no"}, fetch.SetAside},
		{"failed five times, delete", fetch.Policy{Delete: true}, 100, false, &state.Record{Failures: 5, Reason: "no"}, fetch.SetAside},
		{"a twin is never due", fetch.Policy{Delete: true}, 100, true, &state.Record{Delivered: noon.Add(-day), Octets: 100}, fetch.Seen},
		{"an unknown twin", fetch.Policy{Delete: true}, 100, true, nil, fetch.New},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			known := records{}
			if tt.known != nil {
				known["id"] = *tt.known
			}
			listing := listing(fetch.Listed{Num: 7, ID: "id", Octets: tt.octets, Repeated: tt.twin})
			plan := fetch.NewPlan(listing, known.sorted, tt.policy, noon)
			if got := plan.Verdicts[0]; got != tt.want {
				t.Errorf("verdict %v, want %v", got, tt.want)
			}
			if len(plan.Aged)+len(plan.Forget) != 0 {
				t.Errorf("ages %v and forgets %v", plan.Aged, plan.Forget)
			}
		})
	}
}

func TestPlanTakesFailedMessagesLast(t *testing.T) {
	known := records{"a": {Reason: "cut"}, "c": {Failures: 2, Reason: "refused"}}
	plan := fetch.NewPlan(list("a", "b", "c", "d"), known.sorted, fetch.Policy{}, noon)
	if diff := cmp.Diff([]int{2, 4, 1, 3}, nums(plan.Retrieve)); diff != "" {
		t.Error(diff)
	}
}

func TestPlanDefersBeyondMaxMessages(t *testing.T) {
	known := records{"a": {Reason: "cut"}, "e": seen(day)}
	plan := fetch.NewPlan(list("a", "b", "c", "d", "e"), known.sorted, fetch.Policy{MaxMessages: 2}, noon)
	if diff := cmp.Diff([]int{2, 3}, nums(plan.Retrieve)); diff != "" {
		t.Error(diff)
	}
	if plan.Deferred != 2 {
		t.Errorf("deferred %d, want 2", plan.Deferred)
	}
	want := []fetch.Verdict{fetch.Deferred, fetch.New, fetch.New, fetch.Deferred, fetch.Seen}
	if diff := cmp.Diff(want, plan.Verdicts); diff != "" {
		t.Error(diff)
	}
}

func TestPlanDoesNotCareForNumbersAndOrder(t *testing.T) {
	known := records{"a": seen(day), "b": seen(day), "c": seen(day)}
	before := []fetch.Listed{
		{Num: 4, ID: "c", Octets: -1}, {Num: 2, ID: "new", Octets: -1}, {Num: 1, ID: "a", Octets: -1}, {Num: 3, ID: "b", Octets: -1},
	}
	listing := listing(before...)
	plan := fetch.NewPlan(listing, known.sorted, fetch.Policy{Delete: true}, noon)
	if diff := cmp.Diff([]int{2}, nums(plan.Retrieve)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 3, 4}, nums(plan.Delete)); diff != "" {
		t.Error(diff)
	}
	want := []fetch.Verdict{fetch.Due, fetch.New, fetch.Due, fetch.Due}
	if diff := cmp.Diff(want, plan.Verdicts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, listed(listing)); diff != "" {
		t.Errorf("the listing was changed: %s", diff)
	}
}

func TestPlanForgetsNothingOverOneListing(t *testing.T) {
	for name, listing := range map[string]*fetch.Listing{"empty": list(), "partial": list("b")} {
		t.Run(name, func(t *testing.T) {
			known := records{"a": seen(400 * day), "b": seen(400 * day), "c": seen(400 * day)}
			for range 100 { // however often it is seen on one day
				plan := fetch.NewPlan(listing, known.sorted, fetch.Policy{}, noon)
				if len(plan.Forget) > 0 {
					t.Fatalf("forgets %q", plan.Forget)
				}
				known.store(plan)
			}
			if plan := fetch.NewPlan(list("a", "b", "c"), known.sorted, fetch.Policy{}, noon); plan.Seen != 3 {
				t.Errorf("%v, want 3 seen", plan)
			}
		})
	}
}

func TestPlanCountsAnAbsenceOncePerDay(t *testing.T) {
	known := records{"gone": seen(day)}
	changes := 0
	for hour := range 24 * 40 {
		plan := fetch.NewPlan(list(), known.sorted, fetch.Policy{}, noon.Add(time.Duration(hour)*time.Hour))
		changes += len(plan.Aged)
		known.store(plan)
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
		known.store(fetch.NewPlan(list(), known.sorted, fetch.Policy{}, now))
		if _, ok := known["gone"]; ok != want {
			t.Fatalf("after listing %d: known %v, want %v", i+1, ok, want)
		}
	}
}

func TestPlanForgivesAnAbsenceThatEnds(t *testing.T) {
	was := seen(50 * day)
	was.Absent, was.Absences = noon.Add(-40*day), 3
	known := records{"back": was}
	plan := fetch.NewPlan(list("back"), known.sorted, fetch.Policy{}, noon)
	known.store(plan)
	if diff := cmp.Diff(records{"back": seen(50 * day)}, known); diff != "" || plan.Seen != 1 {
		t.Errorf("%v, records (-want +got):\n%s", plan, diff)
	}
	if again := fetch.NewPlan(list("back"), known.sorted, fetch.Policy{}, noon); len(again.Aged) != 0 {
		t.Errorf("the record is written again: %v", again.Aged)
	}
}

func TestPlanString(t *testing.T) {
	plan := fetch.NewPlan(list("a"), records{}.sorted, fetch.Policy{}, noon)
	if got := plan.String(); got != "1 to retrieve" {
		t.Errorf("%q", got)
	}
	known := records{"a": seen(day), "b": seen(day), "c": seen(0), "d": seen(0), "e": seen(0)}
	policy := fetch.Policy{Delete: true, After: day, MaxMessages: 1}
	plan = fetch.NewPlan(list("a", "b", "c", "d", "e", "f", "g"), known.sorted, policy, noon)
	if got := plan.String(); got != "1 to retrieve, 2 to delete, 3 seen, 1 deferred" {
		t.Errorf("%q", got)
	}
	if got := (fetch.Plan{}).String(); got != "nothing to do" {
		t.Errorf("%q", got)
	}
	for v := fetch.New; v <= fetch.Deferred; v++ {
		if v.String() == "" {
			t.Errorf("verdict %d has no name", v)
		}
	}
}

// naivePlan is a plan with the lists that a fetch.Plan makes when they are asked for.
type naivePlan struct {
	fetch.Plan
	Retrieve, Verify, Delete, TooBig, SetAside []fetch.Item
}

// spread makes these lists.
func spread(p fetch.Plan) naivePlan {
	all := func(items fetch.Items) []fetch.Item { return slices.Collect(items.All()) }
	return naivePlan{p, all(p.Retrieve), all(p.Verify), all(p.Delete), all(p.TooBig), all(p.SetAside)}
}

// naive is what NewPlan promises, written down without thought for speed.
func naive(listing []fetch.Listed, known records, p fetch.Policy, now time.Time) naivePlan {
	plan := naivePlan{Plan: fetch.Plan{Verdicts: make([]fetch.Verdict, len(listing))}}
	listed := map[string]bool{}
	for i, l := range listing {
		listed[l.ID] = true
		r := known[l.ID]
		absent := r.Absences > 0
		if !r.Delivered.IsZero() {
			plan.Present++
		}
		r.Absent, r.Absences = time.Time{}, 0
		it := fetch.Item{Listed: l, Record: r}
		delivered := !r.Delivered.IsZero()
		changed := delivered && l.Octets != -1 && r.Octets != -1 && l.Octets != r.Octets
		old := p.After == 0 || !r.Delivered.After(now.Add(-p.After))
		switch {
		case changed:
			plan.Verdicts[i] = fetch.Changed
			plan.Verify = append(plan.Verify, it)
		case delivered && p.Delete && old && !l.Repeated:
			plan.Verdicts[i] = fetch.Due
			plan.Delete = append(plan.Delete, it)
		case delivered:
			plan.Verdicts[i] = fetch.Seen
			plan.Seen++
		case r.Failures >= 5:
			plan.Verdicts[i] = fetch.SetAside
			plan.SetAside = append(plan.SetAside, it)
		case p.MaxOctets > 0 && (l.Octets > p.MaxOctets || r.Octets > p.MaxOctets):
			plan.Verdicts[i] = fetch.TooBig
			plan.TooBig = append(plan.TooBig, it)
		default:
			plan.Verdicts[i] = fetch.New
			plan.Retrieve = append(plan.Retrieve, it)
		}
		if absent && plan.Verdicts[i] != fetch.New && !changed {
			plan.Aged = append(plan.Aged, state.Entry{ID: l.ID, Record: r})
		}
	}
	naiveOrder(&plan, listing, p)
	naiveAbsences(&plan.Plan, listed, known, now)
	return plan
}

func naiveOrder(plan *naivePlan, listing []fetch.Listed, p fetch.Policy) {
	for _, items := range [][]fetch.Item{plan.Verify, plan.Delete, plan.TooBig, plan.SetAside, plan.Retrieve} {
		slices.SortFunc(items, func(a, b fetch.Item) int { return a.Num - b.Num })
	}
	var fresh, tried []fetch.Item
	for _, it := range plan.Retrieve {
		if it.Record.Reason == "" {
			fresh = append(fresh, it)
		} else {
			tried = append(tried, it)
		}
	}
	plan.Retrieve = append(fresh, tried...)
	for p.MaxMessages > 0 && len(plan.Retrieve) > p.MaxMessages {
		last := plan.Retrieve[len(plan.Retrieve)-1]
		plan.Retrieve = plan.Retrieve[:len(plan.Retrieve)-1]
		plan.Deferred++
		i := slices.IndexFunc(listing, func(l fetch.Listed) bool { return l.Num == last.Num })
		plan.Verdicts[i] = fetch.Deferred
	}
}

func naiveAbsences(plan *fetch.Plan, listed map[string]bool, known records, now time.Time) {
	for id, r := range known {
		if !listed[id] && r.Seen() && (r.Absent.IsZero() || now.Sub(r.Absent) < 14*day) {
			plan.Missing++
			plan.MissingOctets += max(r.Octets, 0)
		}
		days := int(now.Sub(r.Absent) / day)
		switch {
		case listed[id]:
		case r.Absent.IsZero():
			r.Absent, r.Absences = now, 1
			plan.Aged = append(plan.Aged, state.Entry{ID: id, Record: r})
		case days >= 30 && r.Absences >= 3:
			plan.Forget = append(plan.Forget, id)
		case r.Absences < 3 && days >= r.Absences:
			r.Absences++
			plan.Aged = append(plan.Aged, state.Entry{ID: id, Record: r})
		}
	}
}

// scenario makes a listing and records out of octets, three for each id.
func scenario(octets []byte) (listing []fetch.Listed, known records, p fetch.Policy) {
	at := func(i int) int {
		if i < len(octets) {
			return int(octets[i])
		}
		return 0
	}
	p = fetch.Policy{Delete: at(0)&1 > 0, After: time.Duration(at(0)>>1&3) * 10 * day, MaxMessages: at(0) >> 3 & 7, MaxOctets: int64(at(0)>>6) * 100}
	sizes := []int64{-1, 0, 100, 200}
	known = records{}
	for i := 1; i+2 < len(octets); i += 3 {
		a, b, c := at(i), at(i+1), at(i+2)
		id := fmt.Sprintf("id%d", (i*7)%1000)
		if a&1 > 0 {
			num := len(listing) + 1
			listing = append(listing, fetch.Listed{Num: num, ID: id, Octets: sizes[b%4], Repeated: a&2 > 0})
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
	got := spread(fetch.NewPlan(listing(messages...), known.sorted, p, noon))
	want := naive(messages, known, p, noon)
	opts := cmp.Options{
		cmpopts.EquateEmpty(),
		cmpopts.IgnoreTypes(fetch.Items{}), // compared as they are spread
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
		if v < fetch.New || v > fetch.Deferred {
			t.Fatalf("scenario %x: message %d has no verdict", octets, i)
		}
	}
}
