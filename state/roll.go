package state

import (
	"fmt"
	"sync"

	"go.etcd.io/bbolt"
)

// roll is the names of the maildrops in the file, once they have been read and have
// agreed with their tally. It answers whether a maildrop without a bucket is new or was
// lost, without a look at all names for each: that would take n² steps for the first polls
// of n accounts.
type roll struct {
	mu    sync.Mutex
	names map[string]bool // nil = not read yet
	tally tally           // of names
}

// checkNew returns an error if the maildrop, which has no bucket in tx, had one before.
func (s *Bolt) checkNew(tx *bbolt.Tx, key string) error {
	want, err := s.dropsTally(tx)
	if err != nil {
		return err
	}
	s.roll.mu.Lock()
	defer s.roll.mu.Unlock()
	have := s.roll.tally
	if tx.Writable() {
		have = have.plus(s.created)
	}
	if s.roll.names != nil && have == want {
		if s.roll.names[key] {
			return damaged(s.path, fmt.Sprintf("maildrop %.80q is missing", key))
		}
		return nil
	}
	names := make(map[string]bool)
	if err := s.names(tx, func(name []byte) { names[string(name)] = true }); err != nil {
		return err
	}
	// A transaction may be older than the one that was read last, and one that writes may
	// have names that are not committed.
	newer := s.roll.names == nil || want.count > s.roll.tally.count
	if newer && (!tx.Writable() || len(s.created) == 0) {
		s.roll.names, s.roll.tally = names, want
	}
	return nil
}

// grow adds the names that a commit has made.
func (r *roll) grow(created []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil {
		return
	}
	for _, name := range created {
		if r.names[name] { // somebody has read them since the commit
			return
		}
	}
	for _, name := range created {
		r.names[name] = true
	}
	r.tally = r.tally.plus(created)
}

// forget makes the next checkNew read the names: the file was opened again.
func (r *roll) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names, r.tally = nil, tally{}
}
