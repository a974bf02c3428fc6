package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSyncDir(t *testing.T) {
	top := t.TempDir()
	if err := SyncDir(top); err != nil {
		t.Error(err)
	}
	if err := SyncDir(filepath.Join(top, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a missing directory: %v", err)
	}
	file := filepath.Join(top, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := SyncDir(file); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("of a file: %v", err)
	}
	if runtime.GOOS == "linux" { // proc(5) has no fsync
		if err := SyncDir("/proc"); !errors.Is(err, unix.EINVAL) {
			t.Errorf("of a directory that cannot be synced: %v", err)
		}
	}
}

// shutDown is a directory of an xfs that has shut itself down.
type shutDown struct{}

func (shutDown) Sync() error                { return nil }
func (shutDown) Stat() (fs.FileInfo, error) { return nil, unix.EIO }

func TestSyncOfXfsThatShutItselfDownFails(t *testing.T) {
	if err := syncEntries(shutDown{}); !errors.Is(err, unix.EIO) {
		t.Errorf("got %v, want %v", err, unix.EIO)
	}
}

func TestCreateIsPrivateAndExclusive(t *testing.T) {
	top := t.TempDir()
	withUmask(t, 0o277)
	path := filepath.Join(top, "file")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := mode(t, path); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
	link := filepath.Join(top, "link")
	if err := os.Symlink(filepath.Join(top, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{path, link} {
		if _, err := Create(taken); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over %s: %v", taken, err)
		}
	}
}
