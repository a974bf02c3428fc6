package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// File is the place of a store on disk, and what can be done with the file while
// no store is open. Every method takes the lock of the file, which one process
// holds at a time, and returns ErrLocked if it does not get it within Wait.
//
// The directory of Path also has Path.lock, which is never removed, and, once they are
// made, Path.bak (see Bolt.Snapshot) and Path.damaged-TIME (see Restore). Path.new-* and
// Path.bak.new-* are files that are not complete yet, see removeLeftovers.
type File struct {
	Path string
	// Wait is how long a method waits for the lock. It tries at least once.
	Wait time.Duration
}

// Open opens the store for this process alone. It makes the file and the directories
// above it if they are missing. A first start may be killed at any point: the file
// appears under its name once it is complete. A path on a network file system is
// refused, see checkPlace.
//
// Open checks the whole structure of the file, which reads it once. The errors are
// ErrLocked, ErrDamaged, ErrLost, ErrVersion, or say why the file cannot be used.
// If a power cut has torn the last commit, the store is as it was before it.
//
// Open first compacts a file of more than 8 MiB of which more than half is free,
// see Bolt.Compaction.
func (f File) Open() (*Bolt, error) {
	if err := prepareDir(filepath.Dir(f.Path)); err != nil {
		return nil, fmt.Errorf("state file %s: %w", f.Path, err)
	}
	return f.open(false)
}

// missing reports whether there is no file. It returns ErrLost if only a snapshot is
// there.
func (f File) missing() (bool, error) {
	if _, err := os.Lstat(f.Path); !errors.Is(err, fs.ErrNotExist) {
		return false, nil // opening it will tell what is wrong
	}
	if _, err := os.Lstat(f.Path + snapshotSuffix); err == nil {
		return true, fmt.Errorf("state file %s: %w", f.Path, ErrLost)
	}
	return true, nil
}

func (f File) open(readOnly bool) (*Bolt, error) {
	l, err := f.lock()
	if err != nil {
		return nil, err
	}
	return f.openUnder(l, readOnly)
}

// openUnder opens the store under its lock, which it releases if that is not possible.
func (f File) openUnder(l *lock, readOnly bool) (*Bolt, error) {
	s := &Bolt{path: f.Path, readOnly: readOnly, lock: l}
	if err := s.open(f.Wait); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return s, nil
}

// lock takes the lock of the file.
func (f File) lock() (*lock, error) {
	err := checkPlace(filepath.Dir(f.Path))
	if err == nil {
		var l *lock
		if l, err = acquire(f.lockPath(), f.Wait); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("state file %s: %w", f.Path, err)
}
