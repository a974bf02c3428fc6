package plan_test

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// A large maildrop that vanishes at once, or comes back, must not make one
// transaction of all its ids.
func TestLargeMaildropThatVanishesIsAgedInParts(t *testing.T) {
	const all, most = 25_000, 10_000
	ids := make([]string, all)
	for i := range ids {
		ids[i] = fmt.Sprintf("u%05d", i)
	}
	gone := seen(50 * day)
	gone.Absent, gone.Absences, gone.Counted = noon.Add(-31*day), 4, noon.Add(-day)
	back := gone
	back.Absent, back.Absences, back.Counted = noon.Add(-time.Hour), 1, noon.Add(-time.Hour)
	for name, tt := range map[string]struct {
		was     state.Record
		listing *plan.Listing
		left    int // records at the end
		absent  bool
	}{
		"gone":          {seen(day), list(), all, true},
		"gone for long": {gone, list(), 0, true},
		"back":          {back, list(ids...), all, false},
	} {
		t.Run(name, func(t *testing.T) {
			known := records{}
			for _, id := range ids {
				known[id] = tt.was
			}
			for i, want := range []int{most, most, all - 2*most, 0} {
				todo := plan.New(tt.listing, known.sorted, plan.Policy{}, at(noon), nil)
				if got := len(todo.Aged) + len(todo.Forget); got != want {
					t.Errorf("poll %d changes %d records, want %d", i+1, got, want)
				}
				if todo.Seen != tt.listing.Len() {
					t.Errorf("poll %d: %v", i+1, todo)
				}
				known.store(todo)
			}
			if len(known) != tt.left {
				t.Errorf("%d records are left, want %d", len(known), tt.left)
			}
			for id, r := range known {
				if r.Absent.IsZero() == tt.absent {
					t.Fatalf("%s: %+v", id, r)
				}
			}
		})
	}
}

// A million unique-ids (a tenth of them outside the long tests), all of them seen,
// are planned in linear time (well within a minute on any machine) and in bounded
// memory.
func TestPlanOfAMillionIDsIsFastAndSmall(t *testing.T) {
	ids := 100_000
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		ids = 1_000_000
	}
	store, err := state.File{Path: filepath.Join(t.TempDir(), "state.db")}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	drop := store.Maildrop("me@pop.example.org")
	listing := new(plan.Listing)
	for i := 0; i < ids; i += 10_000 {
		var entries []state.Entry
		for n := i; n < i+10_000; n++ {
			m := plan.Listed{Num: n + 1, ID: fmt.Sprintf("%016x%08x", n, n), Octets: 1000}
			listing.Add(m)
			entries = append(entries, state.Entry{ID: m.ID, Record: state.Record{Delivered: noon, Octets: 1000}})
		}
		if err := drop.Commit(state.Change{Put: entries}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	var todo plan.Plan
	if err := drop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		todo = plan.New(listing, known, plan.Policy{}, at(noon.Add(time.Hour)), nil)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if todo.Seen != ids || todo.Retrieve.Len() != 0 {
		t.Errorf("seen %d, to retrieve %d", todo.Seen, todo.Retrieve.Len())
	}
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%v, %d MiB", took, grown>>20)
	if took > time.Minute || grown > 16<<20 {
		t.Errorf("it took %v and %d MiB", took, grown>>20)
	}
}
