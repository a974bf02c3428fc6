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

// Observe returns the observed time of a maildrop at a poll. It measures the age of
// deliveries in place of the clock, which may jump: a machine without a battery starts
// in the past, and a time server corrects it. One jump ages a delivery by half of the
// time after which it is deleted, at most. store reports that the time is to be stored
// even if nothing else is.
func Observe(f state.Facts, now time.Time, p Policy) (observed time.Duration, store bool) {
	if f.ObservedAt.IsZero() {
		return firstObserved, true
	}
	most, every := maxGap, storeEvery
	if p.Delete && p.After > 0 {
		most, every = p.After/2, min(storeEvery, p.After/4)
	}
	gap := now.Sub(f.ObservedAt)
	return f.Observed + min(max(gap, 0), most), gap < 0 || gap >= every
}

// lookEvery is the time between two daily looks.
const lookEvery = 24 * time.Hour

// LookIsDue reports whether the daily look is due.
func LookIsDue(f state.Facts, now time.Time) bool {
	gap := now.Sub(f.Looked)
	return gap < 0 || gap >= lookEvery
}
