package state

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// sampleFile makes a store with everything in it: several maildrops, small ones and one
// of many pages, open intents and free pages. It returns the octets of the file, what it
// holds, and what it held before the last commit.
func sampleFile(t testing.TB) (data []byte, last, before contents) {
	t.Helper()
	path := newPath(t)
	s := mustOpen(t, path)
	big, small := s.Maildrop("big@host"), s.Maildrop("small@host")
	mustCommit(t, big, Change{Put: entries(0, 600)})
	var forget []string
	for _, e := range entries(100, 250) {
		forget = append(forget, e.ID)
	}
	mustCommit(t, big, Change{Forget: forget})
	put := entries(700, 704)
	put[2].Intent = &Intent{Kind: "maildir", Note: "tmp/1.2.host"}
	mustCommit(t, small, Change{Put: put})
	before = mustRead(t, s)
	put = entries(800, 830)
	for i := range put {
		put[i].Intent = &Intent{Kind: "mda", Note: fmt.Sprint("attempt ", i)}
	}
	mustCommit(t, big, Change{Put: put})
	last = mustRead(t, s)
	mustClose(t, s)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data, last, before
}

// tryFile opens a file of these octets and reads all of it. It accepts the errors
// ErrDamaged and, by chance, ErrVersion, while the file is as it was and its lock is free.
func tryFile(t testing.TB, path string, data []byte) (contents, error) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var got contents
	s, err := fileAt(path).Open()
	if err == nil {
		got, err = read(s)
		_ = s.Close()
	}
	if err == nil {
		return got, nil
	}
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), path) {
		t.Errorf("wrong error: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(data) {
		t.Errorf("a damaged file was changed (%v)", err)
	}
	if s, err := fileAt(path).Open(); err == nil {
		_ = s.Close()
	} else if errors.Is(err, ErrLocked) {
		t.Errorf("the lock is still held: %v", err)
	}
	return nil, err
}

// mustBeRightOrDamaged fails unless what is read is right or the file is refused.
func mustBeRightOrDamaged(t testing.TB, what, path string, data []byte, right ...contents) (readable bool) {
	t.Helper()
	got, err := tryFile(t, path, data)
	if err != nil {
		return false
	}
	for _, want := range right {
		if want.equal(got) {
			return true
		}
	}
	t.Errorf("%s: the contents are wrong:\n%s", what, cmp.Diff(right[0], got))
	return false
}

func TestTruncatedFileIsFound(t *testing.T) {
	data, _, _ := sampleFile(t)
	page := os.Getpagesize()
	sizes := []int{0, 1, 2, page - 1, page, 2*page - 1, 2 * page}
	for n := 3 * page; n < len(data); n += page {
		sizes = append(sizes, n-1, n, n+1)
	}
	m, err := findMeta(strings.NewReader(string(data)), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	path := newPath(t)
	for _, n := range sizes {
		_, err := tryFile(t, path, data[:n])
		if used := int(m.pages) * page; n < used && !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d of %d octets: %v", n, used, err)
		}
	}
	_, err = tryFile(t, path, nil)
	if err == nil || !strings.Contains(err.Error(), "empty") || !strings.Contains(err.Error(), "popfetch state restore") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestZeroedPagesAreFound(t *testing.T) {
	data, last, before := sampleFile(t)
	page, path := os.Getpagesize(), newPath(t)
	for at := 0; at < len(data); at += page {
		bad := append([]byte(nil), data...)
		clear(bad[at : at+page])
		right := []contents{last}
		if at < 2*page {
			right = append(right, before) // as after a power cut in the last commit
		}
		mustBeRightOrDamaged(t, fmt.Sprintf("page %d zeroed", at/page), path, bad, right...)
	}
	clear(data)
	if _, err := tryFile(t, path, data); !errors.Is(err, ErrDamaged) {
		t.Errorf("all zeros: %v", err)
	}
}

func TestSwappedPagesAreFound(t *testing.T) {
	data, last, before := sampleFile(t)
	page, path := os.Getpagesize(), newPath(t)
	for a := 2 * page; a < len(data); a += page {
		for b := a + page; b < len(data); b += 3 * page {
			bad := append([]byte(nil), data...)
			copy(bad[a:a+page], data[b:b+page])
			mustBeRightOrDamaged(t, fmt.Sprintf("page %d over %d", b/page, a/page), path, bad, last, before)
		}
	}
}

// A few octets of each page are changed in turn. A file that is accepted has the right
// contents, also after a commit.
func TestFlippedOctetsAreFound(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 4
	}
	data, last, before := sampleFile(t)
	page, path := os.Getpagesize(), newPath(t)
	readable := 0
	for at := 0; at < len(data); at += page {
		for seed := range seeds {
			rnd := rand.New(rand.NewPCG(uint64(at), uint64(seed)))
			bad := append([]byte(nil), data...)
			area := page
			if seed%2 == 0 {
				area = 128 // a header is small, and damage there does more
			}
			for range 1 + rnd.IntN(4) {
				bad[at+rnd.IntN(area)] ^= byte(1 + rnd.IntN(255))
			}
			what := fmt.Sprintf("page %d, seed %d", at/page, seed)
			right := []contents{last}
			if at < 2*page {
				right = append(right, before)
			}
			if mustBeRightOrDamaged(t, what, path, bad, right...) {
				readable++
				commitAndCompare(t, what, path)
			}
		}
	}
	t.Logf("%d of %d files were accepted", readable, len(data)/page*seeds)
}

func commitAndCompare(t *testing.T, what, path string) {
	t.Helper()
	s := mustOpen(t, path)
	want := mustRead(t, s)
	for i := range 2 {
		c := Change{Done: []string{entries(800, 801)[0].ID}, Put: entries(900+i*20, 920+i*20)}
		if err := s.Maildrop("big@host").Commit(c); err != nil {
			t.Errorf("%s: commit: %v", what, err)
			return
		}
		want.apply("big@host", c)
	}
	mustClose(t, s)
	s = mustOpen(t, path)
	if got := mustRead(t, s); !want.equal(got) {
		t.Errorf("%s: after a commit:\n%s", what, cmp.Diff(want, got))
	}
	mustClose(t, s)
}

// A page that is mapped and not in the file any more is a memory fault, in a read and in
// a commit.
func TestFileCutUnderAnOpenStoreIsDamage(t *testing.T) {
	data, _, _ := sampleFile(t)
	for what, use := range map[string]func(*Bolt) error{
		"scan":    func(s *Bolt) error { _, err := read(s); return err },
		"intents": func(s *Bolt) error { _, err := s.Maildrop("big@host").Intents(); return err },
		"commit":  func(s *Bolt) error { return s.Maildrop("big@host").Commit(Change{Put: entries(0, 50)}) },
	} {
		path := newPath(t)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, path)
		if err := os.Truncate(path, int64(2*os.Getpagesize())); err != nil {
			t.Fatal(err)
		}
		first := use(s)
		if !errors.Is(first, ErrDamaged) {
			t.Errorf("%s: %v", what, first)
		}
		if err := use(s); err != first {
			t.Errorf("%s again: %v", what, err)
		}
		mustClose(t, s)
		if _, err := fileAt(path).Open(); !errors.Is(err, ErrDamaged) {
			t.Errorf("open after %s: %v", what, err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil { // restored
			t.Fatal(err)
		}
		mustClose(t, mustOpen(t, path))
	}
}

// The values and buckets are removed with bbolt, so the structure of the file is whole.
func TestLostPartIsFound(t *testing.T) {
	data, _, _ := sampleFile(t)
	drops := func(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket([]byte(maildropsName)) }
	big := func(tx *bbolt.Tx) *bbolt.Bucket { return drops(tx).Bucket([]byte("big@host")) }
	id := []byte(entries(800, 801)[0].ID)
	for what, remove := range map[string]func(*bbolt.Tx) error{
		"maildrop":     func(tx *bbolt.Tx) error { return drops(tx).DeleteBucket([]byte("small@host")) },
		"ids":          func(tx *bbolt.Tx) error { return big(tx).DeleteBucket([]byte(idsName)) },
		"intents":      func(tx *bbolt.Tx) error { return big(tx).DeleteBucket([]byte(intentsName)) },
		"tally":        func(tx *bbolt.Tx) error { return big(tx).Delete([]byte(tallyName)) },
		"record":       func(tx *bbolt.Tx) error { return big(tx).Bucket([]byte(idsName)).Delete(id) },
		"intent":       func(tx *bbolt.Tx) error { return big(tx).Bucket([]byte(intentsName)).Delete(id) },
		"format":       func(tx *bbolt.Tx) error { return tx.Bucket([]byte(metaName)).Delete([]byte(formatName)) },
		"store id":     func(tx *bbolt.Tx) error { return tx.Bucket([]byte(metaName)).Delete([]byte(storeName)) },
		"names' tally": func(tx *bbolt.Tx) error { return tx.Bucket([]byte(metaName)).Delete([]byte(tallyName)) },
		"a bucket for a record": func(tx *bbolt.Tx) error {
			_, err := big(tx).Bucket([]byte(idsName)).CreateBucket([]byte("zz"))
			return err
		},
	} {
		path := newPath(t)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(remove), db.Close()); err != nil {
			t.Fatal(err)
		}
		bad, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tryFile(t, filepath.Join(t.TempDir(), "s"), bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s lost: %v", what, err)
		}
		if what == "maildrop" { // its next commit must not begin anew
			s := mustOpen(t, path)
			if err := s.Maildrop("small@host").Commit(Change{Put: entries(0, 1)}); !errors.Is(err, ErrDamaged) {
				t.Errorf("commit to a lost maildrop: %v", err)
			}
		}
	}
}

func TestScanEndsAtADamagedRecord(t *testing.T) {
	data, _, _ := sampleFile(t)
	data[recordOffset(t, data)] ^= 1
	path := newPath(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	own := errors.New("too few ids")
	err := mustOpen(t, path).Maildrop("big@host").Scan(func(seq iter.Seq2[[]byte, Record]) error {
		for range 2 {
			for id := range seq {
				t.Errorf("%q was read from a damaged page", id)
			}
		}
		return own
	})
	if !errors.Is(err, ErrDamaged) || errors.Is(err, own) {
		t.Error(err)
	}
}

// FuzzOpen reads any octets as a state file. The edits of a valid file are places, four
// octets each, and values.
func FuzzOpen(f *testing.F) {
	data, _, _ := sampleFile(f)
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{0, 0, 0, 16, 4}, uint32(0))
	f.Add([]byte{0, 0, 0x20, 10, 1, 0, 0, 0x30, 12, 0xff}, uint32(0))
	f.Add([]byte("SQLite format 3\x00"), uint32(1))
	f.Fuzz(func(t *testing.T, edits []byte, keep uint32) {
		bad := append([]byte(nil), data...)
		for ; len(edits) >= 5; edits = edits[5:] {
			at := int(edits[0])<<24 | int(edits[1])<<16 | int(edits[2])<<8 | int(edits[3])
			bad[at%len(bad)] = edits[4]
		}
		if keep > 0 {
			bad = bad[:int(keep)%len(bad)]
		}
		_, _ = tryFile(t, newPath(t), bad)
	})
}
