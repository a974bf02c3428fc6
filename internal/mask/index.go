package mask

import (
	"encoding/base64"
	"encoding/hex"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
)

// index holds the pieces that give secrets away: each run of a secret, as it is, in hex, and
// in base64 at each of the three places that it can have in a group of three octets. All are
// as normal writes them. Pieces are parts of few long texts, so that each takes 4 octets and
// not a copy.
type index struct {
	seed   maphash.Seed
	room   int    // slots of a new table, a power of two
	forms  []byte // the secrets in all forms, one behind another
	tables []table
}

// table is a hash table with open addressing for the pieces of one length.
type table struct {
	length int
	count  int
	slots  []uint32 // where a piece begins in index.forms, plus 1; 0 = empty
}

func newIndex() *index { return &index{seed: maphash.MakeSeed()} }

// addSecret adds every run of n octets of a secret, as it is and in either case: hex and
// base64 depend on that.
func (x *index) addSecret(secret string, n int) {
	x.room = 1 << bits.Len(uint(3*len(secret)))
	cases := []string{secret, strings.ToLower(secret), strings.ToUpper(secret)}
	slices.Sort(cases)
	for _, s := range slices.Compact(cases) {
		plain := x.form(s)
		inHex := x.form(hex.EncodeToString([]byte(s)))
		for i := 0; i+n <= len(s); i++ {
			x.piece(plain+i, n)
			x.piece(inHex+2*i, 2*n)
		}
		if n < 3 { // too few characters to look for, unless the text is nothing else
			for i := 0; i+n <= len(s); i++ {
				encoded := base64.RawStdEncoding.EncodeToString([]byte(s[i : i+n]))
				x.piece(x.form(encoded), len(encoded))
			}
			continue
		}
		// RFC 4648 section 4: 3 octets are 4 characters. Other octets may come before.
		for before := range 3 {
			encoded := x.form(base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + s)))
			for i := before; i+n <= before+len(s); i++ {
				first, end := (8*i+5)/6, 8*(i+n)/6 // the characters that depend on the run alone
				x.piece(encoded+first, end-first)
			}
		}
	}
}

// form adds a text of which parts are pieces, and returns where it begins.
func (x *index) form(text string) int {
	at := len(x.forms)
	x.forms = append(x.forms, normal(text)...)
	return at
}

// piece adds the n octets of x.forms that begin at a place.
func (x *index) piece(at, n int) {
	t := x.table(n)
	slot := x.find(t, x.forms[at:at+n])
	if t.slots[slot] != 0 {
		return
	}
	t.slots[slot] = uint32(at) + 1
	if t.count++; 2*t.count > len(t.slots) {
		full := t.slots
		t.slots = make([]uint32, 2*len(full))
		for _, at := range full {
			if at != 0 {
				t.slots[x.find(t, x.forms[at-1:int(at)-1+n])] = at
			}
		}
	}
}

// table returns the table for pieces of a length.
func (x *index) table(length int) *table {
	for i := range x.tables {
		if x.tables[i].length == length {
			return &x.tables[i]
		}
	}
	x.tables = append(x.tables, table{length: length, slots: make([]uint32, x.room)})
	return &x.tables[len(x.tables)-1]
}

// find returns the slot that has a piece, or the empty one where it belongs.
func (x *index) find(t *table, piece []byte) int {
	last := len(t.slots) - 1 // a power of two less 1
	slot := int(maphash.Bytes(x.seed, piece)) & last
	for ; t.slots[slot] != 0; slot = (slot + 1) & last {
		at := int(t.slots[slot]) - 1
		if string(x.forms[at:at+t.length]) == string(piece) {
			break
		}
	}
	return slot
}

// in reports whether a piece is in the text.
func (x *index) in(text string) bool {
	if len(x.tables) == 0 {
		return false
	}
	octets := []byte(normal(text))
	for i := range x.tables {
		t := &x.tables[i]
		for first := 0; first+t.length <= len(octets); first++ {
			if t.slots[x.find(t, octets[first:first+t.length])] != 0 {
				return true
			}
		}
	}
	return false
}
