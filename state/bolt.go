package state

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Bolt is a Store in one bbolt file. Its buckets are
//
//	meta        format  version of this layout
//	            store   the ID
//	            tally   of the names of the maildrops
//	maildrops   KEY     ids      unique-id -> record
//	                    intents  unique-id -> intent
//	                    tally    of ids and of intents
//	                    facts    of the server
//
// Values are sealed, see record.go. File describes the other files beside it.
type Bolt struct {
	path     string
	copy     string // the file that is opened in place of path, see File.OpenView; "" = path itself
	id       string
	readOnly bool
	lock     *lock
	file     *os.File  // the one that bbolt uses
	db       *bbolt.DB // nil if there is no file
	used     usage     // of the file, as Open has found it

	compaction Compaction

	writer    sync.Mutex // held while a transaction is written
	format    uint32     // version of what is in the file; after Open guarded by writer
	settled   bool       // what was in the file at Open is durable; guarded by writer
	created   []string   // maildrops that the transaction makes that is being written; guarded by writer
	snapshots sync.Mutex // held while a snapshot is made
	opening   sync.Mutex // held by Reopen; guards file and db while no call runs
	roll      roll

	mu        sync.Mutex // guards the fields below
	queue     []*pending // changes that wait for the next transaction
	failed    error      // why the store cannot be used any more, nil while it can
	abandoned bool       // bbolt has panicked: its locks may be held for ever
	closed    bool
	calls     sync.WaitGroup // those that are running
}

var (
	_ Store    = (*Bolt)(nil)
	_ Maildrop = (*maildrop)(nil)
)

// open opens the file under the lock.
func (s *Bolt) open(wait time.Duration) error {
	if !s.readOnly {
		if err := createIfMissing(s.path); err != nil {
			return fileError(s.path, "made", err)
		}
	}
	f, err := s.openChecked()
	if err == nil && !s.readOnly && s.used.wasteful() {
		f.Close()
		var replaced bool
		s.compaction, replaced = compact(s.path)
		if err = s.compaction.Err; err != nil && replaced {
			return err // a power cut could bring the old file back
		}
		f, err = s.openChecked()
	}
	if err != nil {
		return err
	}
	return s.use(f, wait)
}

// use has bbolt open the checked file f, and reads what the store is. f is closed after
// an error.
func (s *Bolt) use(f *os.File, wait time.Duration) error {
	s.file = f
	panicked, err := guard(s.path, func() (err error) {
		s.db, err = openBolt(f, wait, s.readOnly)
		return err
	})
	if err == nil {
		err = s.view(s.readMeta)
	}
	switch {
	case err == nil:
		return nil
	case panicked || s.abandoned:
		abandon(f)
	case s.db != nil:
		_ = s.db.Close()
	}
	switch {
	case errors.Is(err, ErrDamaged) || errors.Is(err, ErrVersion):
		return err // it names the file already
	case errors.Is(err, berrors.ErrTimeout):
		err = ErrLocked // by another program that uses bbolt
	}
	return fileError(s.path, "opened", err)
}

// openChecked opens the file and checks its structure.
func (s *Bolt) openChecked() (*os.File, error) {
	flag := os.O_RDWR
	if s.readOnly {
		flag = os.O_RDONLY
	}
	f, err := openPlain(cmp.Or(s.copy, s.path), flag)
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", s.path, err)
	}
	if s.used, err = checkFile(f); err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, ErrVersion) {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	return nil, damaged(s.path, err.Error())
}

// openBolt has bbolt use a file that is open already. bbolt closes it.
func openBolt(f *os.File, wait time.Duration, readOnly bool) (*bbolt.DB, error) {
	return bbolt.Open(f.Name(), 0o600, &bbolt.Options{
		Timeout:      max(wait, time.Millisecond), // 0 would mean for ever
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		ReadOnly:     readOnly,
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
}

// abandon closes a file that bbolt still has mapped. After a panic its bbolt.DB cannot
// be closed, because the panic may have left its locks held; the mapping stays until
// the process ends. A mapping keeps an flock alive although the descriptor is closed,
// so abandon ends the flock explicitly: otherwise a second Open in this process could
// never succeed.
func abandon(f *os.File) {
	_ = flock(f, syscall.LOCK_UN)
	f.Close()
}

// ID implements Store.
func (s *Bolt) ID() string { return s.id }

// Maildrop implements Store.
func (s *Bolt) Maildrop(key string) Maildrop { return &maildrop{store: s, key: key} }

// Close implements Store.
func (s *Bolt) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	s.opening.Lock()
	defer s.opening.Unlock()
	var err error
	if s.db != nil {
		err = s.closeFile()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.release())
	}
	return err
}

func (s *Bolt) closeFile() (err error) {
	if s.abandoned {
		abandon(s.file)
	} else {
		_, err = guard(s.path, s.db.Close)
	}
	if s.failed != nil {
		forgetCache(s.path)
	}
	return err
}

// enter begins a call, unless the store is closed or has failed. The caller ends it
// with s.calls.Done.
func (s *Bolt) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("%s: %w", s.path, ErrClosed)
	case s.failed != nil:
		return s.failed
	}
	s.calls.Add(1)
	return nil
}

// guard calls fn under guard, see there. A store that turns out to be damaged fails:
// nothing is read from it or written to it any more.
func (s *Bolt) guard(fn func() error) error {
	panicked, err := guard(s.path, fn)
	if errors.Is(err, ErrDamaged) {
		s.fail(err, panicked)
	}
	return err
}

// fail makes every later call return err. The first failure stays.
func (s *Bolt) fail(err error, abandon bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
	s.abandoned = s.abandoned || abandon
}

// read is a call that reads: fn gets a read transaction, under guard. fn is not called
// if there is no file.
func (s *Bolt) read(fn func(*bbolt.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.calls.Done()
	if s.db == nil {
		return nil
	}
	return s.view(fn)
}

// view calls fn in a read transaction, under guard.
func (s *Bolt) view(fn func(*bbolt.Tx) error) error {
	return s.guard(func() error { return s.db.View(fn) })
}
