package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Reopen opens the file again after a commit has failed, so that the store can be used
// once more. A store that has not failed stays as it is. The lock of the file is held
// throughout: nobody else delivers from these maildrops meanwhile. What the failed
// commit has left is what the file holds: read the intents before anything else.
//
// It never makes a file. After an error the store has failed as before, and Reopen may
// be called again. ErrDamaged, ErrVersion and ErrGone do not pass by themselves.
func (s *Bolt) Reopen() error {
	s.opening.Lock()
	defer s.opening.Unlock()
	s.mu.Lock()
	closed, failed := s.closed, s.failed
	s.mu.Unlock()
	switch {
	case closed:
		return fmt.Errorf("%s: %w", s.path, ErrClosed)
	case failed == nil:
		return nil
	}
	s.calls.Wait() // no other begins: the store has failed
	fresh, err := s.openAgain()
	if err != nil {
		return err
	}
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file, s.db, s.used, s.format = fresh.file, fresh.db, fresh.used, fresh.format
	s.settled, s.failed, s.abandoned = false, nil, false
	s.roll.forget()
	return nil
}

// openAgain closes the file and opens it. Nothing else runs.
func (s *Bolt) openAgain() (*Bolt, error) {
	if s.db != nil {
		_ = s.closeFile() // it has failed anyway
		s.db, s.file, s.abandoned = nil, nil, false
	}
	if _, err := os.Lstat(s.path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state file %s: %w", s.path, ErrGone)
	}
	fresh := &Bolt{path: s.path}
	f, err := fresh.openChecked()
	if err != nil {
		return nil, err
	}
	if err := fresh.use(f, 0); err != nil {
		return nil, err
	}
	if fresh.id != s.id {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", s.path, ErrGone), fresh.closeFile())
	}
	return fresh, nil
}
