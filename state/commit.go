package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// pending is a change that waits to be written. done and err are guarded by
// Bolt.writer.
type pending struct {
	apply func(*bbolt.Tx) error
	done  bool
	err   error
}

// commit makes the change of a maildrop durable.
func (s *Bolt) commit(m *maildrop, c Change) error {
	invalid := validate(m.key, c)
	if c.Empty() {
		return s.change(invalid, nil)
	}
	return s.change(invalid, func(tx *bbolt.Tx) error { return m.apply(tx, c) })
}

// change makes what apply writes durable, unless the store cannot be written to or the
// change is invalid; a nil apply writes nothing. While one transaction is written, other
// changes wait, and the first of them takes all of them into the next one. So a single
// change has no delay, and many share their syncs. (bbolt's own Batch waits for a fixed
// time, and commits on a goroutine that guard cannot reach.)
func (s *Bolt) change(invalid error, apply func(*bbolt.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.calls.Done()
	if s.readOnly {
		return fmt.Errorf("%s: %w", s.path, ErrReadOnly)
	}
	if invalid != nil || apply == nil {
		return invalid
	}
	p := &pending{apply: apply}
	s.mu.Lock()
	s.queue = append(s.queue, p)
	s.mu.Unlock()

	s.writer.Lock()
	defer s.writer.Unlock()
	if p.done {
		return p.err
	}
	s.mu.Lock()
	group, err := s.queue, s.failed
	s.queue = nil
	s.mu.Unlock()
	if err == nil {
		err = s.write(group)
	}
	for _, p := range group {
		p.done, p.err = true, err
	}
	return err
}

// keepMapped is the size in octets up to which a file may stay resident between commits.
const keepMapped = 12 << 20

// write makes a group of changes durable in one transaction. After any error it is not
// known what the disk holds, so the store has failed.
func (s *Bolt) write(group []*pending) error {
	if err := s.inPlace(); err != nil {
		s.fail(err, false)
		return err
	}
	s.created = nil
	err := s.guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			if err := s.raiseFormat(tx); err != nil {
				return err
			}
			for _, p := range group {
				if err := p.apply(tx); err != nil {
					return err
				}
			}
			if tx.Size() > keepMapped {
				s.mapping(tx).forget() // many commits read all of a large file
			}
			return nil
		})
	})
	if err == nil {
		s.format = formatVersion
		s.roll.grow(s.created)
		return nil
	}
	if errors.Is(err, ErrDamaged) { // guard has called fail already
		return err
	}
	err = fileError(s.path, "written", err)
	s.fail(err, false)
	return err
}

// inPlace returns ErrGone if the next process would not find the file that is open here:
// what is written to it would be lost with the last descriptor.
func (s *Bolt) inPlace() error {
	ours, err := s.file.Stat()
	if err != nil {
		return fileError(s.path, "written", err)
	}
	named, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !os.SameFile(ours, named):
		return fmt.Errorf("state file %s: %w", s.path, ErrGone)
	case err != nil:
		return fileError(s.path, "written", err)
	}
	return nil
}

// settle makes durable, once, what was in the file when it was opened. A process that
// was killed between the write of a commit and its sync leaves that commit in the page
// cache, where it looks like any other. A caller that acted on it and then lost it in a
// power cut would act on it again.
func (s *Bolt) settle() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.calls.Done()
	s.writer.Lock()
	defer s.writer.Unlock()
	if s.settled {
		return nil
	}
	if err := s.guard(s.db.Sync); err != nil {
		err = fileError(s.path, "written", err)
		s.fail(err, false)
		return err
	}
	s.settled = true
	return nil
}

// validate returns ErrInvalid for a change that cannot be recorded.
func validate(key string, c Change) error {
	if err := checkLength("key of a maildrop", key, MaxKey); err != nil {
		return err
	}
	for _, id := range slices.Concat(c.Done, c.Forget) {
		if err := checkLength("unique-id", id, MaxID); err != nil {
			return err
		}
	}
	for _, e := range c.Put {
		if err := checkLength("unique-id", e.ID, MaxID); err != nil {
			return err
		}
	}
	return nil
}

func checkLength(what, s string, limit int) error {
	if len(s) == 0 || len(s) > limit {
		return fmt.Errorf("%s %.80q of %d octets: %w (1 to %d)", what, s, len(s), ErrInvalid, limit)
	}
	return nil
}

// apply writes a change in a transaction, each part in the order of the ids, so that
// pages are found and written one after the other.
func (m *maildrop) apply(tx *bbolt.Tx, c Change) error {
	b, err := m.buckets(tx)
	if err == nil && b == nil {
		b, err = m.create(tx)
	}
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(slices.Values(c.Done)) {
		if err := m.remove(b.intents, &b.intentsTally, id); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(slices.Values(c.Forget)) {
		if err := m.remove(b.intents, &b.intentsTally, id); err != nil {
			return err
		}
		if err := m.remove(b.ids, &b.idsTally, id); err != nil {
			return err
		}
	}
	if c.Facts != nil {
		text, err := json.Marshal(c.Facts)
		if err != nil {
			return err
		}
		if err := b.drop.Put([]byte(factsName), seal([]byte(m.key), text)); err != nil {
			return err
		}
	}
	put := slices.Clone(c.Put)
	slices.SortStableFunc(put, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	for _, e := range put {
		id := []byte(e.ID)
		if err := m.put(b.ids, &b.idsTally, id, encodeRecord(id, e.Record)); err != nil {
			return err
		}
		if e.Intent == nil {
			continue
		}
		if err := m.put(b.intents, &b.intentsTally, id, encodeIntent(id, *e.Intent)); err != nil {
			return err
		}
	}
	return b.drop.Put([]byte(tallyName), encodeTallies([]byte(m.key), b.idsTally, b.intentsTally))
}

// create makes the buckets of a new maildrop.
func (m *maildrop) create(tx *bbolt.Tx) (*buckets, error) {
	names, err := m.store.dropsTally(tx)
	if err != nil {
		return nil, err
	}
	key := []byte(m.key)
	names.addName(key)
	m.store.created = append(m.store.created, m.key)
	if err := tx.Bucket([]byte(metaName)).Put([]byte(tallyName), encodeTallies(nil, names)); err != nil {
		return nil, err
	}
	b := new(buckets)
	if b.drop, err = tx.Bucket([]byte(maildropsName)).CreateBucket(key); err != nil {
		return nil, err
	}
	if b.ids, err = b.drop.CreateBucket([]byte(idsName)); err != nil {
		return nil, err
	}
	b.intents, err = b.drop.CreateBucket([]byte(intentsName))
	return b, err
}

// put stores a sealed value, unless it is there already.
func (m *maildrop) put(in *bbolt.Bucket, t *tally, id, value []byte) error {
	if old := in.Get(id); old != nil {
		if _, err := unseal(id, old); err != nil {
			return m.unreadable("the value", id, err)
		}
		if bytes.Equal(old, value) {
			return nil
		}
		t.remove(old)
	}
	t.add(value)
	return in.Put(id, value)
}

// remove removes a value, if it is there.
func (m *maildrop) remove(in *bbolt.Bucket, t *tally, id string) error {
	key := []byte(id)
	old := in.Get(key)
	if old == nil {
		return nil
	}
	if _, err := unseal(key, old); err != nil {
		return m.unreadable("the value", key, err)
	}
	t.remove(old)
	return in.Delete(key)
}
