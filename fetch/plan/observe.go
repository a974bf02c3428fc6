package plan

import (
	"time"

	"popfetch/state"
)

// Observed time begins above zero, which says that it is not known.
const firstObserved = time.Second

// The time between two polls counts for at most half of Policy.After, or maxGap
// without it. Observed time is stored when storeEvery or a quarter of Policy.After has
// passed.
const (
	maxGap     = 7 * 24 * time.Hour
	storeEvery = 24 * time.Hour
)

// Observe brings the observed time of a maildrop up to now. It measures the age of
// deliveries in place of the clock, which may jump. A machine without a battery starts in
// the past, and a time server corrects it: then the time since the latest that the clock
// has shown before counts. Another jump ages a delivery by half of the time after which it
// is deleted, at most, and adds a week to absences. store reports that the facts are to be stored even if nothing else
// is.
func Observe(f state.Facts, now time.Time, p Policy) (_ state.Facts, store bool) {
	if f.ObservedAt.IsZero() {
		f.Observed, f.ObservedAt, f.Latest, f.Steady = firstObserved, now, now, now
		return f, true
	}
	most, every := maxGap, storeEvery
	if p.Delete && p.After > 0 {
		most, every = p.After/2, min(storeEvery, p.After/4)
	}
	gap := now.Sub(f.ObservedAt)
	store = gap < 0 || gap >= every
	if !now.Before(f.Latest) && !f.Latest.IsZero() {
		gap, f.Latest = now.Sub(f.Latest), now
	}
	if f.Steady.IsZero() {
		f.Steady = f.ObservedAt
	}
	f.Steady = f.Steady.Add(min(max(gap, 0), maxGap))
	f.Observed, f.ObservedAt = f.Observed+min(max(gap, 0), most), now
	return f, store
}

// lookEvery is the time between two daily looks.
const lookEvery = 24 * time.Hour

// LookIsDue reports whether the daily look is due.
func LookIsDue(f state.Facts, now time.Time) bool {
	gap := now.Sub(f.Looked)
	return gap < 0 || gap >= lookEvery
}
