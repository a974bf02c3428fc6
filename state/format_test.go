package state

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// setFormat changes the format version of a file.
func setFormat(t *testing.T, s *Bolt, format uint32) {
	t.Helper()
	if err := s.db.Update(func(tx *bbolt.Tx) error { return putFormat(tx, format) }); err != nil {
		t.Fatal(err)
	}
}

func TestFileOfANewerFormatIsRefused(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	setFormat(t, s, formatVersion+1)
	mustClose(t, s)
	for range 2 { // the lock is free again after the refusal
		if _, err := fileAt(path).Open(); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), path) {
			t.Errorf("a newer format: %v", err)
		}
	}
}

// olderFile makes a file of format 1 whose records are of version 1.
func olderFile(t *testing.T) (path string, holds contents) {
	t.Helper()
	path, holds = newPath(t), contents{}
	s := mustOpen(t, path)
	m := &maildrop{store: s, key: "me@host"}
	mustCommit(t, m, Change{Put: entries(0, 500)})
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		b, err := m.buckets(tx)
		if err != nil {
			return err
		}
		for n, e := range entries(0, 500) {
			id, at := []byte(e.ID), time.Unix(1_700_000_000+int64(n), 0).UTC()
			holds.apply(m.key, Change{Put: []Entry{{ID: e.ID, Record: Record{Octets: int64(n), Delivered: at}}}})
			// version, flags, time of delivery, octets, absences, failures
			value := binary.AppendVarint([]byte{1, hasDelivered}, at.Unix())
			value = append(binary.AppendVarint(value, int64(n)), 0, 0)
			if err := m.put(b.ids, &b.idsTally, id, seal(id, value)); err != nil {
				return err
			}
		}
		return b.drop.Put([]byte(tallyName), encodeTallies([]byte(m.key), b.idsTally, b.intentsTally))
	}); err != nil {
		t.Fatal(err)
	}
	setFormat(t, s, 1)
	mustClose(t, s)
	return path, holds
}

func TestOlderFileIsReadAndNotChanged(t *testing.T) {
	path, want := olderFile(t)
	before := mustReadFile(t, path)
	s, err := fileAt(path).OpenView()
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, s, want)
	mustClose(t, s)
	s = mustOpen(t, path)
	wantContents(t, s, want)
	mustClose(t, s)
	if _, err := fileAt(path).Check(); err != nil {
		t.Error(err)
	}
	if mustReadFile(t, path) != before {
		t.Error("reading has changed the file")
	}
	if _, _, err := fileAt(path).Compact(); err != nil {
		t.Error(err)
	}
	s = mustOpen(t, path)
	if s.format != 1 {
		t.Errorf("format %d after a compaction", s.format)
	}
	wantContents(t, s, want)
}

// Otherwise an older popfetch would open the file, and find a record that it cannot read
// in the middle of a poll.
func TestFirstCommitRaisesTheFormatOfAnOlderFile(t *testing.T) {
	path, want := olderFile(t)
	s := mustOpen(t, path)
	for n := range 2 {
		c := Change{Put: entries(499+n, 500+n), Forget: []string{entries(n, n+1)[0].ID}}
		mustCommit(t, s.Maildrop("me@host"), c)
		want.apply("me@host", c)
	}
	mustClose(t, s)
	s = mustOpen(t, path)
	if s.format != formatVersion {
		t.Errorf("format %d after a commit", s.format)
	}
	wantContents(t, s, want) // records of both versions
}

func TestNewerRecordStopsTheReader(t *testing.T) {
	s := mustOpen(t, newPath(t))
	m := s.Maildrop("me@host")
	mustCommit(t, m, Change{Put: entries(0, 1)})
	id := entries(0, 1)[0].ID
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(maildropsName)).Bucket([]byte("me@host")).Bucket([]byte(idsName))
		return b.Put([]byte(id), seal([]byte(id), []byte{recordVersion + 1, 0}))
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := read(s); !errors.Is(err, ErrVersion) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestDatabaseOfAnotherProgramIsRefused(t *testing.T) {
	path := newPath(t)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fileAt(path).Open(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "not a popfetch state file") {
		t.Error(err)
	}
}
