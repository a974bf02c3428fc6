package state

import (
	"errors"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"popfetch/internal/durable"
)

// Compaction is the result of the compaction that Open may begin with, the zero value
// if none was needed.
type Compaction struct {
	Before, After int64 // size of the file in octets
	Err           error // why it was not done; the store works all the same
}

// Compaction returns the result of the compaction in Open.
func (s *Bolt) Compaction() Compaction { return s.compaction }

// compactFrom is the size from which on Open compacts a file.
const compactFrom = 8 << 20

// wasteful reports whether Open compacts the file.
func (u usage) wasteful() bool {
	return int64(u.pages)*u.page > compactFrom && 2*u.free > u.pages
}

// Compact writes the store to a new file without its free pages, reads that whole,
// and puts it in the place of the old one once it is durable. bbolt never makes a
// file smaller by itself. Compact needs free space for the copy. It returns the size
// in octets before and after. The old file stays until the copy is complete, so an
// error or a crash loses nothing.
func (f File) Compact() (before, after int64, err error) {
	if _, err := os.Lstat(f.Path); err != nil {
		return 0, 0, fileError(f.Path, "compacted", err)
	}
	l, err := f.lock()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	if err := removeLeftovers(f.Path); err != nil {
		return 0, 0, fileError(f.Path, "compacted", err)
	}
	c, _ := compact(f.Path)
	return c.Before, c.After, c.Err
}

// compact compacts a file whose lock the caller holds. If replaced is true, path is the
// new file, even if c.Err is not nil.
func compact(path string) (c Compaction, replaced bool) {
	fail := func(err error) (Compaction, bool) {
		if _, ok := errors.AsType[*damage](err); !ok { // which names the file already
			err = fileError(path, "compacted", err)
		}
		return Compaction{Err: err}, replaced
	}
	temp := newName(path)
	c, err := compactTo(temp, path)
	if err == nil {
		replaced, err = replace(temp, path)
	}
	if err != nil {
		if !replaced {
			_ = os.Remove(temp)
		}
		return fail(err)
	}
	return c, true
}

// compactTo writes a durable copy to a new file and reads it back.
func compactTo(temp, path string) (c Compaction, err error) {
	s := &Bolt{path: path, readOnly: true}
	if err := s.open(time.Second); err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, s.closeFile()) }()
	if _, err := s.count(); err != nil {
		return c, err
	}
	f, err := durable.Create(temp)
	if err != nil {
		return c, err
	}
	if err := fill(f, func(db *bbolt.DB) error {
		db.NoSync = true // fill syncs once
		return bbolt.Compact(db, s.db, 1<<20)
	}); err != nil {
		return c, ofCopy(err)
	}
	if err := verifyCopy(temp, s.id); err != nil {
		return c, err
	}
	info, err := os.Stat(temp)
	if err != nil {
		return c, err
	}
	return Compaction{Before: s.used.size, After: info.Size()}, nil
}
