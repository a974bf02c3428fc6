package state

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// readMeta reads the format version and the ID.
func (s *Bolt) readMeta(tx *bbolt.Tx) error {
	meta, drops := tx.Bucket([]byte(metaName)), tx.Bucket([]byte(maildropsName))
	if meta == nil || drops == nil {
		return damaged(s.path, "it is not a popfetch state file")
	}
	format, err := unseal([]byte(formatName), meta.Get([]byte(formatName)))
	if err != nil || len(format) != 4 {
		return damaged(s.path, "the format version cannot be read")
	}
	if v := binary.BigEndian.Uint32(format); v > formatVersion {
		return fmt.Errorf("%s: %w: format %d, this popfetch knows %d", s.path, ErrVersion, v, formatVersion)
	}
	id, err := unseal([]byte(storeName), meta.Get([]byte(storeName)))
	if err != nil || len(id) != 16 {
		return damaged(s.path, "the store id cannot be read")
	}
	s.id = string(id)
	return nil
}

// dropsTally returns the recorded tally of the names of the maildrops.
func (s *Bolt) dropsTally(tx *bbolt.Tx) (tally, error) {
	var t tally
	if err := decodeTallies(nil, tx.Bucket([]byte(metaName)).Get([]byte(tallyName)), &t); err != nil {
		return t, damaged(s.path, "the tally of the maildrops "+err.Error())
	}
	return t, nil
}

// keys returns the names of all maildrops, having checked that none is missing.
func (s *Bolt) keys(tx *bbolt.Tx) ([]string, error) {
	want, err := s.dropsTally(tx)
	if err != nil {
		return nil, err
	}
	var (
		keys []string
		have tally
	)
	c := tx.Bucket([]byte(maildropsName)).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		keys = append(keys, string(k))
		have.add(seal(k, nil))
	}
	if have != want {
		return nil, damaged(s.path, fmt.Sprintf("%d maildrops where %d were recorded, or not the same", have.count, want.count))
	}
	return keys, nil
}

// Keys implements Store.
func (s *Bolt) Keys() (keys []string, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.calls.Done()
	if s.db == nil {
		return nil, nil
	}
	err = s.view(func(tx *bbolt.Tx) error {
		keys, err = s.keys(tx)
		return err
	})
	return keys, err
}
