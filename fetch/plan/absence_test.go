package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popfetch/fetch/plan"
	"popfetch/state"
)

func TestAbsenceOfAnID(t *testing.T) {
	// ago is a record with the given time of absence and time since the last count.
	ago := func(absent time.Duration, absences int, counted time.Duration) state.Record {
		r := seen(100 * day)
		r.Absent, r.Absences, r.Counted = noon.Add(-absent), absences, noon.Add(-counted)
		return r
	}
	setAside := state.Record{Failures: 5, Absent: noon.Add(-40 * day), Absences: 4, Counted: noon.Add(-day)}
	gone := ago(31*day, 5, day)
	gone.Deleted = true
	for name, tt := range map[string]struct {
		was    state.Record
		want   *state.Record // nil = as it was
		forget bool
	}{
		"first time":                         {was: seen(100 * day), want: ptr(ago(0, 1, 0))},
		"again on the same day":              {was: ago(day-time.Second, 1, day-time.Second)},
		"again on the next day":              {was: ago(day, 1, day), want: ptr(ago(day, 2, 0))},
		"after a month without a poll":       {was: ago(31*day, 1, 31*day), want: ptr(ago(31*day, 2, 0))},
		"a quarter of an hour after that":    {was: ago(31*day, 2, 15*time.Minute)},
		"after a month, four times":          {was: ago(30*day, 4, day), forget: true},
		"a second less than a month":         {was: ago(30*day-time.Second, 4, day), want: ptr(ago(30*day-time.Second, 5, 0))},
		"often, and not for long":            {was: ago(20*day, 5, 10*day)},
		"after a year, three times":          {was: ago(365*day, 3, day), want: ptr(ago(365*day, 4, 0))},
		"the clock was set back":             {was: ago(-10*day, 1, -10*day), want: ptr(ago(0, 1, 0))},
		"not delivered, set aside long ago":  {was: setAside, forget: true},
		"deleted by popfetch, a month later": {was: gone, forget: true},
	} {
		t.Run(name, func(t *testing.T) {
			todo := plan.New(list("other"), records{"id": tt.was}.sorted, plan.Policy{}, at(noon), nil)
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

// One empty listing, a month without a poll, and four empty listings within a quarter
// of an hour forget nothing.
func TestEmptyListingsInARowForgetNothing(t *testing.T) {
	known := records{"kept": seen(day)}
	for _, after := range []time.Duration{0, 31 * day, 31*day + 5*time.Minute, 31*day + 10*time.Minute, 31*day + 15*time.Minute} {
		known.store(plan.New(list(), known.sorted, plan.Policy{}, at(noon.Add(after)), nil))
	}
	if todo := plan.New(list("kept"), known.sorted, plan.Policy{}, at(noon.Add(32*day)), nil); todo.Seen != 1 {
		t.Errorf("%v", todo)
	}
}

// A message under an unknown id may be one whose id has vanished within the last two weeks.
func TestUnknownIDIsLookedAtIfAnotherVanishedLately(t *testing.T) {
	for absent, want := range map[time.Duration]int{14*day - time.Second: 1, 14 * day: 0} {
		was := seen(100 * day)
		was.Absent, was.Counted, was.Absences = noon.Add(-absent), noon.Add(-absent), 1
		todo := plan.New(list("other"), records{"id": was}.sorted, plan.Policy{}, at(noon), nil)
		if todo.Look.Len() != want {
			t.Errorf("absent for %v: looks at %d messages, want %d", absent, todo.Look.Len(), want)
		}
	}
}
