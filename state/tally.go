package state

import (
	"encoding/binary"
	"errors"
	"slices"
)

// tally is the number of values in a bucket and the sum of their checksums. A seal shows
// that a value was changed. The tally shows that one is missing, repeated or old, which
// is what damage to the pages between the root and a value looks like.
type tally struct {
	count uint64
	sum   uint64 // modulo 1<<64
}

func (t *tally) add(value []byte) {
	t.count++
	t.sum += uint64(sealOf(value))
}

func (t *tally) remove(value []byte) {
	t.count--
	t.sum -= uint64(sealOf(value))
}

// addName adds the name of a maildrop, whose value is a bucket: it counts as sealed nothing.
func (t *tally) addName(name []byte) {
	t.count++
	t.sum += uint64(checksum(name, nil))
}

// plus returns the tally with more names.
func (t tally) plus(names []string) tally {
	for _, name := range names {
		t.addName([]byte(name))
	}
	return t
}

// encodeTallies returns the sealed form of the tallies of a key.
func encodeTallies(key []byte, ts ...tally) []byte {
	var b []byte
	for _, t := range ts {
		b = binary.BigEndian.AppendUint64(b, t.count)
		b = binary.BigEndian.AppendUint64(b, t.sum)
	}
	return seal(tallyKey(key), b)
}

// decodeTallies reads the tallies of a key into ts.
func decodeTallies(key, value []byte, ts ...*tally) error {
	b, err := unseal(tallyKey(key), value)
	if err != nil {
		return err
	}
	if len(b) != 16*len(ts) {
		return errors.New("has the wrong length")
	}
	for i, t := range ts {
		t.count = binary.BigEndian.Uint64(b[16*i:])
		t.sum = binary.BigEndian.Uint64(b[16*i+8:])
	}
	return nil
}

// tallyKey is what the tallies of a key are sealed under, so that those of one maildrop
// cannot pass for those of another.
func tallyKey(key []byte) []byte { return slices.Concat([]byte("tally "), key) }
