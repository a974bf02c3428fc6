package state

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"
)

// Report is what Check has found.
type Report struct {
	ID        string    // of the store, see Store
	Maildrops int       // with or without ids
	IDs       int       // unique-ids of all maildrops
	Intents   int       // open intents of all maildrops
	Failures  int       // ids that were tried and not delivered yet
	Octets    int64     // size of the file
	Free      float64   // share of its pages that are free, 0 to 1; see Compact
	Snapshot  time.Time // when the last snapshot was made, zero if there is none
}

// Check reads all of the file and changes nothing: its structure, every record,
// every intent, and the tallies that show whether one is missing. The error is
// ErrDamaged if anything cannot be read or is not what was written, one of those
// of Open, or fs.ErrNotExist if there is neither file nor snapshot. Check does
// not read the snapshot; Restore does.
func (f File) Check() (r Report, err error) {
	if _, err := os.Lstat(f.Path); err != nil {
		if _, there := os.Lstat(f.Path + snapshotSuffix); errors.Is(err, fs.ErrNotExist) && there == nil {
			err = ErrLost
		}
		return r, fmt.Errorf("state file %s: check: %w", f.Path, err)
	}
	s, err := f.open(true)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Check()
}

// Check is File.Check for a store that is open.
func (s *Bolt) Check() (Report, error) {
	if s.db == nil && s.readOnly {
		return Report{}, fmt.Errorf("state file %s: check: %w", s.path, fs.ErrNotExist)
	}
	r, err := s.count()
	if err != nil {
		return Report{}, err
	}
	switch info, err := os.Lstat(s.path + snapshotSuffix); {
	case err == nil:
		r.Snapshot = info.ModTime()
	case !errors.Is(err, fs.ErrNotExist):
		return Report{}, fmt.Errorf("state file %s: check: %w", s.path, err)
	}
	return r, nil
}

// count reads all of the store and counts it. The tallies show whether anything is
// missing.
func (s *Bolt) count() (Report, error) {
	r := Report{ID: s.id, Octets: s.used.size, Free: s.used.share()}
	keys, err := s.Keys()
	if err != nil {
		return r, err
	}
	r.Maildrops = len(keys)
	for _, key := range keys {
		m := s.Maildrop(key)
		open, err := m.Intents()
		if err != nil {
			return r, err
		}
		r.Intents += len(open)
		if err := m.Scan(func(known iter.Seq2[[]byte, Record]) error {
			for _, rec := range known {
				r.IDs++
				if rec.Failures > 0 && !rec.Seen() {
					r.Failures++
				}
			}
			return nil
		}); err != nil {
			return r, err
		}
	}
	return r, nil
}
