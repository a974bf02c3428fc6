//go:build linux

package main

import (
	"cmp"
	"slices"
)

// The floors, by the names of their entries.
const (
	drainFloor = "drain"
	diskEntry  = "disk"
	subject    = "popfetch"
)

// entry is what one contender took for one scenario.
type entry struct {
	name       string
	seconds    []float64 // of each run
	rss        int64     // greatest of all runs in KiB, 0 = not measured
	roundTrips int       // of the last run, 0 = not known
	over       float64   // a run was cut off after that many seconds; 0 = none
	failed     string    // why a run failed, "" = none has
}

// counts says whether there is a time to be compared.
func (e *entry) counts() bool {
	return e != nil && len(e.seconds) > 0 && e.over == 0 && e.failed == ""
}

// median is that of the times of all runs, the mean of the middle two of an even number.
func (e *entry) median() float64 {
	s := slices.Sorted(slices.Values(e.seconds))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// span is from the shortest to the longest time.
func (e *entry) span() (least, most float64) {
	return slices.Min(e.seconds), slices.Max(e.seconds)
}

// result is one scenario played.
type result struct {
	scenario string
	entries  []*entry
}

// find returns the entry of a name, nil if there is none.
func (r result) find(name string) *entry {
	i := slices.IndexFunc(r.entries, func(e *entry) bool { return e.name == name })
	if i < 0 {
		return nil
	}
	return r.entries[i]
}

// floor is the slower of the floors: nobody can be faster than both. nil if there
// is none.
func (r result) floor() *entry {
	var most *entry
	for _, name := range []string{drainFloor, diskEntry} {
		if e := r.find(name); e.counts() && (most == nil || e.median() > most.median()) {
			most = e
		}
	}
	return most
}

// best is the fastest of the peers, nil if there is none.
func (r result) best() *entry {
	var there []*entry
	for _, e := range r.entries {
		if e.counts() && e.name != drainFloor && e.name != diskEntry && e.name != subject {
			there = append(there, e)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return slices.MinFunc(there, func(a, b *entry) int { return cmp.Compare(a.median(), b.median()) })
}
