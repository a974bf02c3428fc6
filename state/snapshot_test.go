package state

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const day = 24 * time.Hour

func mustSnapshot(t testing.TB, s *Bolt, now time.Time, want bool) {
	t.Helper()
	if made, err := s.Snapshot(now); err != nil || made != want {
		t.Fatalf("made %v, %v; want %v", made, err, want)
	}
}

// readCopy reads a copy of a store.
func readCopy(t testing.TB, path string) contents {
	t.Helper()
	c, _, err := openCopy(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.closeFile()
	return mustRead(t, c)
}

func wantNoLeftovers(t testing.TB, path string) {
	t.Helper()
	if left, _ := filepath.Glob(path + "*.new-*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func mustReadFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// flipRecord damages the record of one id in the file, also in old pages.
func flipRecord(t testing.TB, path, id string) {
	t.Helper()
	data := []byte(mustReadFile(t, path))
	start := append([]byte(id), recordVersion)
	found := bytes.Count(data, start)
	if found == 0 {
		t.Fatalf("no record of %q in %s", id, path)
	}
	for rest := data; found > 0; found-- {
		rest = rest[bytes.Index(rest, start)+len(start):]
		rest[2] ^= 1
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotOnceADayAndOnlyOfChanges(t *testing.T) {
	path := newPath(t)
	bak, now := path+snapshotSuffix, time.Now()
	s := mustOpen(t, path)
	m := s.Maildrop("me@host")
	mustCommit(t, m, Change{Put: entries(0, 500)})
	first := mustRead(t, s)
	mustSnapshot(t, s, now, true)
	before, err := os.Lstat(bak)
	if err != nil || before.Mode() != 0o600 {
		t.Fatalf("%v, %v", before.Mode(), err)
	}
	unchanged := func(why string) {
		t.Helper()
		after, err := os.Lstat(bak)
		if err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("%s: the snapshot was written again (%v)", why, err)
		}
	}
	mustSnapshot(t, s, now.Add(2*day), false)
	unchanged("without a commit")
	mustClose(t, s)
	s = mustOpen(t, path)
	mustSnapshot(t, s, now.Add(2*day), false)
	unchanged("without a commit, opened again")

	mustCommit(t, s.Maildrop("you@host"), Change{Put: entries(500, 900)})
	mustSnapshot(t, s, now.Add(day-time.Minute), false)
	unchanged("on the same day")
	if diff := readCopy(t, bak); !diff.equal(first) {
		t.Error("the snapshot is not what the store was")
	}
	mustSnapshot(t, s, now.Add(day+time.Minute), true)
	if !readCopy(t, bak).equal(mustRead(t, s)) {
		t.Error("the second snapshot is not what the store is")
	}
	mustCommit(t, s.Maildrop("me@host"), Change{Forget: []string{entries(0, 1)[0].ID}})
	mustSnapshot(t, s, now.Add(-time.Hour), true) // the clock was set back
	wantNoLeftovers(t, path)
}

// A compaction begins to number the commits anew, so equal numbers prove nothing.
func TestSnapshotIsMadeAfterACompaction(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 10)})
	mustSnapshot(t, s, time.Now(), true)
	mustClose(t, s)
	if _, _, err := fileAt(path).Compact(); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	// A snapshot that has the same numbers by chance.
	data := mustReadFile(t, path)
	m, err := findMeta(strings.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	data = data[:int64(m.pages)*m.pageSize]
	if err := os.WriteFile(path+snapshotSuffix, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	mustSnapshot(t, s, time.Now().Add(2*day), true)
	if err := os.Chtimes(path, later.Add(-day), later.Add(-day)); err != nil {
		t.Fatal(err)
	}
	mustSnapshot(t, s, time.Now().Add(2*day), false)
}

func TestSnapshotBesideCommitsIsOfOneMoment(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustCommit(t, s.Maildrop("me@host"), stepChange(0))
	const steps = 150
	done := make(chan error)
	go func() {
		var err error
		for n := 1; n < steps && err == nil; n++ {
			err = s.Maildrop("me@host").Commit(stepChange(n))
		}
		done <- err
	}()
	rounds, over := 0, false
	for !over {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			over = true
		default:
		}
		if _, err := s.Snapshot(time.Now().Add(2 * day)); err != nil {
			t.Fatal(err)
		}
		got := readCopy(t, path+snapshotSuffix)
		if n := len(got["me@host"]) / 10; !got.equal(afterSteps(n)) {
			t.Errorf("the snapshot is not what the store was after %d commits", n)
		}
		rounds++
	}
	t.Logf("%d snapshots", rounds)
	if !readCopy(t, path+snapshotSuffix).equal(afterSteps(steps)) {
		t.Error("the last snapshot is not what the store is")
	}
}

func TestSnapshotNeverReplacesAGoodOneWithDamage(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 100)})
	mustSnapshot(t, s, time.Now(), true)
	good := mustReadFile(t, path+snapshotSuffix)
	mustCommit(t, s.Maildrop("you@host"), Change{Put: entries(200, 300)})
	mustClose(t, s)
	flipRecord(t, path, entries(0, 1)[0].ID)
	s = mustOpen(t, path)
	for range 2 {
		made, err := s.Snapshot(time.Now().Add(2 * day))
		if made || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("made %v, %v", made, err)
		}
	}
	if mustReadFile(t, path+snapshotSuffix) != good {
		t.Error("the good snapshot was replaced")
	}
	wantNoLeftovers(t, path)
	mustCommit(t, s.Maildrop("you@host"), Change{Put: entries(300, 301)}) // the store has not failed
}

func TestSnapshotOfAnotherStoreIsKept(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 100)})
	want, id := mustRead(t, s), s.ID()
	mustSnapshot(t, s, time.Now(), true)
	mustClose(t, s)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := fileAt(path).Open(); !errors.Is(err, ErrLost) {
		t.Fatalf("the store is gone and its snapshot is there: %v", err)
	}
	aside := path + ".aside"
	if err := os.Rename(path+snapshotSuffix, aside); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	if err := os.Rename(aside, path+snapshotSuffix); err != nil {
		t.Fatal(err)
	}
	mustSnapshot(t, s, time.Now().Add(2*day), true)
	if !readCopy(t, path+snapshotSuffix+"-"+id).equal(want) {
		t.Error("the snapshot of the store that is gone was lost")
	}
	if got := readCopy(t, path+snapshotSuffix); len(got) > 0 {
		t.Errorf("the snapshot of the new store holds %v", got)
	}
}

func TestSnapshotReplacesOneThatCannotBeRead(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 100)})
	for _, bad := range []string{"", "garbage", mustReadFile(t, path)[:5000]} {
		if err := os.WriteFile(path+snapshotSuffix, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		mustSnapshot(t, s, time.Now().Add(2*day), true)
		if !readCopy(t, path+snapshotSuffix).equal(mustRead(t, s)) {
			t.Error("the snapshot is not what the store is")
		}
	}
}

func TestSnapshotReplacesNothingThatIsNotAFile(t *testing.T) {
	for words, put := range map[string]func(bak string) error{
		"a symbolic link":   func(p string) error { return os.Symlink("elsewhere", p) },
		"a directory":       func(p string) error { return os.Mkdir(p, 0o700) },
		"others can change": func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o666)) },
	} {
		path := newPath(t)
		s := mustOpen(t, path)
		if err := put(path + snapshotSuffix); err != nil {
			t.Fatal(err)
		}
		if made, err := s.Snapshot(time.Now().Add(2 * day)); made || err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("made %v, %v; want %q", made, err, words)
		}
		wantNoLeftovers(t, path)
		mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 1)})
		mustClose(t, s)
		if _, err := s.Snapshot(time.Now()); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		s, err := fileAt(path).OpenView()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Snapshot(time.Now()); !errors.Is(err, ErrReadOnly) {
			t.Errorf("read only: %v", err)
		}
		mustClose(t, s)
	}
	missing, err := fileAt(newPath(t)).OpenView()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := missing.Snapshot(time.Now()); !errors.Is(err, ErrReadOnly) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestSnapshotsAtTheSameTimeMakeOne(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 1000)})
	const calls = 8
	made := make(chan bool)
	for range calls {
		go func() {
			ok, err := s.Snapshot(time.Now())
			if err != nil {
				t.Error(err)
			}
			made <- ok
		}()
	}
	n := 0
	for range calls {
		if <-made {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d snapshots", n)
	}
}
