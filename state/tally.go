package state

import (
	"encoding/binary"
	"errors"
	"slices"
)

// tally counts the values of a bucket and adds up their checksums. A seal tells
// a value that was changed; the tally tells one that is missing, doubled or old,
// which is what damage to the pages between the root and a value looks like.
type tally struct {
	count uint64
	sum   uint64
}

func (t *tally) add(value []byte) {
	t.count++
	t.sum += uint64(sealOf(value))
}

func (t *tally) remove(value []byte) {
	t.count--
	t.sum -= uint64(sealOf(value))
}

// encodeTallies returns the sealed form of tallies under the key they belong to.
func encodeTallies(key []byte, ts ...tally) []byte {
	var b []byte
	for _, t := range ts {
		b = binary.BigEndian.AppendUint64(b, t.count)
		b = binary.BigEndian.AppendUint64(b, t.sum)
	}
	return seal(tallyKey(key), b)
}

// decodeTallies reads into ts what encodeTallies has made.
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

// tallyKey keeps the tally of one maildrop from being taken for that of another.
func tallyKey(key []byte) []byte { return slices.Concat([]byte("tally "), key) }
