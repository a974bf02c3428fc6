package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// If two rules fit a message, the safer one decides.
func TestVerdictWhenTwoRulesFit(t *testing.T) {
	remove := plan.Policy{Delete: true}
	small := plan.Policy{MaxOctets: 50}
	delivered := noon.Add(-day)
	for name, tt := range map[string]struct {
		policy plan.Policy
		octets int64
		twin   bool
		known  state.Record
		want   plan.Verdict
	}{
		"came back, and due":                    {remove, 100, false, state.Record{Delivered: delivered, Octets: 100, Deleted: true}, plan.Changed},
		"came back, kept":                       {plan.Policy{}, 100, false, state.Record{Delivered: delivered, Octets: 100, Deleted: true}, plan.Changed},
		"came back, size unknown":               {remove, -1, false, state.Record{Delivered: delivered, Octets: 100, Deleted: true}, plan.Changed},
		"other size, and due":                   {remove, 101, false, state.Record{Delivered: delivered, Octets: 100}, plan.Changed},
		"other size, and a twin":                {remove, 101, true, state.Record{Delivered: delivered, Octets: 100}, plan.Changed},
		"other size, and too big":               {small, 101, false, state.Record{Delivered: delivered, Octets: 100}, plan.Changed},
		"due, and too big":                      {plan.Policy{Delete: true, MaxOctets: 50}, 100, false, state.Record{Delivered: delivered, Octets: 100}, plan.Due},
		"due, and a twin":                       {remove, 100, true, state.Record{Delivered: delivered, Octets: 100}, plan.Seen},
		"due, after many failures":              {remove, 100, false, state.Record{Delivered: delivered, Octets: 100, Failures: 9}, plan.Due},
		"delivered, after many failures":        {plan.Policy{}, 100, false, state.Record{Delivered: delivered, Octets: 100, Failures: 9}, plan.Seen},
		"delivered, and too big":                {small, 100, false, state.Record{Delivered: delivered, Octets: 100}, plan.Seen},
		"set aside, and too big":                {small, 100, false, state.Record{Failures: 5, Octets: 100}, plan.SetAside},
		"too big, after four failures":          {small, 100, false, state.Record{Failures: 4}, plan.TooBig},
		"too big by experience, small in LIST":  {small, 10, false, state.Record{Octets: 100}, plan.TooBig},
		"small by experience, too big in LIST":  {small, 100, false, state.Record{Octets: 10}, plan.TooBig},
		"too big by experience, no size listed": {small, -1, false, state.Record{Octets: 100}, plan.TooBig},
	} {
		t.Run(name, func(t *testing.T) {
			l := listing(plan.Listed{Num: 1, ID: "id", Octets: tt.octets, Repeated: tt.twin})
			todo := plan.New(l, records{"id": tt.known}.sorted, tt.policy, noon)
			if got := todo.Verdicts[0]; got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestAbsenceOfAnID(t *testing.T) {
	ago := func(d time.Duration, absences int) state.Record {
		r := seen(100 * day)
		r.Absent, r.Absences = noon.Add(-d), absences
		return r
	}
	first := seen(100 * day)
	first.Absent, first.Absences = noon, 1
	for name, tt := range map[string]struct {
		was    state.Record
		want   *state.Record // nil = as it was
		forget bool
	}{
		"first time":                         {was: seen(100 * day), want: &first},
		"again on the same day":              {was: ago(day-time.Second, 1)},
		"again on the next day":              {was: ago(day, 1), want: ptr(ago(day, 2))},
		"a second time on the next day":      {was: ago(2*day-time.Second, 2)},
		"on the third day":                   {was: ago(2*day, 2), want: ptr(ago(2*day, 3))},
		"after a month, on three days":       {was: ago(30*day, 3), forget: true},
		"a second less than a month":         {was: ago(30*day-time.Second, 3)},
		"after a month, on two days":         {was: ago(30*day, 2), want: ptr(ago(30*day, 3))},
		"after a year, on two days":          {was: ago(365*day, 2), want: ptr(ago(365*day, 3))},
		"the clock was set back":             {was: ago(-10*day, 1)},
		"not delivered, set aside long ago":  {was: state.Record{Failures: 5, Absent: noon.Add(-40 * day), Absences: 3}, forget: true},
		"deleted by popfetch, a month later": {was: state.Record{Delivered: noon.Add(-40 * day), Deleted: true, Absent: noon.Add(-31 * day), Absences: 3}, forget: true},
	} {
		t.Run(name, func(t *testing.T) {
			todo := plan.New(list("other"), records{"id": tt.was}.sorted, plan.Policy{}, noon)
			var want []state.Entry
			if tt.want != nil {
				want = []state.Entry{{ID: "id", Record: *tt.want}}
			}
			if diff := cmp.Diff(want, todo.Aged); diff != "" {
				t.Errorf("aged (-want +got):\n%s", diff)
			}
			if got := len(todo.Forget) == 1; got != tt.forget {
				t.Errorf("forgets %q", todo.Forget)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }
