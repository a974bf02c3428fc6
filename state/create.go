package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"popfetch/internal/durable"
)

// createIfMissing makes an empty store at path, durable and whole, where there
// is nothing. A file that exists is not touched. The caller holds the lock.
func createIfMissing(path string) error {
	if err := removeLeftovers(path); err != nil {
		return err
	}
	_, err := os.Lstat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Where a snapshot is, a store was: it is not begun anew without a word.
	if _, err := os.Lstat(path + snapshotSuffix); err == nil {
		return ErrLost
	}
	// The directory may be the leftover of a start that was killed before its sync.
	if err := (durable.OS{}).MakeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	temp := newName(path)
	f, err := createNew(temp)
	if err != nil {
		return err
	}
	if err := fill(f, func(db *bbolt.DB) error { return db.Update(writeMeta) }); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return moveNew(temp, path)
}

// removeLeftovers removes what a process has left that was killed while it made
// a store, a snapshot, or a new file for a store. That may have been after the
// rename and before its sync, so the directory is synced before anything is
// built on the file at path. The caller holds the lock.
func removeLeftovers(path string) error {
	dir, base := filepath.Dir(path), filepath.Base(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	synced := false
	for _, e := range entries {
		name := e.Name()
		ours := strings.HasPrefix(name, base+".new-") || strings.HasPrefix(name, base+snapshotSuffix+".new-")
		if !ours || !e.Type().IsRegular() {
			continue
		}
		if !synced {
			if err := syncDir(dir); err != nil {
				return err
			}
			synced = true
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// fill lets write put a store into a new file, syncs the file and closes it.
func fill(f *os.File, write func(*bbolt.DB) error) error {
	_, err := guard(f.Name(), func() error {
		db, err := openBolt(f, time.Second, false)
		if err != nil {
			return err
		}
		return errors.Join(write(db), f.Sync(), db.Close())
	})
	return err
}

// moveNew renames temp to path, unless something stands there, and makes that
// durable. A hard link cannot replace anything; the old name stays until the sync,
// for the same reason as the mark of replace.
func moveNew(temp, path string) error {
	switch err := os.Link(temp, path); {
	case errors.Is(err, fs.ErrExist):
		return errors.Join(err, os.Remove(temp))
	case err != nil:
		// Not every file system has hard links. We hold the lock and have seen
		// that nothing is there.
		_, err := replace(temp, path)
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return os.Remove(temp)
}

// randomHex returns 16 random hex digits.
func randomHex() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}
