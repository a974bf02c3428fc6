package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The parts of bbolt's file format, version 2, that are checked before bbolt opens the
// file. bbolt trusts what it reads: an invalid page ends in a panic on any of its
// goroutines, in an endless recursion, or, if the list of free pages is wrong, in a
// write over pages that are in use. Numbers are in the byte order of the machine.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader = 16 // id uint64, flags uint16, count uint16, overflow uint32
	metaSize   = 64 // checksum included
	noFreelist = ^uint64(0)

	minPageSize = 1 << 10
	maxPageSize = 16 << 20
)

// boltMeta is the content of a meta page.
type boltMeta struct {
	pageSize int64  // octets
	root     uint64 // page of the root bucket
	freelist uint64 // page of the list of free pages
	pages    uint64 // pages in use or free; those beyond are not used yet
	txid     uint64 // number of the commit; the meta page with the greater one counts
}

// usage is how much of a file is in use.
type usage struct {
	size  int64  // of the file in octets
	pages uint64 // in use or free; the file may have room for more after them
	free  uint64 // pages
	page  int64  // octets of a page
}

// share returns the share of the free pages, from 0 to 1.
func (u usage) share() float64 { return float64(u.free) / float64(max(u.pages, 1)) }

// checkFile returns why a file is not a whole bbolt file. It checks the meta pages, every
// page that can be reached from them, and the list of free pages, but not the values
// in them. It reads the file and never maps it.
func checkFile(f *os.File) (usage, error) {
	info, err := f.Stat()
	if err != nil {
		return usage{}, err
	}
	size := info.Size()
	if size == 0 {
		return usage{}, errors.New("it is empty")
	}
	m, err := findMeta(f, size)
	if err != nil {
		return usage{}, err
	}
	switch {
	case m.pages < 4 || m.pages > uint64(size/m.pageSize):
		return usage{}, fmt.Errorf("it has %d octets where %d pages of %d octets were written", size, m.pages, m.pageSize)
	case m.freelist == noFreelist:
		// bbolt would search for the free pages on a goroutine of its own.
		return usage{}, errors.New("it has no list of free pages")
	}
	w := &walker{file: f, meta: m, reached: make([]uint64, m.pages/64+1)}
	err = w.walk()
	return usage{size: size, pages: m.pages, free: w.free, page: m.pageSize}, err
}

// findMeta returns the meta page that counts. One of the two may be broken: a commit
// writes its meta page last, and a power cut can tear it. The other one is of the
// commit before, whose pages are all still there.
func findMeta(r io.ReaderAt, size int64) (boltMeta, error) {
	m0, err0 := readMetaPage(r, 0)
	if errors.Is(err0, ErrVersion) {
		return m0, err0
	}
	if err0 == nil {
		if m1, err := readMetaPage(r, m0.pageSize); err == nil && m1.pageSize == m0.pageSize && m1.txid > m0.txid {
			return m1, nil
		}
		return m0, nil
	}
	// The meta page has the page size, and the second meta page is one page on.
	for at := int64(minPageSize); at <= maxPageSize && at < size; at *= 2 {
		if m1, err := readMetaPage(r, at); err == nil && m1.pageSize == at {
			return m1, nil
		}
	}
	return boltMeta{}, fmt.Errorf("neither meta page can be used: the first %w", err0)
}

func readMetaPage(r io.ReaderAt, at int64) (boltMeta, error) {
	var page [pageHeader + metaSize]byte
	if _, err := r.ReadAt(page[:], at); err != nil {
		return boltMeta{}, fmt.Errorf("cannot be read: %w", err)
	}
	var (
		b    = page[pageHeader:]
		u32  = binary.NativeEndian.Uint32
		u64  = binary.NativeEndian.Uint64
		sum  = fnv.New64a()
		meta = boltMeta{pageSize: int64(u32(b[8:])), root: u64(b[16:]), freelist: u64(b[32:]), pages: u64(b[40:]), txid: u64(b[48:])}
	)
	sum.Write(b[:metaSize-8])
	switch v := u32(b[4:]); {
	case u32(b) != boltMagic:
		return meta, errors.New("has the wrong magic number")
	case u64(b[metaSize-8:]) != sum.Sum64():
		return meta, errBroken
	case v > boltVersion:
		return meta, fmt.Errorf("%w: bbolt format %d, this popfetch knows %d", ErrVersion, v, boltVersion)
	case v < boltVersion:
		return meta, fmt.Errorf("is of bbolt format %d", v)
	case meta.pageSize < minPageSize || meta.pageSize > maxPageSize || meta.pageSize&(meta.pageSize-1) != 0:
		return meta, fmt.Errorf("gives %d octets as the size of a page", meta.pageSize)
	}
	return meta, nil
}
