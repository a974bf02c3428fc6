package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// snapshotSuffix follows the path of the state file in that of its snapshot.
const snapshotSuffix = ".bak"

// snapshotAge is the age from which on a snapshot is made anew.
const snapshotAge = 24 * time.Hour

// Snapshot copies the store to PATH.bak, unless the copy that is there was made
// less than 24 hours before now, or nothing was committed since. Restore brings
// it back. It may be called as often as one likes, also beside other calls; most
// calls look at the two files and do nothing else.
//
// The copy is that of one moment. It is written as PATH.bak.new-*, synced, read
// whole, and renamed: a good snapshot is never replaced by a copy of damage.
// Commits go on meanwhile, but one that has to enlarge the file waits until it
// has been copied (not for the sync, nor the reading). After an error the last
// snapshot and the store are as they were. A snapshot of another store, which
// had its place at path before, is kept as PATH.bak-ID.
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
		return false, fmt.Errorf("state file %s: snapshot: %w", s.path, err)
	}
	return made, nil
}

// snapshotDue says whether it is time for another snapshot.
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
	// One from the future was made before the clock was put back.
	if age := now.Sub(info.ModTime()); age >= 0 && age < snapshotAge {
		return false, nil
	}
	same, err := s.isCopy(bak, info)
	return !same, err
}

// isCopy says whether nothing was committed since bak was written. Each commit
// has a number in the meta page. Compaction begins to count anew, so the times
// of the files have to agree with it.
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
	return syncDir(filepath.Dir(bak))
}

// copyTo writes what the store holds now to a new file.
func (s *Bolt) copyTo(path string) error {
	f, err := createNew(path)
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

// keepForeign moves the snapshot of another store out of the way. Whoever lost
// a state file, and began anew without it, may still want it.
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
