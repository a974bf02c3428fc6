package state

import (
	"errors"
	"os"
	"sync"
	"testing"
)

// breakFile makes the next commit fail, as a broken or full disk does.
func breakFile(t *testing.T, s *Bolt) {
	t.Helper()
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Maildrop("me@host").Commit(Change{Put: entries(90, 91)}); err == nil {
		t.Fatal("the commit went well")
	}
}

func TestStoreIsUsableAgainAfterAFailedCommit(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	m := s.Maildrop("me@host")
	mustCommit(t, m, Change{Put: entries(0, 3)})
	want := mustRead(t, s)
	id := s.ID()
	for range 2 {
		breakFile(t, s)
		if err := s.Reopen(); err != nil {
			t.Fatal(err)
		}
		wantContents(t, s, want)
		c := Change{Put: entries(3, 6)}
		mustCommit(t, m, c)
		want.apply("me@host", c)
		if s.ID() != id {
			t.Error("another id")
		}
	}
	if err := s.Reopen(); err != nil {
		t.Errorf("a store that has not failed: %v", err)
	}
	mustClose(t, s)
	if err := s.Reopen(); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
	wantContents(t, mustOpen(t, path), want)
}

func TestReopenKeepsTheLock(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	breakFile(t, s)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); !errors.Is(err, ErrGone) {
		t.Errorf("without the file: %v", err)
	}
	if _, err := (File{Path: path}).Open(); !errors.Is(err, ErrLocked) {
		t.Errorf("another store is opened: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := (File{Path: path}).Open(); !errors.Is(err, ErrLocked) {
		t.Errorf("another store is opened: %v", err)
	}
	mustClose(t, s)
	mustOpen(t, path)
}

// Without its records everything would be delivered again.
func TestReopenNeverStartsWithAnEmptyFile(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	breakFile(t, s)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); !errors.Is(err, ErrGone) {
		t.Errorf("without the file: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file was made: %v", err)
	}
	other := newPath(t)
	mustClose(t, mustOpen(t, other))
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); !errors.Is(err, ErrGone) {
		t.Errorf("with another file: %v", err)
	}
	if _, err := read(s); err == nil {
		t.Error("the other file is used")
	}
	mustClose(t, s)
}

func TestReopenWhileOthersReadAndClose(t *testing.T) {
	s := mustOpen(t, newPath(t))
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 3)})
	breakFile(t, s)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { _, _ = read(s) })
		all.Go(func() { _ = s.Reopen() })
	}
	all.Go(func() { _ = s.Close() })
	all.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, s.path)
}
