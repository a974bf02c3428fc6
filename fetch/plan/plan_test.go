package plan_test

import (
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popfetch/fetch/plan"
	"popfetch/state"
)

const day = 24 * time.Hour

// noon is the time of all plans.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// records is what is known of a maildrop.
type records map[string]state.Record

// sorted yields the records as state.Maildrop.Scan does: an id is overwritten by the
// next one.
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

// store keeps what a todo wants to be kept, as a poll would that retrieved nothing.
func (r records) store(p plan.Plan) {
	for _, e := range p.Aged {
		r[e.ID] = e.Record
	}
	for _, id := range p.Forget {
		delete(r, id)
	}
}

var _ iter.Seq2[[]byte, state.Record] = records(nil).sorted

// list numbers messages without sizes.
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

// listed is the other way round.
func listed(l *plan.Listing) []plan.Listed {
	var all []plan.Listed
	for _, m := range l.All() {
		all = append(all, m)
	}
	return all
}

// observedAtNoon is the observed time of the maildrop at noon.
const observedAtNoon = 1000 * day

// at is the moment of a plan at some time around noon.
func at(now time.Time) plan.When {
	return plan.When{Now: now, Observed: observedAtNoon + now.Sub(noon), Steady: now}
}

// seen is the record of a message that was delivered this long before noon.
func seen(ago time.Duration) state.Record {
	return state.Record{Delivered: noon.Add(-ago), Octets: 100, Observed: observedAtNoon - ago, Fingerprint: [16]byte{1}, Nonce: 1}
}

func nums(items plan.Items) []int {
	var all []int
	for it := range items.All() {
		all = append(all, it.Num)
	}
	return all
}

func TestPlanVerdict(t *testing.T) {
	old, deleted, unproven := seen(day), seen(day), seen(day)
	deleted.Deleted = true
	unproven.Unproven = true
	first := state.Record{Delivered: noon.Add(-day), Octets: 100} // version 1
	future := first
	future.Delivered = noon.Add(10 * 365 * day)
	big := seen(day)
	big.Octets = 200
	remove := plan.Policy{Delete: true}
	for name, tt := range map[string]struct {
		policy plan.Policy
		octets int64
		known  state.Record
		want   plan.Verdict
		look   bool
	}{
		"unknown":                                {plan.Policy{}, -1, state.Record{}, plan.Fresh, false},
		"unknown, delete":                        {remove, 100, state.Record{}, plan.Fresh, false},
		"delivered, keep":                        {plan.Policy{}, 100, old, plan.Seen, false},
		"delivered, delete":                      {remove, 100, old, plan.Due, true},
		"delivered, delete, size not asked":      {remove, -1, old, plan.Due, true},
		"delivered, not yet due":                 {plan.Policy{Delete: true, After: day + time.Second}, 100, old, plan.Seen, false},
		"delivered, just due":                    {plan.Policy{Delete: true, After: day}, 100, old, plan.Due, true},
		"delivered, due, its id is all there is": {remove, 100, unproven, plan.Seen, false},
		"version 1, due":                         {plan.Policy{Delete: true, After: day}, 100, first, plan.Due, true},
		"version 1, delivered in the future":     {plan.Policy{Delete: true, After: day}, 100, future, plan.Seen, false},
		"other size":                             {plan.Policy{}, 101, old, plan.Suspect, true},
		"other size, delete":                     {remove, 101, old, plan.Suspect, true},
		"size was never announced":               {plan.Policy{}, 101, state.Record{Delivered: noon, Octets: -1}, plan.Seen, false},
		"deleted, listed again":                  {plan.Policy{}, 100, deleted, plan.Suspect, true},
		"deleted, listed again, delete":          {remove, 100, deleted, plan.Suspect, true},
		"handed over, not delivered":             {plan.Policy{}, 100, state.Record{Octets: 100, Fingerprint: [16]byte{1}, Failures: 1, Reason: "75"}, plan.Fresh, true},
		"as large as allowed":                    {plan.Policy{MaxOctets: 100}, 100, state.Record{}, plan.Fresh, false},
		"too big by the listing":                 {plan.Policy{MaxOctets: 100}, 101, state.Record{}, plan.TooBig, false},
		"too big by experience":                  {plan.Policy{MaxOctets: 100}, 5, state.Record{Octets: 101, Fingerprint: plan.Fingerprint{1}}, plan.TooBig, false},
		"too big, but delivered":                 {plan.Policy{MaxOctets: 100}, 200, big, plan.Seen, false},
		"limit was raised":                       {plan.Policy{MaxOctets: 300}, 5, state.Record{Octets: 101}, plan.Fresh, false},
		"failed four times":                      {plan.Policy{}, 100, state.Record{Failures: 4, Reason: "no"}, plan.Fresh, false},
		"failed five times":                      {plan.Policy{}, 100, state.Record{Failures: 5, Reason: "no", Tried: noon}, plan.SetAside, false},
		"failed five times, and too big":         {plan.Policy{MaxOctets: 50}, 100, state.Record{Failures: 5, Reason: "no", Tried: noon}, plan.SetAside, false},
		"failed five times, a day ago":           {plan.Policy{}, 100, state.Record{Failures: 5, Reason: "no", Tried: noon.Add(-23 * time.Hour)}, plan.Fresh, false},
		"failed five times, the clock went back": {plan.Policy{}, 100, state.Record{Failures: 5, Reason: "no", Tried: noon.Add(23 * time.Hour)}, plan.Fresh, false},
		"failed eleven times, a day ago":         {plan.Policy{}, 100, state.Record{Failures: 11, Reason: "no", Tried: noon.Add(-24 * time.Hour)}, plan.Fresh, false},
		"failed twelve times, six days ago":      {plan.Policy{}, 100, state.Record{Failures: 12, Reason: "no", Tried: noon.Add(-6 * 24 * time.Hour)}, plan.SetAside, false},
		"failed twelve times, a week ago":        {plan.Policy{}, 100, state.Record{Failures: 12, Reason: "no", Tried: noon.Add(-7 * 24 * time.Hour)}, plan.Fresh, false},
		"failed in version 1":                    {plan.Policy{}, 100, state.Record{Failures: 5, Reason: "no"}, plan.Fresh, false},
		"delivered, after many failures":         {plan.Policy{}, 100, state.Record{Delivered: noon, Octets: 100, Failures: 9}, plan.Seen, false},
	} {
		t.Run(name, func(t *testing.T) {
			known := records{}
			if tt.known != (state.Record{}) {
				known["id"] = tt.known
			}
			l := listing(plan.Listed{Num: 7, ID: "id", Octets: tt.octets})
			todo := plan.New(l, known.sorted, tt.policy, at(noon), nil)
			if got := todo.Verdicts[0]; got != tt.want {
				t.Errorf("verdict %v, want %v", got, tt.want)
			}
			if got := todo.Look.Len() == 1; got != tt.look {
				t.Errorf("looks at its header block: %v, want %v", got, tt.look)
			}
			if len(todo.Aged)+len(todo.Forget) > 0 {
				t.Errorf("ages %v, forgets %v", todo.Aged, todo.Forget)
			}
		})
	}
}

func TestPlanTakesFailedMessagesLast(t *testing.T) {
	known := records{"a": {Reason: "cut"}, "c": {Failures: 2, Reason: "refused"}}
	todo := plan.New(list("a", "b", "c", "d"), known.sorted, plan.Policy{}, at(noon), nil)
	if diff := cmp.Diff([]int{2, 4, 1, 3}, nums(todo.Retrieve)); diff != "" {
		t.Error(diff)
	}
}

func TestPlanDefersBeyondMaxMessages(t *testing.T) {
	known := records{"a": {Reason: "cut"}, "e": seen(day)}
	todo := plan.New(list("a", "b", "c", "d", "e"), known.sorted, plan.Policy{MaxMessages: 2}, at(noon), nil)
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

func TestPlanDoesNotCareForNumbersAndOrder(t *testing.T) {
	known := records{"a": seen(day), "b": seen(day), "c": seen(day)}
	before := []plan.Listed{
		{Num: 4, ID: "c", Octets: -1}, {Num: 2, ID: "new", Octets: -1}, {Num: 1, ID: "a", Octets: -1}, {Num: 3, ID: "b", Octets: -1},
	}
	listing := listing(before...)
	todo := plan.New(listing, known.sorted, plan.Policy{Delete: true}, at(noon), nil)
	if diff := cmp.Diff([]int{2}, nums(todo.Retrieve)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 3, 4}, nums(todo.Look)); diff != "" {
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
				todo := plan.New(listing, known.sorted, plan.Policy{}, at(noon), nil)
				if len(todo.Forget) > 0 {
					t.Fatalf("forgets %q", todo.Forget)
				}
				known.store(todo)
			}
			if todo := plan.New(list("a", "b", "c"), known.sorted, plan.Policy{}, at(noon), nil); todo.Seen != 3 {
				t.Errorf("%v, want 3 seen", todo)
			}
		})
	}
}

func TestPlanCountsAnAbsenceOncePerDay(t *testing.T) {
	known := records{"gone": seen(day)}
	changes := 0
	for hour := range 24 * 40 {
		todo := plan.New(list(), known.sorted, plan.Policy{}, at(noon.Add(time.Duration(hour)*time.Hour)), nil)
		changes += len(todo.Aged)
		known.store(todo)
		if r, ok := known["gone"]; ok && (r.Absences > 5 || !r.Absent.Equal(noon)) {
			t.Fatalf("hour %d: %+v", hour, r)
		} else if want := hour < 30*24; ok != want {
			t.Fatalf("hour %d: known %v, want %v", hour, ok, want)
		}
	}
	if changes != 5 {
		t.Errorf("the record was written %d times, want 5", changes)
	}
}

func TestPlanWantsSeveralAbsencesHoweverLongTheyTake(t *testing.T) {
	known := records{"gone": seen(day)}
	for i, want := range []bool{true, true, true, true, false} {
		now := noon.Add(time.Duration(i) * 365 * day)
		known.store(plan.New(list(), known.sorted, plan.Policy{}, at(now), nil))
		if _, ok := known["gone"]; ok != want {
			t.Fatalf("after listing %d: known %v, want %v", i+1, ok, want)
		}
	}
}

func TestPlanForgivesAnAbsenceThatEnds(t *testing.T) {
	was := seen(50 * day)
	was.Absent, was.Absences, was.Counted = noon.Add(-40*day), 3, noon.Add(-day)
	known := records{"back": was}
	todo := plan.New(list("back"), known.sorted, plan.Policy{}, at(noon), nil)
	known.store(todo)
	if diff := cmp.Diff(records{"back": seen(50 * day)}, known); diff != "" || todo.Seen != 1 {
		t.Errorf("%v, records (-want +got):\n%s", todo, diff)
	}
	if again := plan.New(list("back"), known.sorted, plan.Policy{}, at(noon), nil); len(again.Aged) != 0 {
		t.Errorf("the record is written again: %v", again.Aged)
	}
}

func TestPlanString(t *testing.T) {
	todo := plan.New(list("a"), records{}.sorted, plan.Policy{}, at(noon), nil)
	if got := todo.String(); got != "1 to retrieve" {
		t.Errorf("%q", got)
	}
	known := records{"a": seen(day), "b": seen(day), "c": seen(0), "d": seen(0), "e": seen(0)}
	policy := plan.Policy{Delete: true, After: day, MaxMessages: 1}
	todo = plan.New(list("a", "b", "c", "d", "e", "f", "g"), known.sorted, policy, at(noon), nil)
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
