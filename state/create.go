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

// createIfMissing makes an empty store at path, complete and durable, if there is no
// file. The caller holds the lock.
func createIfMissing(path string) error {
	if err := removeLeftovers(path); err != nil {
		return err
	}
	_, err := os.Lstat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A snapshot means that there was a store: its loss must not go unnoticed.
	if _, err := os.Lstat(path + snapshotSuffix); err == nil {
		return ErrLost
	}
	// The directory may be the leftover of a start that was killed before its sync.
	if err := (durable.OS{}).MakeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	temp := newName(path)
	f, err := durable.Create(temp)
	if err != nil {
		return err
	}
	if err := fill(f, func(db *bbolt.DB) error { return db.Update(writeMeta) }); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return moveNew(temp, path)
}

// removeLeftovers removes the files of a process that was killed while it made a store,
// a snapshot, or a new file for a store. It may have been killed between a rename and
// its sync, so the directory is synced before anything relies on the file at path. The
// caller holds the lock.
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
			if err := durable.SyncDir(dir); err != nil {
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

// fill has write make a store in a new file, syncs the file and closes it.
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

// moveNew renames temp to path, unless path exists, and makes that durable. It makes a
// hard link first, which cannot replace a file; the old name stays until the sync, for
// the same reason as the mark in replace.
func moveNew(temp, path string) error {
	switch err := os.Link(temp, path); {
	case errors.Is(err, fs.ErrExist):
		return errors.Join(err, os.Remove(temp))
	case err != nil:
		// Not every file system has hard links. The caller holds the lock and has seen
		// that no file is there.
		_, err := replace(temp, path)
		return err
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
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
