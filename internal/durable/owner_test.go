package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const (
	bob   = 12345 // user and group ids that need not exist
	alice = 12346
)

// tree makes the entries in a new directory that everybody can enter: name and owner;
// "name -> target" is a symbolic link. It needs root.
func tree(t *testing.T, entries ...owned) string {
	t.Helper()
	top := t.TempDir()
	for _, e := range entries {
		path := filepath.Join(top, e.name)
		var err error
		if e.target != "" {
			err = os.Symlink(e.target, path)
		} else {
			err = os.Mkdir(path, 0o755)
		}
		if err == nil {
			err = os.Lchown(path, e.owner, e.owner)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return top
}

type owned struct {
	name   string
	owner  int
	target string // of a symbolic link
}

func ownerOf(t *testing.T, path string) (user, group int) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid)
}

func TestWhatRootMakesBelongsToTheOwnerOfTheDirectory(t *testing.T) {
	if !isRoot() {
		return // only root makes anything in directories of others
	}
	top := tree(t, owned{name: "bob", owner: bob})
	path := filepath.Join(top, "bob", "Mail", "in")
	if err := (OS{}).MakeDirs(path); err != nil {
		t.Fatal(err)
	}
	f, err := open(t, path).Create("file")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, name := range []string{"bob/Mail", "bob/Mail/in", "bob/Mail/in/file"} {
		if user, group := ownerOf(t, filepath.Join(top, name)); user != bob || group != bob {
			t.Errorf("%s belongs to user %d, group %d", name, user, group)
		}
	}
	if got := mode(t, filepath.Join(path, "file")); got != 0o600 {
		t.Errorf("mode %o", got)
	}
	f, err = open(t, top).Create("file")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if user, _ := ownerOf(t, filepath.Join(top, "file")); user != 0 {
		t.Errorf("a file in a directory of root belongs to user %d", user)
	}
}

func TestRootRefusesAPathThatAnotherUserCanRedirect(t *testing.T) {
	if !isRoot() {
		return // others write with their own rights only
	}
	top := tree(t, owned{name: "bob", owner: bob}, owned{name: "bob/own", owner: bob}, owned{name: "bob/root", owner: 0},
		owned{name: "alice", owner: alice}, owned{name: "alice/Mail", owner: alice},
		owned{"bob/link", bob, "../alice/Mail"}, owned{"bob/to-own", bob, "own"}, owned{"bob/to-root", bob, "/"},
		owned{"by-root", 0, "alice/Mail"}, owned{"by-root-through-bob", 0, "bob/link"}, owned{"loop", 0, "loop"})
	for name, want := range map[string]bool{
		"bob": true, "bob/own": true, "bob/to-own": true, "alice/Mail": true, "by-root": true, "bob/../alice/Mail": false,
		"bob/root": false, "bob/link": false, "bob/to-root": false, "by-root-through-bob": false, "loop": false,
	} {
		path := top + "/" + name
		dir, err := OS{}.OpenDir(path)
		if err == nil {
			dir.Close()
		}
		var refused *OwnerError
		if (err == nil) != want || err != nil && name != "loop" && (!errors.As(err, &refused) || refused.Holder != bob || Explain(err).Hint == "") {
			t.Errorf("%s: %v", name, err)
		}
		if path != filepath.Clean(path) {
			continue // MakeDirs cleans it first
		}
		if err := (OS{}).MakeDirs(path + "/new"); (err == nil) != want {
			t.Errorf("make a directory in %s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(top, "bob/root/new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("made a directory all the same: %v", err)
	}
}

func TestFileSystemWithoutModesIsNoError(t *testing.T) {
	for _, none := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		if err := ignoreNoModes(&fs.PathError{Op: "chmod", Path: "x", Err: none}); err != nil {
			t.Error(err)
		}
	}
	if err := ignoreNoModes(&fs.PathError{Op: "chmod", Path: "x", Err: syscall.EIO}); err == nil {
		t.Error("a disk error is ignored")
	}
}
