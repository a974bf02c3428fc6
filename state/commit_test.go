package state

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
)

// bbolt syncs each commit, and the file when it grows, unless it is told not to.
func TestStoreIsNeverOpenWithoutSyncs(t *testing.T) {
	path, _ := wasteful(t, 500)
	made, compacted := mustOpen(t, newPath(t)), mustOpen(t, path)
	if compacted.Compaction().After == 0 {
		t.Fatal("nothing was compacted")
	}
	for what, s := range map[string]*Bolt{"made": made, "compacted": compacted} {
		for range 2 {
			if s.db.NoSync || s.db.NoGrowSync || s.db.NoFreelistSync {
				t.Errorf("%s: NoSync %v, NoGrowSync %v, NoFreelistSync %v", what, s.db.NoSync, s.db.NoGrowSync, s.db.NoFreelistSync)
			}
			path := s.path
			mustClose(t, s)
			s = mustOpen(t, path)
		}
	}
}

// The file goes through splits, merges and a long list of free pages.
func TestNothingIsLostWhenTheFileGrowsAndShrinks(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	m := s.Maildrop("me@host")
	model := contents{}
	do := func(c Change) {
		t.Helper()
		mustCommit(t, m, c)
		model.apply("me@host", c)
	}
	all := entries(0, 20_000)
	for len(all) > 0 {
		do(Change{Put: all[:4000]})
		all = all[4000:]
	}
	mustClose(t, s)
	s = mustOpen(t, path)
	m = s.Maildrop("me@host")
	wantContents(t, s, model)
	for from := 0; from < 20_000; from += 4000 {
		var c Change
		for _, e := range entries(from, from+4000) {
			c.Forget = append(c.Forget, e.ID)
		}
		do(c)
	}
	mustClose(t, s)
	s = mustOpen(t, path)
	wantContents(t, s, contents{})
	if keys, err := s.Keys(); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}

// The test holds the lock of the writer until ten changes wait for it.
func TestWaitingCommitsShareATransaction(t *testing.T) {
	s := mustOpen(t, newPath(t))
	const n = 10
	before := txid(t, s)
	s.writer.Lock()
	errs := make(chan error, n)
	for i := range n {
		go func() {
			errs <- s.Maildrop(fmt.Sprintf("user%d@host", i%3)).Commit(Change{Put: entries(i, i+1)})
		}()
	}
	until(s, func() bool { return len(s.queue) == n })
	s.writer.Unlock()
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if got := txid(t, s) - before; got != 1 {
		t.Errorf("%d transactions for %d waiting changes", got, n)
	}
	want := contents{}
	for i := range n {
		want.apply(fmt.Sprintf("user%d@host", i%3), Change{Put: entries(i, i+1)})
	}
	wantContents(t, s, want)
}

func txid(t *testing.T, s *Bolt) int {
	t.Helper()
	tx, err := s.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	return tx.ID()
}

func TestCloseWaitsForACommit(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	s.writer.Lock()
	committed, closed := make(chan error, 1), make(chan error, 1)
	go func() { committed <- s.Maildrop("me@host").Commit(Change{Put: entries(0, 3)}) }()
	until(s, func() bool { return len(s.queue) == 1 })
	go func() { closed <- s.Close() }()
	until(s, func() bool { return s.closed })
	for range 10_000 {
		select {
		case <-closed:
			t.Fatal("closed while a commit waits")
		default:
			runtime.Gosched()
		}
	}
	s.writer.Unlock()
	if err := errors.Join(<-committed, <-closed); err != nil {
		t.Fatal(err)
	}
	want := contents{}
	want.apply("me@host", Change{Put: entries(0, 3)})
	wantContents(t, mustOpen(t, path), want)
}

// until waits until done, which reads what s.mu guards, returns true.
func until(s *Bolt, done func() bool) {
	for {
		s.mu.Lock()
		ok := done()
		s.mu.Unlock()
		if ok {
			return
		}
		runtime.Gosched()
	}
}

func TestNothingIsReadOrWrittenAfterAFailedCommit(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	m := s.Maildrop("me@host")
	mustCommit(t, m, Change{Put: entries(0, 3)})
	want := mustRead(t, s)
	if err := s.file.Close(); err != nil { // the next write fails, as on a broken disk
		t.Fatal(err)
	}
	first := m.Commit(Change{Put: entries(3, 4)})
	if first == nil || errors.Is(first, ErrDamaged) {
		t.Fatalf("commit: %v", first)
	}
	_, readErr := read(s)
	for what, err := range map[string]error{
		"commit": m.Commit(Change{Put: entries(4, 5)}), "another maildrop": s.Maildrop("x").Commit(Change{Put: entries(4, 5)}), "read": readErr,
	} {
		if err != first {
			t.Errorf("%s after a failed commit: %v", what, err)
		}
	}
	_ = s.Close()
	wantContents(t, mustOpen(t, path), want)
}

// A record that only the descriptor of this process leads to is lost when it ends.
func TestNothingIsRecordedInAFileThatWasRemovedOrReplaced(t *testing.T) {
	for what, spoil := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".away"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := newPath(t)
			s := mustOpen(t, path)
			m := s.Maildrop("me@host")
			mustCommit(t, m, Change{Put: entries(0, 3)})
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			if err := m.Commit(Change{Put: entries(3, 6)}); !errors.Is(err, ErrGone) {
				t.Errorf("got %v, want ErrGone", err)
			}
		})
	}
}
