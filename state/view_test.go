package state

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// idsOf returns the ids of a maildrop.
func idsOf(t *testing.T, s *Bolt, key string) (ids []string) {
	t.Helper()
	err := s.Maildrop(key).Scan(func(known iter.Seq2[[]byte, Record]) error {
		for id := range known {
			ids = append(ids, string(id))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// filesBeside returns the names in the directory of a state file.
func filesBeside(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A reader that takes long, such as list during its sessions, keeps nobody out.
func TestViewLeavesTheFileToOthers(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	if err := s.Maildrop("me@host").Commit(Change{Put: entries(0, 10)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := filesBeside(t, path)
	view, err := fileAt(path).OpenView()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	if after := filesBeside(t, path); !slices.Equal(before, after) {
		t.Errorf("a view leaves %q, there was %q", after, before)
	}
	s = mustOpen(t, path) // under the same lock
	defer s.Close()
	if err := s.Maildrop("me@host").Commit(Change{Put: entries(10, 1000)}); err != nil {
		t.Fatal(err)
	}
	if n := len(idsOf(t, view, "me@host")); n != 10 {
		t.Errorf("the view shows %d ids, want the 10 of its moment", n)
	}
	if err := view.Maildrop("me@host").Commit(Change{Begin: true}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Commit to a view: %v", err)
	}
	if _, err := fileAt(path).OpenView(); !errors.Is(err, ErrLocked) {
		t.Errorf("OpenView beside an open store: %v", err)
	}
}

func TestCopyOfAnOpenStoreIsReadBesideIt(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	defer s.Close()
	if err := s.Maildrop("me@host").Commit(Change{Put: entries(0, 1000)}); err != nil {
		t.Fatal(err)
	}
	before := filesBeside(t, path)
	name, err := s.Copy()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Maildrop("me@host").Commit(Change{Put: entries(1000, 3000)}); err != nil {
		t.Fatal(err)
	}
	view, err := fileAt(path).OpenCopy(filepath.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	r, err := view.Check()
	if err != nil || r.IDs != 1000 || view.ID() != s.ID() {
		t.Errorf("the copy has %+v, %v", r, err)
	}
	if after := filesBeside(t, path); !slices.Equal(before, after) {
		t.Errorf("the copy leaves %q, there was %q", after, before)
	}
}

// A full disk does not keep popfetch list from working.
func TestViewWithoutRoomForACopyKeepsTheLock(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	if err := errors.Join(s.Maildrop("me@host").Commit(Change{Put: entries(0, 10)}), s.Close()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	l, err := fileAt(path).lock()
	if err != nil {
		t.Fatal(err)
	}
	view, err := fileAt(path).viewUnder(l, filepath.Join(dir, "no such directory", "copy"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(idsOf(t, view, "me@host")); n != 10 {
		t.Errorf("the view shows %d ids", n)
	}
	if _, err := fileAt(path).Open(); !errors.Is(err, ErrLocked) {
		t.Errorf("Open beside the view: %v", err)
	}
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path).Close()
}
