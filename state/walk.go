package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Flags of a page and of an element of a leaf.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	plainElement  = 0
	bucketElement = 1

	elementSize      = 16
	bucketHeader     = 16     // root page uint64, sequence uint64
	freelistOverflow = 0xFFFF // count of a list whose first number is its length
)

// walker visits every page that can be reached, and each only once.
type walker struct {
	file    io.ReaderAt
	meta    boltMeta
	reached []uint64 // one bit for each page
	free    uint64   // pages in the list of free pages
	bufs    [][]byte // of one page each, for load; as many as the tree is deep
}

func (w *walker) walk() error {
	_ = w.use(0, 2) // the meta pages
	if err := w.subtree(w.meta.root, nil, nil); err != nil {
		return err
	}
	return w.freelist()
}

// use marks pages as reached. It is an error if one was reached before, as in a cycle, or
// lies outside the file.
func (w *walker) use(first, n uint64) error {
	if first >= w.meta.pages || n > w.meta.pages-first {
		return fmt.Errorf("page %d is not in the file", first)
	}
	for id := first; id < first+n; id++ {
		if w.reached[id/64]&(1<<(id%64)) != 0 {
			return fmt.Errorf("page %d is used twice", id)
		}
		w.reached[id/64] |= 1 << (id % 64)
	}
	return nil
}

// load reads a page with its overflow pages and marks them. The page is valid until it
// is passed to release.
func (w *walker) load(id uint64) (page, error) {
	if id >= w.meta.pages {
		return page{}, fmt.Errorf("page %d is not in the file", id)
	}
	p := page{id: id, data: w.buffer()}
	if err := w.read(p.data, id); err != nil {
		return p, err
	}
	if own := binary.NativeEndian.Uint64(p.data); own != id {
		return p, fmt.Errorf("page %d has the number of page %d", id, own)
	}
	n := uint64(binary.NativeEndian.Uint32(p.data[12:])) + 1
	if err := w.use(id, n); err != nil || n == 1 {
		return p, err
	}
	whole := make([]byte, int64(n)*w.meta.pageSize)
	err := w.read(whole[copy(whole, p.data):], id+1)
	w.release(p)
	p.data = whole
	return p, err
}

// read fills data from the file, beginning with a page.
func (w *walker) read(data []byte, id uint64) error {
	if _, err := w.file.ReadAt(data, int64(id)*w.meta.pageSize); err != nil {
		return fmt.Errorf("page %d cannot be read: %w", id, err)
	}
	return nil
}

func (w *walker) buffer() []byte {
	last := len(w.bufs) - 1
	if last < 0 {
		return make([]byte, w.meta.pageSize)
	}
	b := w.bufs[last]
	w.bufs = w.bufs[:last]
	return b
}

// release makes the memory of a page free for load. Its keys are not valid any more.
func (w *walker) release(p page) {
	if int64(len(p.data)) == w.meta.pageSize {
		w.bufs = append(w.bufs, p.data)
	}
}

// subtree checks a page and those below it. Every key has to be at least low and less
// than high; nil is no bound.
func (w *walker) subtree(id uint64, low, high []byte) error {
	p, err := w.load(id)
	if err != nil {
		return err
	}
	defer w.release(p)
	switch p.flags() {
	case leafPage:
		return w.leaf(p, low, high)
	case branchPage:
		return w.branch(p, low, high)
	}
	return fmt.Errorf("page %d is neither leaf nor branch (flags %#x)", id, p.flags())
}

func (w *walker) branch(p page, low, high []byte) error {
	if p.count() == 0 {
		return fmt.Errorf("page %d is a branch without elements", p.id)
	}
	for i := range p.count() {
		key, err := p.key(i, low, high)
		if err != nil {
			return err
		}
		next := high
		if i+1 < p.count() {
			if next, err = p.key(i+1, key, high); err != nil {
				return err
			}
			if bytes.Equal(key, next) {
				return fmt.Errorf("page %d has a key twice", p.id)
			}
		}
		if err := w.subtree(p.child(i), key, next); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) leaf(p page, low, high []byte) error {
	var before []byte
	for i := range p.count() {
		key, err := p.key(i, low, high)
		if err != nil {
			return err
		}
		if i > 0 && bytes.Compare(before, key) >= 0 {
			return fmt.Errorf("page %d has its keys out of order", p.id)
		}
		before = key
		value, err := p.value(i)
		if err != nil {
			return err
		}
		switch f := p.elementFlags(i); f {
		case plainElement:
		case bucketElement:
			if err := w.bucket(p.id, value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("page %d has an element of the unknown kind %#x", p.id, f)
		}
	}
	return nil
}

// bucket checks a bucket: its root page, or the small leaf that stands in the
// value itself.
func (w *walker) bucket(in uint64, value []byte) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("page %d has a bucket of %d octets", in, len(value))
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.subtree(root, nil, nil)
	}
	p := page{id: in, data: value[bucketHeader:]}
	if len(p.data) < pageHeader || p.flags() != leafPage {
		return fmt.Errorf("page %d has a bucket that cannot be read", in)
	}
	return w.leaf(p, nil, nil)
}

// freelist checks that no free page is in use.
func (w *walker) freelist() error {
	p, err := w.load(w.meta.freelist)
	if err != nil {
		return err
	}
	if p.flags() != freelistPage {
		return fmt.Errorf("page %d is not the list of free pages (flags %#x)", p.id, p.flags())
	}
	list, n := p.data[pageHeader:], uint64(p.count())
	if n == freelistOverflow {
		n, list = binary.NativeEndian.Uint64(list), list[8:]
	}
	if n > uint64(len(list)/8) {
		return errors.New("the list of free pages is longer than its page")
	}
	w.free = n
	before := uint64(0)
	for i := range n {
		id := binary.NativeEndian.Uint64(list[8*i:])
		if id <= before {
			return errors.New("the list of free pages is out of order")
		}
		if err := w.use(id, 1); err != nil {
			return fmt.Errorf("the list of free pages: %w", err)
		}
		before = id
	}
	return nil
}

// page is a page of the file with its overflow pages, or the inline page of a small
// bucket.
type page struct {
	id   uint64
	data []byte
}

func (p page) flags() uint16 { return binary.NativeEndian.Uint16(p.data[8:]) }
func (p page) count() int    { return int(binary.NativeEndian.Uint16(p.data[10:])) }

// The elements follow the header. In a branch each is pos uint32, key size uint32, page
// uint64; in a leaf flags, pos, key size and value size, each uint32. pos is the distance
// from the element to its key in octets. The value follows the key.

func (p page) element(i int) []byte { return p.data[pageHeader+i*elementSize:] }

func (p page) child(i int) uint64        { return binary.NativeEndian.Uint64(p.element(i)[8:]) }
func (p page) elementFlags(i int) uint32 { return binary.NativeEndian.Uint32(p.element(i)) }

// key returns the key of an element and checks its bounds.
func (p page) key(i int, low, high []byte) ([]byte, error) {
	if pageHeader+p.count()*elementSize > len(p.data) {
		return nil, fmt.Errorf("page %d has more elements than it can hold", p.id)
	}
	e := p.element(i)
	if p.flags() == leafPage {
		e = e[4:]
	}
	pos, n := binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:])
	key, err := p.cut(i, uint64(pos), uint64(n))
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, fmt.Errorf("page %d has an empty key", p.id)
	case bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0:
		return nil, fmt.Errorf("page %d has a key that belongs elsewhere", p.id)
	}
	return key, nil
}

// value returns the value of an element of a leaf.
func (p page) value(i int) ([]byte, error) {
	e := p.element(i)
	pos, k, v := binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
	return p.cut(i, uint64(pos)+uint64(k), uint64(v))
}

// cut returns the n octets that begin at a distance of from octets after element i.
func (p page) cut(i int, from, n uint64) ([]byte, error) {
	b := p.element(i)
	if from < uint64((p.count()-i)*elementSize) || from+n > uint64(len(b)) {
		return nil, fmt.Errorf("page %d has an element outside of it", p.id)
	}
	return b[from : from+n], nil
}
