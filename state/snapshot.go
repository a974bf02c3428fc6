package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"popfetch/internal/durable"
)

// snapshotSuffix is what the path of the snapshot has more than that of the file.
const snapshotSuffix = ".bak"

// snapshotAge is the age at which a snapshot is due to be replaced.
const snapshotAge = 24 * time.Hour

// Snapshot copies the store to PATH.bak, unless the copy that is there was made less than
// 24 hours before now, or nothing was committed since. File.Restore brings it back. Call
// it at any time and as often as you like: most calls only look at the two files.
//
// The copy shows the store at one moment. It is written as PATH.bak.new-*, synced, read
// whole, and renamed, so a copy of damage never replaces a good snapshot. Commits go on
// meanwhile, but one that has to enlarge the file waits until the file is copied (not
// until the copy is synced and read). After an error the last snapshot and the store are
// as they were. A snapshot of another store, which stood at PATH before, is kept as
// PATH.bak-ID.
func (s *Bolt) Snapshot(now time.Time) (made bool, err error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.calls.Done()
	if s.readOnly {
		return false, fmt.Errorf("%s: %w", s.path, ErrReadOnly)
	}
	s.snapshots.Lock()
	defer s.snapshots.Unlock()
	bak := s.path + snapshotSuffix
	made, err = s.snapshotDue(bak, now)
	if err == nil && made {
		err = s.makeSnapshot(bak)
	}
	if err != nil {
		return false, fileError(s.path, "copied", err)
	}
	return made, nil
}

// snapshotDue reports whether Snapshot makes a copy now.
func (s *Bolt) snapshotDue(bak string, now time.Time) (bool, error) {
	info, err := os.Lstat(bak)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err == nil {
		err = checkPlain(bak, info)
	}
	if err != nil {
		return false, err
	}
	// A snapshot from the future was made before the clock was set back.
	if age := now.Sub(info.ModTime()); age >= 0 && age < snapshotAge {
		return false, nil
	}
	same, err := s.isCopy(bak, info)
	return !same, err
}

// isCopy reports whether nothing was committed since bak was written: the meta pages
// have the same number of commits. A compaction starts the count anew, so the times of
// the files have to agree too.
func (s *Bolt) isCopy(bak string, info fs.FileInfo) (bool, error) {
	own, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	if own.ModTime().After(info.ModTime()) {
		return false, nil
	}
	f, err := openPlain(bak, os.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer f.Close()
	a, errA := findMeta(f, info.Size())
	b, errB := findMeta(s.file, own.Size())
	whole := info.Size() == int64(a.pages)*a.pageSize
	return errA == nil && errB == nil && a == b && whole, nil
}

func (s *Bolt) makeSnapshot(bak string) error {
	temp := newName(bak)
	err := s.copyTo(temp)
	if err == nil {
		err = verifyCopy(temp, s.id)
	}
	if err == nil {
		err = s.keepForeign(bak)
	}
	if err == nil {
		err = os.Rename(temp, bak)
	}
	if err != nil {
		_ = os.Remove(temp)
		return err
	}
	return durable.SyncDir(filepath.Dir(bak))
}

// copyTo writes the store as it is now to a new file.
func (s *Bolt) copyTo(path string) error {
	f, err := durable.Create(path)
	if err != nil {
		return err
	}
	err = s.view(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(f)
		return err
	})
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// keepForeign renames the snapshot of another store. A user who lost a state file and
// began anew without it may still want its snapshot.
func (s *Bolt) keepForeign(bak string) error {
	c := &Bolt{path: bak, readOnly: true}
	switch err := c.open(time.Second); {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged):
		return nil
	case err != nil:
		return err
	}
	if err := c.closeFile(); err != nil || c.id == s.id {
		return err
	}
	return os.Rename(bak, bak+"-"+c.id)
}
