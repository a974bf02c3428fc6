package state

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOpenMakesAStoreOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "state.db")
	s := mustOpen(t, path)
	id := s.ID()
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
		t.Errorf("id %q", id)
	}
	mustClose(t, s)
	if s := mustOpen(t, path); s.ID() != id {
		t.Errorf("id was %s, is %s", id, s.ID())
	}
	if s := mustOpen(t, newPath(t)); s.ID() == id {
		t.Error("two stores have one id")
	}
}

func TestModesDoNotDependOnTheUmask(t *testing.T) {
	for _, mask := range []int{0o000, 0o022, 0o077, 0o777} {
		dir := t.TempDir()
		old := syscall.Umask(mask)
		s, err := (File{Path: filepath.Join(dir, "a", "b", "state.db"), Wait: time.Second}).Open()
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
		for name, want := range map[string]fs.FileMode{
			"a": 0o700 | fs.ModeDir, "a/b": 0o700 | fs.ModeDir, "a/b/state.db": 0o600, "a/b/state.db.lock": 0o600,
		} {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != want {
				t.Errorf("umask %03o: %s is %v, want %v", mask, name, info.Mode(), want)
			}
		}
	}
}

// Each thing takes the place of the state file, then that of its lock.
func TestOpenRefusesWhatIsNotAFileOfOurs(t *testing.T) {
	valid := newPath(t)
	mustClose(t, mustOpen(t, valid))
	put := map[string]func(path string) error{
		"a symbolic link":   func(p string) error { return os.Symlink(valid, p) },
		"a FIFO":            func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"a directory":       func(p string) error { return os.Mkdir(p, 0o700) },
		"a socket":          func(p string) error { return syscall.Mknod(p, syscall.S_IFSOCK|0o600, 0) },
		"others can change": func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o620)) },
	}
	if os.Geteuid() == 0 {
		put["a device"] = func(p string) error { return syscall.Mknod(p, syscall.S_IFCHR|0o600, 1<<8|3) }
		put["it belongs to user 12345"] = func(p string) error {
			return errors.Join(os.WriteFile(p, nil, 0o600), os.Chown(p, 12345, 12345))
		}
	}
	for words, make := range put {
		for _, suffix := range []string{"", ".lock"} {
			path := newPath(t)
			if err := make(path + suffix); err != nil {
				t.Fatal(err)
			}
			if suffix == ".lock" { // OpenView takes the lock only if there is a file
				data, err := os.ReadFile(valid)
				if err == nil {
					err = os.WriteFile(path, data, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, open := range []func(File) (*Bolt, error){File.Open, File.OpenView} {
				_, err := open(fileAt(path))
				if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), path+suffix) {
					t.Errorf("%s at state.db%s: %v", words, suffix, err)
				}
				if errors.Is(err, ErrDamaged) || errors.Is(err, ErrLocked) {
					t.Errorf("%s at state.db%s: wrong class: %v", words, suffix, err)
				}
			}
		}
	}
}

func TestOpenRefusesADirectoryOfEverybody(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	if _, err := fileAt(path).Open(); err == nil || !strings.Contains(err.Error(), "chmod o-w "+dir) {
		t.Errorf("in a directory of mode 0777: %v", err)
	}
	if err := os.Chmod(dir, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, path))
	if _, err := fileAt(filepath.Join(path, "state.db")).Open(); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("below a file: %v", err)
	}
}

func TestFirstStartGoesOnAfterAKill(t *testing.T) {
	path := newPath(t)
	for _, name := range []string{path + ".new-0123", path + ".new-", path + ".bak.new-1"} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(path+".new-dir", 0o700); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, path))
	left, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(left, " "); got != strings.Join([]string{path, path + ".lock", path + ".new-dir"}, " ") {
		t.Errorf("the directory holds %s", got)
	}
}

func TestNewStoreNeverReplacesAFile(t *testing.T) {
	path := newPath(t)
	temp := path + ".new-1"
	for name, text := range map[string]string{path: "old", temp: "new"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := moveNew(temp, path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("moved over a file: %v", err)
	}
	if _, err := os.Lstat(temp); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the new file is still there: %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "old" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestReadOnlyStoreChangesNothing(t *testing.T) {
	path := newPath(t)
	for _, missing := range []string{path, filepath.Join(path, "no", "such", "dir")} {
		s, err := fileAt(missing).OpenView()
		if err != nil {
			t.Fatal(err)
		}
		wantContents(t, s, contents{})
		if s.ID() != "" {
			t.Errorf("id %q", s.ID())
		}
		wantNothing(t, s.Maildrop("me@host"))
		if err := s.Maildrop("me@host").Commit(Change{Put: entries(0, 1)}); !errors.Is(err, ErrReadOnly) {
			t.Errorf("commit: %v", err)
		}
		mustClose(t, s)
		if err := s.Maildrop("me@host").Commit(Change{}); !errors.Is(err, ErrClosed) {
			t.Errorf("commit after close: %v", err)
		}
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("reading has made %v", left)
	}

	w := mustOpen(t, path)
	mustCommit(t, w.Maildrop("me@host"), Change{Put: entries(0, 10)})
	want := mustRead(t, w)
	if _, err := fileAt(path).OpenView(); !errors.Is(err, ErrLocked) {
		t.Errorf("beside a writer: %v", err)
	}
	mustClose(t, w)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := fileAt(path).OpenView()
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, s, want)
	if s.ID() != w.ID() {
		t.Error("the store has another id")
	}
	if err := s.Maildrop("me@host").Commit(Change{Forget: []string{"x"}}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("commit: %v", err)
	}
	mustClose(t, s)
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file has changed (%v)", err)
	}
}

func wantNothing(t *testing.T, m Maildrop) {
	t.Helper()
	if open, err := m.Intents(); err != nil || len(open) > 0 {
		t.Errorf("intents %v, %v", open, err)
	}
	calls := 0
	if err := m.Scan(func(known iter.Seq2[[]byte, Record]) error {
		calls++
		for id := range known {
			t.Errorf("found %q", id)
		}
		return nil
	}); err != nil || calls != 1 {
		t.Errorf("scan: %d calls, %v", calls, err)
	}
}
