package state

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// createIfMissing makes an empty store at path, durable and whole, where there
// is nothing. A file that exists is not touched. The caller holds the lock.
func createIfMissing(path string) error {
	if err := removeLeftovers(path); err != nil {
		return err
	}
	_, err := os.Lstat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp := path + ".new-" + randomHex()
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := fill(f, func(db *bbolt.DB) error { return db.Update(writeMeta) }); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := moveNew(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// removeLeftovers removes what a first start that was killed has left.
func removeLeftovers(path string) error {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), filepath.Base(path)+".new-") {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill lets write put a store into a new file, syncs the file and closes it.
func fill(f *os.File, write func(*bbolt.DB) error) error {
	if err := f.Chmod(0o600); err != nil {
		f.Close()
		return err
	}
	_, err := guard(f.Name(), func() error {
		db, err := openBolt(f, time.Second, false)
		if err != nil {
			return err
		}
		return errors.Join(write(db), f.Sync(), db.Close())
	})
	return err
}

// moveNew renames temp to path, unless something stands there. A hard link
// cannot replace anything; a crash before the removal leaves a leftover.
func moveNew(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil {
		return os.Remove(temp)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// Not every file system has hard links. We hold the lock and have seen
	// that nothing is there.
	return os.Rename(temp, path)
}

// formatVersion is the version of the layout that Bolt describes.
const formatVersion = 1

// Names of buckets, and of the values in meta and in a maildrop.
const (
	metaName      = "meta"
	maildropsName = "maildrops"
	idsName       = "ids"
	intentsName   = "intents"
	tallyName     = "tally"
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
	format := binary.BigEndian.AppendUint32(nil, formatVersion)
	return errors.Join(
		meta.Put([]byte(formatName), seal([]byte(formatName), format)),
		meta.Put([]byte(storeName), seal([]byte(storeName), []byte(randomHex()))),
		meta.Put([]byte(tallyName), encodeTallies(nil, tally{})),
	)
}

// randomHex returns 16 random hex digits.
func randomHex() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}
