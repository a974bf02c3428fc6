// Package statetest is what every Store has to pass: the promises of state.Store and
// state.Maildrop as tests.
package statetest

import (
	"testing"

	"popfetch/state"
)

// Run runs the tests. Each calls setup for its own, empty place.
// open makes the store there, or opens it again after a Close. What setup cleans up
// belongs to the t that it is given.
func Run(t *testing.T, setup func(t *testing.T) (open func() (state.Store, error))) {
	for _, test := range []struct {
		name string
		run  func(*fixture)
	}{
		{"a new store is empty", testNew},
		{"two stores have two ids", func(f *fixture) { testTwoStores(f, setup(f.T)) }},
		{"records come back as they were", testRecords},
		{"times are whole seconds in UTC", testTimes},
		{"a maildrop knows nothing of another", testOtherMaildrop},
		{"keys are sorted", testKeys},
		{"Begin creates a maildrop without ids", testBegin},
		{"an empty change creates nothing", testEmptyChange},
		{"a Put without an intent leaves the open one", testPutKeepsIntent},
		{"a Put with an intent replaces the open one", testPutReplacesIntent},
		{"Done ends an intent and leaves the record", testDone},
		{"Forget removes record and intent", testForget},
		{"Done and Forget of an unknown id", testUnknownID},
		{"the parts of a change are applied in order", testOrder},
		{"the last of several Puts of an id counts", testRepeatedPut},
		{"intents are sorted and have their records", testIntents},
		{"a record is read by its id", testGet},
		{"facts stay until others replace them", testFacts},
		{"an incident stays until it is over", testIncident},
		{"an invalid change writes nothing", testInvalid},
		{"the longest key and ids", testLimits},
		{"Scan gives each record once, sorted", testScan},
		{"Scan returns the error of its caller", testScanError},
		{"a sequence is over after its Scan", testScanOver},
		{"a panic goes through Scan", testScanPanic},
		{"writing behind an id changes no other", testScanAppend},
		{"what was read outlives the store", testOutlives},
		{"every call after Close returns ErrClosed", testClosed},
		{"Close waits for a Scan", testCloseWaits},
		{"commits and scans of many goroutines", testConcurrent},
		{"random changes", testRandom},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fixture{T: t, reach: setup(t)}
			f.open()
			t.Cleanup(func() { f.store.Close() })
			test.run(f)
		})
	}
}

// fixture is a store that is open, and the way to open it again.
type fixture struct {
	*testing.T
	reach func() (state.Store, error)
	store state.Store
}

func (f *fixture) open() {
	f.Helper()
	s, err := f.reach()
	if err != nil {
		f.Fatal(err)
	}
	f.store = s
}

// reopen closes the store and opens it again.
func (f *fixture) reopen() {
	f.Helper()
	if err := f.store.Close(); err != nil {
		f.Fatal(err)
	}
	f.open()
}

func (f *fixture) commit(key string, c state.Change) {
	f.Helper()
	if err := f.store.Maildrop(key).Commit(c); err != nil {
		f.Fatal(err)
	}
}

// want compares the store with what it should hold, then again after a reopen.
func (f *fixture) want(want contents) {
	f.Helper()
	for _, when := range []string{"", " after a reopen"} {
		if when != "" {
			f.reopen()
		}
		got, err := read(f.store)
		if err != nil {
			f.Fatal(err)
		}
		if diff := want.diff(got); diff != "" {
			f.Fatalf("contents%s:\n%s", when, diff)
		}
	}
}
