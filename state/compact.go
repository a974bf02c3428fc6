package state

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// Compact writes the store at path anew without its free pages, and puts the
// copy in its place once it is durable and has been read whole. bbolt never
// makes a file smaller by itself. It needs the lock like Open, and free space
// for the copy. It returns the size in octets before and after. The old file
// stands until the copy is whole, so an error or a crash loses nothing.
func Compact(path string, wait time.Duration) (before, after int64, err error) {
	if _, err := os.Lstat(path); err != nil {
		return 0, 0, fmt.Errorf("state file %s: compact: %w", path, err)
	}
	s, err := Open(path, wait)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.verify(); err != nil {
		return 0, 0, err
	}
	temp := path + ".new-" + randomHex() // Open removes it after a crash
	before, after, err = s.copyTo(temp)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return 0, 0, fmt.Errorf("state file %s: compact: %w", path, err)
	}
	return before, after, syncDir(filepath.Dir(path))
}

// copyTo writes a durable copy to a new file and reads it back.
func (s *Bolt) copyTo(temp string) (before, after int64, err error) {
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return 0, 0, err
	}
	if err := fill(f, func(db *bbolt.DB) error { return bbolt.Compact(db, s.db, 1<<20) }); err != nil {
		return 0, 0, err
	}
	c := &Bolt{path: temp, readOnly: true}
	if err := c.open(time.Second); err != nil {
		return 0, 0, err
	}
	err = c.verify()
	if err == nil && c.id != s.id {
		err = errors.New("the copy has another id")
	}
	from, fromErr := s.file.Stat()
	to, toErr := c.file.Stat()
	if err := errors.Join(err, fromErr, toErr, c.closeFile()); err != nil {
		return 0, 0, err
	}
	return from.Size(), to.Size(), nil
}

// verify reads everything. The tallies tell whether anything is missing.
func (s *Bolt) verify() error {
	keys, err := s.Keys()
	if err != nil {
		return err
	}
	for _, key := range keys {
		m := s.Maildrop(key)
		if _, err := m.Intents(); err != nil {
			return err
		}
		if err := m.Scan(func(known iter.Seq2[string, Record]) error {
			for range known {
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
