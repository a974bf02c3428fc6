package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/fetch"
	"popfetch/state"
)

const (
	day = 24 * time.Hour
	// lifetime is how long the daemon runs between two restarts.
	lifetime = 14 * day
)

// measure is what must not grow.
type measure struct{ heap, goroutines, files, state, incidents int }

func (l *life) measure(t *testing.T, path string) measure {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		fds = nil // not Linux
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return measure{int(m.HeapAlloc), runtime.NumGoroutine(), len(fds), int(fi.Size()), len(l.incidents)}
}

func TestDaemonThatRunsForAYearDoesNotGrow(t *testing.T) {
	lives, each := 3, 1 // accounts of each kind
	if os.Getenv("POPFETCH_SOAK") != "" {
		lives, each = 26, 4
	}
	path := filepath.Join(t.TempDir(), "state.db")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var all []measure
		t.Logf("%8s %8s %8s %8s %8s %10s %6s %6s %10s", "days", "polls", "failed", "messages", "told", "heap KiB", "gorout", "files", "state KiB")
		for range lives {
			m := w.live(t, path, each)
			all = append(all, m)
			told := 0
			for _, n := range w.told {
				told += n
			}
			t.Logf("%8d %8d %8d %8d %8d %10d %6d %6d %10d", int(time.Since(w.began)/day), w.polls, w.failed, len(w.taken), told, m.heap>>10, m.goroutines, m.files, m.state>>10)
		}
		w.check(t, each, lives)
		// Records of deleted messages are forgotten after a month: two lives.
		first, last := all[min(2, lives-2)], all[lives-1]
		// The world itself remembers each message, some 200 octets.
		if grown := last.heap - first.heap - 300*len(w.taken); grown > 2<<20 {
			t.Errorf("the heap has grown by %d KiB", grown>>10)
		}
		if last.goroutines > first.goroutines || last.files > first.files || last.state > first.state*3/2 || last.incidents > 4*each {
			t.Errorf("from %+v to %+v", first, last)
		}
	})
}

// live is one life of the daemon. It returns the measure when the last poll has ended.
func (w *world) live(t *testing.T, path string, each int) measure {
	store, err := state.File{Path: path}.Open()
	if err != nil {
		t.Fatal(err)
	}
	l := &life{w: w, store: store}
	if l.incidents, err = store.Incidents(); err != nil {
		t.Fatal(err)
	}
	var accounts []*fetch.Account
	var names []string
	for k := range kinds {
		for i := range each {
			a := w.account(fmt.Sprintf("%v%d", k, i), k, store)
			if open, ok := l.incidents[a.Key]; ok {
				a.Failures, a.Next = open.Failures, open.Next
			}
			accounts, names = append(accounts, a), append(names, a.Name)
		}
	}
	s := &fetch.Scheduler{Accounts: accounts, Parallel: 8, PerHost: 4, Spare: 4, Done: l.report, Wall: w.wall, Reopen: store.Reopen}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Loop(ctx) }()
	for d := range int(lifetime / day) {
		w.post(names)
		time.Sleep(day / 2)
		switch d % 7 {
		case 1: // one is changed, one leaves for an hour
			accounts = slices.Clone(accounts)
			accounts[d%len(accounts)] = w.account(names[d%len(names)], kind(d%len(names)/each), store)
			s.SetAccounts(accounts[1:])
			time.Sleep(time.Hour)
			s.SetAccounts(accounts)
			time.Sleep(-time.Hour + day/2)
			continue
		case 3: // the machine sleeps
			w.set(8 * time.Hour)
		case 5: // the clock is set back
			w.set(-time.Hour)
		case 6:
			if err := s.Poll(ctx, nil, func(fetch.Report) {}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(day / 2)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.sessions.Wait()
	synctest.Wait()
	m := l.measure(t, path)
	runtime.KeepAlive(s)
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	return m
}

// check compares what has happened with what was promised.
func (w *world) check(t *testing.T, each, lives int) {
	days := lives * int(lifetime/day)
	for text, n := range w.taken {
		if n != 1 {
			t.Errorf("%d copies of %q", n, text)
		}
	}
	for k := range kinds {
		for i := range each {
			name := fmt.Sprintf("%v%d", k, i)
			left, told := len(w.mail[name]), w.told[name]
			mayBeLeft := map[kind]int{dead: days, locked: 9}[k]
			if left > max(mayBeLeft, 1) {
				t.Errorf("%s: %d messages were not fetched", name, left)
			}
			// Suspends make the wall clock gain a day for each third of a month.
			wall := days + int(w.ahead/day) + 1
			most := map[kind]int{nightly: 2 * (days/3 + 1), nameless: 2 * (days + 1), locked: 9 * (days/30 + 1), dead: wall + 1}[k]
			if told > most {
				t.Errorf("%s: told of %d times, want at most %d", name, told, most)
			}
			if k != healthy && k != slow && told == 0 {
				t.Errorf("%s: never told of", name)
			}
		}
	}
	if least := days * 24 * each * 2; w.polls < least {
		t.Errorf("%d polls, want at least %d", w.polls, least)
	}
}
