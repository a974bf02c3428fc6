package fetch

import "encoding/binary"

// table is a list that grows in blocks: it is never copied to become longer, so
// that a great one takes its own size of memory and not two or three times that.
type table[T any] struct{ blocks [][]T }

// blockLen is how many elements a block holds.
const blockLen = 4096

func (t *table[T]) len() int {
	last := len(t.blocks) - 1
	if last < 0 {
		return 0
	}
	return last*blockLen + len(t.blocks[last])
}

func (t *table[T]) at(i int) *T { return &t.blocks[i/blockLen][i%blockLen] }

func (t *table[T]) add(v T) {
	last := len(t.blocks) - 1
	switch {
	case last < 0:
		t.blocks, last = append(t.blocks, nil), 0 // grows with what there is: most lists are short
	case len(t.blocks[last]) == blockLen:
		t.blocks, last = append(t.blocks, make([]T, 0, blockLen)), last+1
	}
	t.blocks[last] = append(t.blocks[last], v)
}

// set sets an element. Where the table is too short for it, none fills the gap.
func (t *table[T]) set(i int, v, none T) {
	for t.len() <= i {
		t.add(none)
	}
	*t.at(i) = v
}

// get returns an element, none where the table is too short for it.
func (t *table[T]) get(i int, none T) T {
	if i >= t.len() {
		return none
	}
	return *t.at(i)
}

// truncate removes all elements but the first n.
func (t *table[T]) truncate(n int) {
	t.blocks = t.blocks[:(n+blockLen-1)/blockLen]
	if last := len(t.blocks) - 1; last >= 0 {
		t.blocks[last] = t.blocks[last][:n-last*blockLen]
	}
}

// arena holds octets of many owners one behind the other, each with their length
// in two octets before them.
type arena struct{ chunks [][]byte }

// place is where something is in an arena: the number of the chunk and, in the
// lower 16 bits, the offset in it.
type place uint32

const (
	chunkLen   = 1 << 16
	lengthSize = 2
)

// add puts the octets of s, fewer than 64 KiB, into the arena.
func (a *arena) add(s []byte) place {
	last := len(a.chunks) - 1
	switch {
	case last < 0:
		a.chunks, last = append(a.chunks, nil), 0
	case len(a.chunks[last])+lengthSize+len(s) > chunkLen:
		a.chunks, last = append(a.chunks, make([]byte, 0, chunkLen)), last+1
	}
	at := len(a.chunks[last])
	a.chunks[last] = append(binary.NativeEndian.AppendUint16(a.chunks[last], uint16(len(s))), s...)
	return place(last<<16 | at)
}

// get returns what add has put there. It must not be changed.
func (a *arena) get(p place) []byte {
	b := a.chunks[p>>16][p&(chunkLen-1):]
	n := binary.NativeEndian.Uint16(b)
	return b[lengthSize:][:n]
}
