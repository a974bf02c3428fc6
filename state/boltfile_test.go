package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// layout is where the parts of a sample file are.
type layout struct {
	size   int    // of a page
	newest int    // offset of the meta page that counts
	root   uint64 // page of the root bucket
	list   uint64 // page of the list of free pages
	branch uint64 // root page of the ids of big@host
	leaf   uint64 // its first child
}

func layoutOf(t testing.TB, data []byte) layout {
	t.Helper()
	m, err := findMeta(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	l := layout{size: int(m.pageSize), newest: int(m.pageSize) * int(m.txid%2), root: m.root, list: m.freelist}
	path := newPath(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path)
	if err := s.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(maildropsName)).Bucket([]byte("big@host")).Bucket([]byte(idsName))
		l.branch = uint64(b.Root())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if l.page(data, l.branch).flags() != branchPage {
		t.Fatal("the sample file is too small")
	}
	l.leaf = l.page(data, l.branch).child(0)
	return l
}

// page is a view of a page: a write to it changes data.
func (l layout) page(data []byte, id uint64) page {
	return page{id: id, data: data[int(id)*l.size : int(id+1)*l.size]}
}

// recordOffset returns the place of an octet in the first record of big@host.
func recordOffset(t testing.TB, data []byte) int {
	t.Helper()
	l := layoutOf(t, data)
	v, err := l.page(data, l.leaf).value(0)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data[int(l.leaf)*l.size:], v)
	return int(l.leaf)*l.size + at + 3
}

func mustKey(t testing.TB, p page, i int) []byte {
	t.Helper()
	key, err := p.key(i, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Each case breaks one thing.
func TestOpenFindsEachBrokenPart(t *testing.T) {
	put16, put32, put64 := binary.NativeEndian.PutUint16, binary.NativeEndian.PutUint32, binary.NativeEndian.PutUint64
	for words, damage := range map[string]func(d []byte, l layout){
		"has the number of page":     func(d []byte, l layout) { put64(l.page(d, l.leaf).data, l.leaf+1) },
		"neither leaf nor branch":    func(d []byte, l layout) { put16(l.page(d, l.leaf).data[8:], 3) },
		"branch without elements":    func(d []byte, l layout) { put16(l.page(d, l.branch).data[10:], 0) },
		"more elements than":         func(d []byte, l layout) { put16(l.page(d, l.leaf).data[10:], 0xFFFF) },
		"element outside of it":      func(d []byte, l layout) { put32(l.page(d, l.leaf).element(1)[12:], 1<<31) },
		"an empty key":               func(d []byte, l layout) { put32(l.page(d, l.leaf).element(1)[8:], 0) },
		"of the unknown kind":        func(d []byte, l layout) { put32(l.page(d, l.leaf).element(1), 2) },
		"is not the list":            func(d []byte, l layout) { put16(l.page(d, l.list).data[8:], leafPage) },
		"list of free pages is out":  func(d []byte, l layout) { copy(l.page(d, l.list).data[16:24], l.page(d, l.list).data[24:32]) },
		"list of free pages is long": func(d []byte, l layout) { put16(l.page(d, l.list).data[10:], 60_000) },
		"free pages: page": func(d []byte, l layout) {
			put64(l.page(d, l.list).data[16:], 2)
			put64(l.page(d, l.list).data[24:], l.root)
		},
		"keys out of order":  func(d []byte, l layout) { swapKeys(t, l.page(d, l.leaf), 1, 2) },
		"belongs elsewhere":  func(d []byte, l layout) { mustKey(t, l.page(d, l.branch), 1)[0] = 'a' },
		"a key that belongs": func(d []byte, l layout) { mustKey(t, l.page(d, l.branch), 1)[7]++ },
		"a key twice":        func(d []byte, l layout) { copy(mustKey(t, l.page(d, l.branch), 1), mustKey(t, l.page(d, l.branch), 0)) },
		"is used twice":      func(d []byte, l layout) { put64(l.page(d, l.branch).element(1)[8:], l.leaf) },
		"is not in the file": func(d []byte, l layout) { put64(l.page(d, l.branch).element(1)[8:], 1<<40) },
		"not in the file":    func(d []byte, l layout) { put32(l.page(d, l.leaf).data[12:], 1<<31) },
	} {
		t.Run(words, func(t *testing.T) {
			data, _, _ := sampleFile(t)
			damage(data, layoutOf(t, data))
			wantCheck(t, data, words)
		})
	}
}

func swapKeys(t *testing.T, p page, i, j int) {
	t.Helper()
	a, b := mustKey(t, p, i), mustKey(t, p, j)
	old := bytes.Clone(a)
	copy(a, b)
	copy(b, old)
}

func wantCheck(t *testing.T, data []byte, words string) {
	t.Helper()
	path := newPath(t)
	_, err := tryFile(t, path, data)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), words) {
		t.Errorf("want %q, got %v", words, err)
	}
}

// bbolt would follow them in an endless recursion, which nothing can stop.
func TestBucketsInACircleAreFound(t *testing.T) {
	data, _, _ := sampleFile(t)
	l := layoutOf(t, data)
	root := l.page(data, l.root)
	for i := range root.count() {
		v, err := root.value(i)
		if err != nil {
			t.Fatal(err)
		}
		if binary.NativeEndian.Uint64(v) != 0 { // not inline
			binary.NativeEndian.PutUint64(v, l.root)
		}
	}
	wantCheck(t, data, "is used twice")
}

// The pages have the right checksum, so only their content tells.
func TestInvalidMetaPagesAreFound(t *testing.T) {
	put32, put64 := binary.NativeEndian.PutUint32, binary.NativeEndian.PutUint64
	for name, c := range map[string]struct {
		set   func(m []byte)
		words string
	}{
		"pages beyond the file": {func(m []byte) { put64(m[40:], 1<<60) }, "octets where"},
		"too few pages":         {func(m []byte) { put64(m[40:], 3) }, "octets where"},
		"root beyond":           {func(m []byte) { put64(m[16:], 1<<60) }, "not in the file"},
		"root is a meta page":   {func(m []byte) { put64(m[16:], 0) }, "used twice"},
		"freelist beyond":       {func(m []byte) { put64(m[32:], 1<<50) }, "not in the file"},
		"no freelist":           {func(m []byte) { put64(m[32:], noFreelist) }, "no list of free pages"},
		"page size":             {func(m []byte) { put32(m[8:], 5000) }, "5000 octets"},
		"old version":           {func(m []byte) { put32(m[4:], 1) }, "bbolt format 1"},
		"magic":                 {func(m []byte) { put32(m, 1) }, "magic"},
	} {
		t.Run(name, func(t *testing.T) {
			data, _, _ := sampleFile(t)
			setMetas(data, c.set)
			wantCheck(t, data, c.words)
		})
	}
	data, _, _ := sampleFile(t)
	setMetas(data, func(m []byte) { put32(m[4:], 3) })
	if _, err := tryFile(t, newPath(t), data); !errors.Is(err, ErrVersion) {
		t.Errorf("bbolt format 3: %v", err)
	}
}

// setMetas changes both meta pages and makes their checksums right.
func setMetas(data []byte, set func(m []byte)) {
	for _, at := range []int{0, os.Getpagesize()} {
		m := data[at+pageHeader : at+pageHeader+metaSize]
		set(m)
		sum := fnv.New64a()
		sum.Write(m[:metaSize-8])
		binary.NativeEndian.PutUint64(m[metaSize-8:], sum.Sum64())
	}
}

// Where the newer meta page is damaged the commit before counts again, for this package
// and for bbolt. Where the older one is damaged nothing changes.
func TestTornMetaPageBringsBackTheCommitBefore(t *testing.T) {
	data, last, before := sampleFile(t)
	for range 2 {
		l := layoutOf(t, data)
		for at, want := range map[int]contents{l.newest: before, l.size - l.newest: last} {
			bad := bytes.Clone(data)
			bad[at+pageHeader+48] ^= 0x10 // the transaction id
			// checkFile has to check the page that bbolt uses.
			m, err := findMeta(bytes.NewReader(bad), int64(len(bad)))
			if err != nil || int(m.txid%2)*l.size == at {
				t.Errorf("meta page at %d torn and used: %v", at, err)
			}
			got, err := tryFile(t, newPath(t), bad)
			if err != nil || !want.equal(got) {
				t.Errorf("meta page at %d torn: %v, right contents: %v", at, err, want.equal(got))
			}
		}
		// Again with the roles of the two pages exchanged.
		path := newPath(t)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, path)
		before = mustRead(t, s)
		mustCommit(t, s.Maildrop("big@host"), Change{Put: entries(950, 960)})
		last = mustRead(t, s)
		mustClose(t, s)
		var err error
		if data, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenNeedsNoMoreMemoryForMoreIDs(t *testing.T) {
	f, err := os.Open(benchmarkStore(t, 20_000))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := testing.AllocsPerRun(3, func() {
		if _, err := checkFile(f); err != nil {
			t.Fatal(err)
		}
	}); n > 50 {
		t.Errorf("%v allocations", n)
	}
}
