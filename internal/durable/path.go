//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// SyncDir makes the entries of the directory path durable: names that were created,
// renamed or removed there. After an error a second call proves nothing, see
// Dir.Sync.
func SyncDir(path string) error {
	dir, err := openDir(unix.AT_FDCWD, path, path, 0)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Create makes the file path for reading and writing, mode 0600 whatever the umask. An
// existing name is fs.ErrExist, even if it is a symbolic link. The new entry
// is not durable before SyncDir of its directory.
func Create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// syncStater is what syncEntries needs of an open directory.
type syncStater interface {
	Sync() error
	Stat() (fs.FileInfo, error)
}

// syncEntries makes the entries of an open directory durable. On an xfs that has shut
// itself down, fsync of a directory returns no error, but fstat does: it calls both.
func syncEntries(dir syncStater) error {
	if err := dir.Sync(); err != nil {
		return err
	}
	_, err := dir.Stat()
	return err
}
