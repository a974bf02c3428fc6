package plan

import (
	"testing"
	"time"

	"popfetch/state"
)

// A clock that jumps ages a delivery by half of the time after which it is deleted, at
// most, in whichever direction and how far it jumps.
func TestClockThatJumpsMakesNothingDue(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := Policy{Delete: true, After: 14 * day}
	for name, jump := range map[string]time.Duration{
		"a machine without a battery": 56 * 365 * day, "three months": 90 * day, "back": -90 * day, "none": 0,
	} {
		t.Run(name, func(t *testing.T) {
			var f state.Facts
			now := start
			poll := func() When {
				observed, store := Observe(f, now, p)
				if store {
					f = observed
				}
				return When{Now: now, Observed: observed.Observed}
			}
			r := state.Record{Delivered: now, Observed: poll().Observed}
			now = now.Add(jump + 5*time.Minute)
			if due(&r, p, poll()) {
				t.Fatal("due five minutes after the delivery")
			}
			if when := poll(); age(&r, when) > 7*day {
				t.Errorf("the jump has aged it by %v", age(&r, when))
			}
			days := 0
			for ; !due(&r, p, poll()) && days < 100; days++ {
				now = now.Add(day)
			}
			if days < 7 || days > 15 {
				t.Errorf("deleted after %d days", days)
			}
		})
	}
}

func TestObservedTimeIsStoredSeldom(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var f state.Facts
	stores := 0
	for range 2 * 24 * 12 { // two days, every five minutes
		if observed, store := Observe(f, now, Policy{}); store {
			stores++
			f = observed
		}
		now = now.Add(5 * time.Minute)
	}
	if stores != 2 {
		t.Errorf("stored %d times in two days", stores)
	}
}

// A poll once a month deletes at the second poll.
func TestRarePollsDeleteAllTheSame(t *testing.T) {
	const day = 24 * time.Hour
	p := Policy{Delete: true, After: 14 * day}
	f := state.Facts{Observed: time.Second, ObservedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r := state.Record{Delivered: f.ObservedAt, Observed: f.Observed}
	for month, want := range []bool{false, true} {
		now := f.ObservedAt.Add(30 * day)
		f, _ = Observe(f, now, p)
		if got := due(&r, p, When{Now: now, Observed: f.Observed}); got != want {
			t.Errorf("month %d: due %v", month+1, got)
		}
	}
}

// A machine without a battery may start in the past many times before a message is due.
func TestMachineThatStartsInThePastMakesNothingDue(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := Policy{Delete: true, After: 14 * day}
	f, _ := Observe(state.Facts{}, now, p)
	r := state.Record{Delivered: now, Observed: f.Observed}
	for range 12 { // starts, one a day
		now = now.Add(day)
		f, _ = Observe(f, time.Unix(60, 0), p)
		f, _ = Observe(f, now, p)
		if due(&r, p, When{Now: now, Observed: f.Observed}) {
			t.Fatalf("due %v after the delivery", now.Sub(r.Delivered))
		}
	}
	now = now.Add(3 * day)
	if f, _ = Observe(f, now, p); !due(&r, p, When{Now: now, Observed: f.Observed}) {
		t.Errorf("not due %v after the delivery", now.Sub(r.Delivered))
	}
}

// What happens while the clock is in the past does not look like an absence of 50 years
// when it is corrected.
func TestClockThatIsCorrectedMakesNoAbsenceLong(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f, _ := Observe(state.Facts{}, now, Policy{})
	past, _ := Observe(f, time.Unix(60, 0), Policy{})
	f, _ = Observe(past, now.Add(time.Hour), Policy{})
	if f.Steady.Sub(past.Steady) > time.Hour {
		t.Errorf("%v have passed", f.Steady.Sub(past.Steady))
	}
	f, _ = Observe(f, now.AddDate(3, 0, 0), Policy{})
	if f.Steady.Sub(past.Steady) > 8*24*time.Hour {
		t.Errorf("%v have passed", f.Steady.Sub(past.Steady))
	}
}
