package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"popfetch/internal/durable"
)

func TestCompactedFileHoldsTheSame(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	m := s.Maildrop("me@host")
	mustCommit(t, m, Change{Put: entries(0, 5000)})
	var c Change
	for _, e := range entries(100, 5000) {
		c.Forget = append(c.Forget, e.ID)
	}
	mustCommit(t, m, c)
	put := entries(6000, 6010)
	put[3].Intent = &Intent{Kind: "maildir", Note: "x"}
	mustCommit(t, s.Maildrop("you@host"), Change{Put: put})
	want, id := mustRead(t, s), s.ID()
	if _, _, err := fileAt(path).Compact(); !errors.Is(err, ErrLocked) {
		t.Errorf("a store in use: %v", err)
	}
	mustClose(t, s)

	before, after, err := fileAt(path).Compact()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if after*4 > before || info.Size() != after || info.Mode() != 0o600 {
		t.Errorf("from %d to %d octets; %d of mode %v on the disk", before, after, info.Size(), info.Mode())
	}
	s = mustOpen(t, path)
	wantContents(t, s, want)
	if s.ID() != id {
		t.Error("the id has changed")
	}
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 10)})
	if left, _ := filepath.Glob(path + ".new-*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A compacted file is written without a sync, and synced once at the end. Here the file
// is closed after the last write, so that this sync cannot succeed.
func TestCompactedFileIsSyncedAfterItsLastWrite(t *testing.T) {
	f, err := durable.Create(newName(newPath(t)))
	if err != nil {
		t.Fatal(err)
	}
	err = fill(f, func(db *bbolt.DB) error {
		db.NoSync = true
		return errors.Join(db.Update(writeMeta), f.Close())
	})
	if failed, ok := errors.AsType[*fs.PathError](err); !ok || failed.Op != "sync" || failed.Path != f.Name() {
		t.Errorf("%v, want the error of a sync", err)
	}
}

func TestCompactLeavesADamagedOrMissingFile(t *testing.T) {
	path := newPath(t)
	if _, _, err := fileAt(path).Compact(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("made %v", left)
	}
	data, _, _ := sampleFile(t)
	at := recordOffset(t, data)
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fileAt(path).Compact(); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), ".new-") {
		t.Errorf("a record that does not match its checksum: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(data) {
		t.Errorf("a damaged file was changed (%v)", err)
	}
}

// wasteful makes a store of more than 8 MiB, most of which is free.
func wasteful(t testing.TB, left int) (path string, holds contents) {
	t.Helper()
	path = newPath(t)
	s := mustOpen(t, path)
	m := s.Maildrop("me@host")
	put := entries(0, 24_000)
	for i := range put {
		put[i].Record.Reason = strings.Repeat("x", 400)
	}
	mustCommit(t, m, Change{Put: put})
	var c Change
	for _, e := range put[left:] {
		c.Forget = append(c.Forget, e.ID)
	}
	mustCommit(t, m, c)
	mustCommit(t, s.Maildrop("you@host"), stepChange(0))
	holds = mustRead(t, s)
	mustClose(t, s)
	return path, holds
}

func TestOpenCompactsAFileThatIsMostlyFree(t *testing.T) {
	path, want := wasteful(t, 500)
	before, err := fileAt(path).Check()
	if err != nil || before.Free < 0.5 || before.Octets < compactFrom {
		t.Fatalf("%+v, %v", before, err)
	}
	s, err := fileAt(path).OpenView()
	if err != nil || s.Compaction() != (Compaction{}) {
		t.Fatalf("OpenView: %+v, %v", s.Compaction(), err)
	}
	mustClose(t, s)
	s = mustOpen(t, path)
	wantContents(t, s, want)
	c := s.Compaction()
	if c.Err != nil || c.Before != before.Octets || c.After > c.Before/4 || s.ID() != before.ID {
		t.Errorf("%+v", c)
	}
	mustCommit(t, s.Maildrop("you@host"), stepChange(1))
	mustClose(t, s)
	if after, err := fileAt(path).Check(); err != nil || after.Octets != c.After || after.Free > 0.5 {
		t.Errorf("%+v, %v", after, err)
	}
	if s := mustOpen(t, path); s.Compaction() != (Compaction{}) {
		t.Errorf("again: %+v", s.Compaction())
	}
	wantNoLeftovers(t, path)
}

func TestOpenDoesNotCompactWithoutNeed(t *testing.T) {
	path, _ := wasteful(t, 20_000)
	if s := mustOpen(t, path); s.Compaction() != (Compaction{}) {
		t.Errorf("little is free: %+v", s.Compaction())
	}
	for _, u := range []usage{
		{page: 4096, pages: 2048, free: 2000},
		{page: 4096, pages: 3000, free: 1500},
		{page: 16384, pages: 512, free: 500},
	} {
		if u.wasteful() {
			t.Errorf("%+v", u)
		}
		u.pages, u.free = u.pages+1, u.free+1
		if !u.wasteful() {
			t.Errorf("%+v", u)
		}
	}
}

func TestOpenGoesOnWhereItCannotCompact(t *testing.T) {
	path, _ := wasteful(t, 500)
	flipRecord(t, path, entries(400, 401)[0].ID)
	before := mustReadFile(t, path)
	s := mustOpen(t, path)
	if c := s.Compaction(); !errors.Is(c.Err, ErrDamaged) || c.Before+c.After != 0 {
		t.Errorf("%+v", c)
	}
	if mustReadFile(t, path) != before {
		t.Error("the file has changed")
	}
	wantNoLeftovers(t, path)
	mustCommit(t, s.Maildrop("you@host"), stepChange(1))
}
