package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// formatVersion is the version of the layout that Bolt describes, and of the records
// and intents in it: it is raised with any of theirs. Files of every older format are
// read.
const formatVersion = 4

// Names of buckets, and of the values in meta and in a maildrop.
const (
	metaName      = "meta"
	maildropsName = "maildrops"
	idsName       = "ids"
	intentsName   = "intents"
	tallyName     = "tally"
	factsName     = "facts"
	formatName    = "format"
	storeName     = "store"
)

// writeMeta makes an empty store of an empty database.
func writeMeta(tx *bbolt.Tx) error {
	if _, err := tx.CreateBucket([]byte(maildropsName)); err != nil {
		return err
	}
	meta, err := tx.CreateBucket([]byte(metaName))
	if err != nil {
		return err
	}
	return errors.Join(
		putFormat(tx, formatVersion),
		meta.Put([]byte(storeName), seal([]byte(storeName), []byte(randomHex()))),
		meta.Put([]byte(tallyName), encodeTallies(nil, tally{})),
	)
}

func putFormat(tx *bbolt.Tx, format uint32) error {
	name := []byte(formatName)
	return tx.Bucket([]byte(metaName)).Put(name, seal(name, binary.BigEndian.AppendUint32(nil, format)))
}

// raiseFormat makes a file of an older format one of formatVersion, in the transaction
// that stores the first values of a newer version in it. An older popfetch refuses the
// file at Open then, and not in the middle of a poll.
func (s *Bolt) raiseFormat(tx *bbolt.Tx) error {
	if s.format == formatVersion {
		return nil
	}
	return putFormat(tx, formatVersion)
}

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
	if s.format = binary.BigEndian.Uint32(format); s.format > formatVersion {
		return fmt.Errorf("%s: %w: format %d, this popfetch knows %d", s.path, ErrVersion, s.format, formatVersion)
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

// keys returns the names of all maildrops, and checks that none is missing.
func (s *Bolt) keys(tx *bbolt.Tx) (keys []string, err error) {
	err = s.names(tx, func(name []byte) { keys = append(keys, string(name)) })
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// names calls visit with the name of each maildrop, and then checks that none is
// missing. A name is valid during the call.
func (s *Bolt) names(tx *bbolt.Tx, visit func(name []byte)) error {
	want, err := s.dropsTally(tx)
	if err != nil {
		return err
	}
	var have tally
	c := tx.Bucket([]byte(maildropsName)).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		visit(k)
		have.addName(k)
	}
	if have != want {
		return damaged(s.path, fmt.Sprintf("%d maildrops, not the %d that were recorded", have.count, want.count))
	}
	return nil
}

// Keys implements Store.
func (s *Bolt) Keys() (keys []string, err error) {
	err = s.read(func(tx *bbolt.Tx) error {
		keys, err = s.keys(tx)
		return err
	})
	return keys, err
}
