package plan

import "encoding/binary"

// table is a list that grows in blocks. Growing copies nothing, so a large table needs
// no more memory than its elements.
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
		t.blocks, last = append(t.blocks, nil), 0 // append sizes it: most lists are short
	case len(t.blocks[last]) == blockLen:
		t.blocks, last = append(t.blocks, make([]T, 0, blockLen)), last+1
	}
	t.blocks[last] = append(t.blocks[last], v)
}

// set sets element i. It first extends a shorter table with fill.
func (t *table[T]) set(i int, v, fill T) {
	for t.len() <= i {
		t.add(fill)
	}
	*t.at(i) = v
}

// get returns element i, or fallback beyond the end.
func (t *table[T]) get(i int, fallback T) T {
	if i >= t.len() {
		return fallback
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

// arena stores byte strings one after the other, each preceded by its length in two
// octets.
type arena struct{ chunks [][]byte }

// place locates a string in an arena: the number of the chunk, and in the lower
// 16 bits the offset within it.
type place uint32

const (
	chunkLen   = 1 << 16
	lengthSize = 2
)

// add copies s, which is shorter than 64 KiB, into the arena.
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

// get returns the string at p. The caller must not change it.
func (a *arena) get(p place) []byte {
	b := a.chunks[p>>16][p&(chunkLen-1):]
	n := binary.NativeEndian.Uint16(b)
	return b[lengthSize:][:n]
}
