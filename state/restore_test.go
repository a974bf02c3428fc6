package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// yesterday makes a store with a snapshot, and commits more to the store. It returns what
// the snapshot and the store hold.
func yesterday(t testing.TB) (path string, snapshot, present contents) {
	t.Helper()
	path = newPath(t)
	s := mustOpen(t, path)
	mustCommit(t, s.Maildrop("me@host"), stepChange(0))
	mustCommit(t, s.Maildrop("you@host"), Change{Put: entries(400, 1000)})
	snapshot = mustRead(t, s)
	mustSnapshot(t, s, time.Now(), true)
	mustCommit(t, s.Maildrop("me@host"), stepChange(1))
	present = mustRead(t, s)
	mustClose(t, s)
	return path, snapshot, present
}

func TestRestoreBringsBackYesterday(t *testing.T) {
	path, snapshot, present := yesterday(t)
	made := time.Now().Add(-30 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path+snapshotSuffix, made, made); err != nil {
		t.Fatal(err)
	}
	r, err := fileAt(path).Restore(true)
	if err != nil || !r.From.Equal(made) || !strings.HasPrefix(r.Kept, path+".damaged-2") {
		t.Fatalf("%+v, %v", r, err)
	}
	if !readCopy(t, r.Kept).equal(present) {
		t.Error("the file that was there is not kept")
	}
	if !readCopy(t, path+snapshotSuffix).equal(snapshot) {
		t.Error("the snapshot has changed")
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	s := mustOpen(t, path)
	wantContents(t, s, snapshot)
	mustCommit(t, s.Maildrop("me@host"), stepChange(1))
	wantContents(t, s, present)
	mustClose(t, s)
	if !readCopy(t, path+snapshotSuffix).equal(snapshot) {
		t.Error("a commit has changed the snapshot")
	}
	again, err := fileAt(path).Restore(true)
	if err != nil || again.Kept == r.Kept {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	wantNoLeftovers(t, path)
}

func TestRestoreOverADamagedFileOrNone(t *testing.T) {
	path, snapshot, _ := yesterday(t)
	for _, damage := range []string{"", "garbage", mustReadFile(t, path)[:9000]} {
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := fileAt(path).Open(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "popfetch state restore") {
			t.Fatal(err)
		}
		r, err := fileAt(path).Restore(false)
		if err != nil {
			t.Fatal(err)
		}
		if mustReadFile(t, r.Kept) != damage {
			t.Error("the damaged file was changed")
		}
		s := mustOpen(t, path)
		wantContents(t, s, snapshot)
		mustClose(t, s)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if r, err := fileAt(path).Restore(false); err != nil || r.Kept != "" {
		t.Errorf("%+v, %v", r, err)
	}
	wantContents(t, mustOpen(t, path), snapshot)
	wantNoLeftovers(t, path)
}

func TestRestoreWithoutASnapshot(t *testing.T) {
	path := newPath(t)
	for range 2 {
		before, _ := filepath.Glob(path + "*")
		if _, err := fileAt(path).Restore(true); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there is no snapshot "+path+snapshotSuffix) {
			t.Error(err)
		}
		if after, _ := filepath.Glob(path + "*"); len(after) != len(before) {
			t.Errorf("the directory holds %v, held %v", after, before)
		}
		mustClose(t, mustOpen(t, path))
	}
}

func TestRestoreRefusesABadSnapshot(t *testing.T) {
	path, _, _ := yesterday(t)
	bak := path + snapshotSuffix
	good, present := mustReadFile(t, bak), mustReadFile(t, path)
	write := func(text string) func() error {
		return func() error { return os.WriteFile(bak, []byte(text), 0o600) }
	}
	for what, spoil := range map[string]func() error{
		"empty":           write(""),
		"garbage":         write(strings.Repeat("garbage ", 4000)),
		"cut":             write(good[:len(good)/2]),
		"cut by a page":   write(good[:len(good)-os.Getpagesize()]),
		"a record":        func() error { flipRecord(t, bak, entries(400, 401)[0].ID); return nil },
		"a symbolic link": func() error { return errors.Join(os.Remove(bak), os.Symlink(path, bak)) },
	} {
		if err := errors.Join(os.RemoveAll(bak), os.WriteFile(bak, []byte(good), 0o600), spoil()); err != nil {
			t.Fatal(err)
		}
		r, err := fileAt(path).Restore(true)
		if err == nil || r.Kept != "" || !strings.Contains(err.Error(), "the snapshot cannot be used") || !strings.Contains(err.Error(), bak) {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
		if what != "a symbolic link" && (!errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "popfetch state restore")) {
			t.Errorf("%s: %v", what, err)
		}
		if mustReadFile(t, path) != present {
			t.Errorf("%s: the file has changed", what)
		}
		if left, _ := filepath.Glob(path + ".*"); len(left) != 2 { // the snapshot and the lock
			t.Errorf("%s: the directory holds %v", what, left)
		}
	}
}

func TestRestoreReplacesNothingThatIsNotAFile(t *testing.T) {
	path, _, present := yesterday(t)
	s := mustOpen(t, path)
	if _, err := fileAt(path).Restore(true); !errors.Is(err, ErrLocked) {
		t.Errorf("a store in use: %v", err)
	}
	wantContents(t, s, present)
	mustClose(t, s)
	for words, put := range map[string]func() error{
		"a symbolic link": func() error { return os.Symlink(path+snapshotSuffix, path) },
		"a directory":     func() error { return os.Mkdir(path, 0o700) },
	} {
		if err := errors.Join(os.RemoveAll(path), put()); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Lstat(path)
		if _, err := fileAt(path).Restore(true); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was replaced (%v)", words, err)
		}
		wantNoLeftovers(t, path)
	}
}

// Restore checked the file while a run that was just ending held the lock, took ErrLocked
// for damage, and replaced the file when the run had ended.
func TestRestoreThatWaitsForARunLeavesAHealthyFile(t *testing.T) {
	path, _, present := yesterday(t)
	s := mustOpen(t, path)
	restored := make(chan error)
	go func() {
		_, err := File{Path: path, Wait: time.Hour}.Restore(false)
		restored <- err
	}()
	mustCommit(t, s.Maildrop("you@host"), stepChange(7))
	present.apply("you@host", stepChange(7))
	mustClose(t, s)
	err := <-restored
	ids := len(present["me@host"]) + len(present["you@host"])
	if healthy, ok := errors.AsType[*HealthyError](err); !ok || healthy.IDs != ids || healthy.Path != path {
		t.Errorf("%v, want a healthy file of %d ids", err, ids)
	}
	wantContents(t, mustOpen(t, path), present)
}

// Only damage and loss are reasons to replace a file. A file that cannot be read now, or
// not by this popfetch, may be in order.
func TestRestoreLeavesAFileThatItCannotJudge(t *testing.T) {
	for what, tt := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    func(error) bool
	}{
		"locked by another program": {func(t *testing.T, path string) {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			if err := flock(f, syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
		}, func(err error) bool { return errors.Is(err, ErrLocked) }},
		"of a newer popfetch": {func(t *testing.T, path string) {
			s := mustOpen(t, path)
			setFormat(t, s, formatVersion+1)
			mustClose(t, s)
		}, func(err error) bool { return errors.Is(err, ErrVersion) }},
		"of a wrong mode": {func(t *testing.T, path string) {
			if err := os.Chmod(path, 0o620); err != nil {
				t.Fatal(err)
			}
		}, func(err error) bool { return err != nil && strings.Contains(err.Error(), "others can change it") }},
	} {
		path, _, _ := yesterday(t)
		tt.prepare(t, path)
		before := mustReadFile(t, path)
		r, err := fileAt(path).Restore(false)
		if !tt.want(err) || errors.Is(err, ErrDamaged) || r != (Restored{}) {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
		if mustReadFile(t, path) != before {
			t.Errorf("%s: the file was replaced", what)
		}
	}
}
