package state

import (
	"fmt"
	"iter"
	"os"
	"strings"
	"testing"
	"time"
)

// residentOctets returns how many octets of a mapped file are in the memory of this
// process.
func residentOctets(t *testing.T, path string) (octets int64) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	ofFile := false
	for line := range strings.Lines(string(maps)) {
		var kib int64
		if word, _, _ := strings.Cut(line, " "); !strings.HasSuffix(word, ":") { // the head of a mapping
			ofFile = strings.HasSuffix(strings.TrimSpace(line), path)
		} else if _, err := fmt.Sscanf(line, "Rss: %d kB", &kib); err == nil && ofFile {
			octets += kib << 10
		}
	}
	return octets
}

// A poll reads all records through the mapping of the file, and all of the file was in the
// memory of the process after it.
func TestScanDoesNotKeepTheFileInMemory(t *testing.T) {
	const ids, most = 100_000, 2 << 20
	path := benchmarkStore(t, ids)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path)
	n, peak := 0, int64(0)
	if err := s.Maildrop("me@host").Scan(func(known iter.Seq2[[]byte, Record]) error {
		for range known {
			if n++; n%1000 == 0 {
				peak = max(peak, residentOctets(t, path))
			}
		}
		return nil
	}); err != nil || n != ids {
		t.Fatal(n, err)
	}
	left := residentOctets(t, path)
	t.Logf("a file of %d KiB: %d KiB at most, %d KiB after it", info.Size()>>10, peak>>10, left>>10)
	if peak == 0 || peak > most || left > 64<<10 || info.Size() < 2*most {
		t.Errorf("of a file of %d KiB, %d KiB were in memory, and %d KiB after it", info.Size()>>10, peak>>10, left>>10)
	}
	if got := mustRead(t, s); len(got["me@host"]) != ids { // nothing was lost
		t.Errorf("%d ids", len(got["me@host"]))
	}
}

// A string for each of 1,000,000 ids was as much garbage as the listing is long.
func TestScanDoesNotAllocateForEachRecord(t *testing.T) {
	s := mustOpen(t, newPath(t))
	allocations := func(key string, n int) float64 {
		var c Change
		for i := range n {
			c.Put = append(c.Put, Entry{ID: fmt.Sprintf("id %06d", i), Record: Record{Delivered: time.Unix(1, 0), Octets: 100, Digest: [16]byte{1}}})
		}
		m := s.Maildrop(key)
		mustCommit(t, m, c)
		return testing.AllocsPerRun(5, func() {
			if err := m.Scan(func(known iter.Seq2[[]byte, Record]) error {
				for range known {
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocations("few@host", 1000), allocations("many@host", 20_000); many > few+20_000/scanPart*2 {
		t.Errorf("%v allocations for 1,000 records, %v for 20,000", few, many)
	}
}
