package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheckCounts(t *testing.T) {
	path, _, present := yesterday(t)
	if err := os.Chtimes(path+snapshotSuffix, time.Time{}, time.Unix(1_700_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path)
	again := Entry{ID: "delivered at the second attempt", Record: sample(1)}
	again.Record.Failures = 1
	mustCommit(t, s.Maildrop("you@host"), Change{Put: []Entry{again}})
	present.apply("you@host", Change{Put: []Entry{again}})
	id := s.ID()
	mustClose(t, s)
	want := Report{ID: id, Maildrops: 2, Snapshot: time.Unix(1_700_000_000, 0)}
	for _, drop := range present {
		for _, k := range drop {
			want.IDs++
			if k.Intent != nil {
				want.Intents++
			}
			if k.Record.Failures > 0 && !k.Record.Seen() {
				want.Failures++
			}
		}
	}
	before := mustReadFile(t, path)
	want.Octets = int64(len(before))
	got, err := fileAt(path).Check()
	if err != nil {
		t.Fatal(err)
	}
	if got.Free <= 0 || got.Free >= 1 || want.Intents == 0 || want.Failures == 0 {
		t.Errorf("free %v of %+v", got.Free, want)
	}
	got.Free = 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if mustReadFile(t, path) != before {
		t.Error("the file has changed")
	}
	if err := os.Remove(path + snapshotSuffix); err != nil {
		t.Fatal(err)
	}
	if got, err := fileAt(path).Check(); err != nil || !got.Snapshot.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCheckFindsADamagedRecord(t *testing.T) {
	path, _, _ := yesterday(t)
	s := mustOpen(t, path)
	if _, err := fileAt(path).Check(); !errors.Is(err, ErrLocked) {
		t.Errorf("in use: %v", err)
	}
	mustClose(t, s)
	id := entries(400, 401)[0].ID
	flipRecord(t, path, id)
	r, err := fileAt(path).Check()
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), "popfetch state restore") || r != (Report{}) {
		t.Errorf("%+v, %v", r, err)
	}
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	_, want := fileAt(path).Open()
	if _, err := fileAt(path).Check(); err == nil || err.Error() != want.Error() {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestCheckOfAMissingFileMakesNothing(t *testing.T) {
	path := newPath(t)
	if _, err := fileAt(path).Check(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if made, _ := filepath.Glob(path + "*"); len(made) > 0 {
		t.Errorf("made %v", made)
	}
}
