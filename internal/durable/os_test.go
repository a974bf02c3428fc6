package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// withUmask sets the umask of the process for one test, which must not run in parallel with
// others.
func withUmask(t *testing.T, mask int) {
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

func open(t *testing.T, path string) Dir {
	t.Helper()
	dir, err := OS{}.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077, 0o277} {
		top := t.TempDir()
		withUmask(t, mask)
		path := filepath.Join(top, "a", "b")
		if err := (OS{}).MakeDirs(path); err != nil {
			t.Fatalf("umask %o: %v", mask, err)
		}
		f, err := open(t, path).Create("file")
		if err != nil {
			t.Fatalf("umask %o: %v", mask, err)
		}
		f.Close()
		for name, want := range map[string]fs.FileMode{"a": 0o700, "a/b": 0o700, "a/b/file": 0o600} {
			if got := mode(t, filepath.Join(top, name)); got != want {
				t.Errorf("umask %o: %s has mode %o, want %o", mask, name, got, want)
			}
		}
	}
}

func TestMakeDirsDoesNotChangeWhatExists(t *testing.T) {
	top := t.TempDir()
	there := filepath.Join(top, "there")
	if err := errors.Join(os.Mkdir(there, 0o755), os.Chmod(there, 0o755)); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	for range 2 {
		if err := (OS{}).MakeDirs(filepath.Join(there, "new")); err != nil {
			t.Fatal(err)
		}
	}
	if got := mode(t, there); got != 0o755 {
		t.Errorf("mode changed to %o", got)
	}
	file := filepath.Join(top, "file")
	os.WriteFile(file, nil, 0o600)
	if err := (OS{}).MakeDirs(filepath.Join(file, "x")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	dangling := filepath.Join(top, "dangling")
	os.Symlink(filepath.Join(top, "nowhere"), dangling)
	if err := (OS{}).MakeDirs(filepath.Join(dangling, "x")); err == nil {
		t.Error("made a directory through a dangling link")
	}
}

func TestRenameNeverReplaces(t *testing.T) {
	top := t.TempDir()
	dir := open(t, top)
	for _, name := range []string{"a", "b"} {
		os.WriteFile(filepath.Join(top, name), []byte(name), 0o600)
	}
	for what, rename := range map[string]func() error{
		"renameat2":       func() error { return dir.Rename("a", dir, "b") },
		"look and rename": func() error { return lookAndRename(dir.(*osDir).fd(), "a", dir.(*osDir).fd(), "b") },
	} {
		if err := rename(); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v, want %v", what, err, fs.ErrExist)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(top, "b")); string(b) != "b" {
		t.Errorf("b has become %q", b)
	}
	if err := lookAndRename(dir.(*osDir).fd(), "a", dir.(*osDir).fd(), "c"); err != nil {
		t.Error(err)
	}
	if err := dir.Rename("c", dir, "d"); err != nil {
		t.Error(err)
	}
	if err := dir.Rename("gone", dir, "e"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a missing file: %v", err)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	top, other := t.TempDir(), t.TempDir()
	dir := open(t, top)
	os.Symlink(other, filepath.Join(top, "dir"))
	os.Symlink(filepath.Join(other, "file"), filepath.Join(top, "file"))
	if _, err := dir.OpenDir("dir"); err == nil {
		t.Error("opened a directory through a link")
	}
	if _, err := dir.Create("file"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created through a link: %v", err)
	}
	info, err := dir.Stat("dir")
	if err != nil || info.Dir || info.Regular {
		t.Errorf("link shown as %+v, %v", info, err)
	}
	if err := dir.Remove("dir"); err != nil {
		t.Errorf("link not removed: %v", err)
	}
	if names, _ := os.ReadDir(other); len(names) != 0 {
		t.Errorf("other directory has %v", names)
	}
}

func TestSwappedDirectoryDoesNotRedirect(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "dir")
	os.Mkdir(path, 0o700)
	dir := open(t, path)
	before, err := dir.ID()
	if err != nil {
		t.Fatal(err)
	}
	os.Rename(path, path+".old")
	os.Mkdir(path, 0o700)
	f, err := dir.Create("file")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := os.Stat(path + ".old/file"); err != nil {
		t.Errorf("file is not in the directory that was opened: %v", err)
	}
	now, _ := open(t, path).ID()
	moved, _ := open(t, path+".old").ID()
	if now.Same(before) || !moved.Same(before) {
		t.Errorf("before %+v, moved %+v, in its place %+v", before, moved, now)
	}
}

func TestIDSame(t *testing.T) {
	id := ID{Device: 1, Inode: 2, Born: 3}
	for _, test := range []struct {
		other ID
		want  bool
	}{
		{id, true},
		{ID{Device: 9, Inode: 2, Born: 3}, true},  // mounted again
		{ID{Device: 1, Inode: 2, Born: 4}, false}, // a new directory with the inode of the old one
		{ID{Device: 1, Inode: 9, Born: 3}, false},
		{ID{Device: 1, Inode: 2}, true},
		{ID{Device: 9, Inode: 2}, false},
	} {
		if got := id.Same(test.other); got != test.want {
			t.Errorf("%+v same as %+v: %v", test.other, id, got)
		}
	}
}

func TestDirOperations(t *testing.T) {
	top := t.TempDir()
	dir := open(t, top)
	f, err := dir.Create("file")
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("text"))
	if err := errors.Join(f.Sync(), f.Close(), dir.Sync(), dir.Writable()); err != nil {
		t.Error(err)
	}
	if _, err := dir.Create("file"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second create: %v", err)
	}
	if info, err := dir.Stat("file"); err != nil || !info.Regular || info.Octets != 4 || info.ModTime.IsZero() {
		t.Errorf("stat: %+v, %v", info, err)
	}
	for range 2 { // the second call reads from the beginning too
		if names, err := dir.Names(); err != nil || !slices.Equal(names, []string{"file"}) {
			t.Errorf("names: %q, %v", names, err)
		}
	}
	if _, err := dir.OpenDir("file"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("file as a directory: %v", err)
	}
	if err := dir.Remove("file"); err != nil {
		t.Error(err)
	}
	if _, err := dir.Stat("file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of nothing: %v", err)
	}
}

func TestExplain(t *testing.T) {
	full := Explain(&fs.PathError{Op: "write", Path: "x", Err: unix.ENOSPC})
	if full.Temporary || full.Hint == "" {
		t.Errorf("ENOSPC: %+v", full)
	}
	if files := Explain(unix.EMFILE); !files.Temporary || files.Hint == "" {
		t.Errorf("EMFILE: %+v", files)
	}
	if unknown := Explain(errors.New("?")); !unknown.Temporary || unknown.Hint != "" {
		t.Errorf("unknown: %+v", unknown)
	}
}
