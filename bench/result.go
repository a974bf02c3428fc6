//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// The floors and popfetch, by the names of their entries.
const (
	drainFloor = "drain"
	diskEntry  = "disk"
	bothEntry  = "both" // floors at the same time
	subject    = "popfetch"
)

// report is the result of a run of the benchmark.
type report struct {
	About   []string // machine and versions
	Results []result
}

// readReport reads a file of save.
func readReport(file string) (report, error) {
	var r report
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return r, err
}

// save writes the report into a file.
func (r report) save(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// result is what came of one scenario.
type result struct {
	Scenario string
	Messages int // to be delivered in each run
	Entries  []*entry
}

// entry holds the figures of one contender in one scenario.
type entry struct {
	Name       string
	Seconds    []float64 `json:",omitempty"` // of each run
	RSS        int64     `json:",omitempty"` // KiB, the largest of all runs; 0 = not measured
	RoundTrips int       `json:",omitempty"` // of the last run; 0 = not known
	Syncs      *int      `json:",omitempty"` // of a run under strace that was not timed; nil = there was none
	Once       bool      `json:",omitempty"` // too slow to run more than once
	Over       float64   `json:",omitempty"` // seconds after which a run was cut off; 0 = none was
	Failed     string    `json:",omitempty"` // why a run failed; "" = none did
}

// counts reports whether the entry has a time to compare.
func (e *entry) counts() bool {
	return e != nil && len(e.Seconds) > 0 && e.Over == 0 && e.Failed == ""
}

// median returns the median time; of an even number, the mean of the middle two.
func (e *entry) median() float64 {
	s := slices.Sorted(slices.Values(e.Seconds))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// span returns the shortest and the longest time.
func (e *entry) span() (least, most float64) {
	return slices.Min(e.Seconds), slices.Max(e.Seconds)
}

// find returns the entry of a name, nil if there is none.
func (r result) find(name string) *entry {
	i := slices.IndexFunc(r.Entries, func(e *entry) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return r.Entries[i]
}

// floor returns the slower floor, which no contender can beat; nil if there is none.
func (r result) floor() *entry {
	var most *entry
	for _, name := range []string{drainFloor, diskEntry} {
		if e := r.find(name); e.counts() && (most == nil || e.median() > most.median()) {
			most = e
		}
	}
	return most
}

// best returns the fastest peer that is not named; nil if there is none.
func (r result) best(but ...string) *entry {
	var there []*entry
	for _, e := range r.Entries {
		if e.counts() && isPeer(e.Name) && !slices.Contains(but, e.Name) {
			there = append(there, e)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return slices.MinFunc(there, func(a, b *entry) int { return cmp.Compare(a.median(), b.median()) })
}

func isPeer(name string) bool {
	return !slices.Contains([]string{drainFloor, diskEntry, bothEntry, subject}, name)
}

// syncsPerMessage returns the syncs of popfetch for each message, or those of the whole run if
// no message was to be delivered.
func (r result) syncsPerMessage() (float64, bool) {
	e := r.find(subject)
	if e == nil || e.Syncs == nil {
		return 0, false
	}
	return float64(*e.Syncs) / float64(max(1, r.Messages)), true
}
