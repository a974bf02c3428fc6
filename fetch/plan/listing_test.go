package plan

import (
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popfetch/state"
)

// line is a line of UIDL.
type line struct {
	num int
	uid string
}

// listingOf builds a listing as a poll does from UIDL, and returns the numbers
// that were listed twice.
func listingOf(lines []line) (l *Listing, twice []int) {
	l = new(Listing)
	for _, u := range lines {
		l.AddUID(u.num, []byte(u.uid))
	}
	l.DropRepeatedNums(func(num int) { twice = append(twice, num) })
	l.MarkTwins()
	return l, twice
}

// naiveListing does the same without care for memory.
func naiveListing(lines []line, sizes map[int]int64) (all []Listed, twice []int) {
	first := make(map[int]bool)
	count, nth := make(map[string]int), make(map[string]int)
	for _, u := range lines {
		if first[u.num] {
			twice = append(twice, u.num)
			continue
		}
		first[u.num] = true
		count[u.uid]++
		octets, ok := sizes[u.num]
		if !ok {
			octets = -1
		}
		all = append(all, Listed{Num: u.num, ID: u.uid, Octets: octets})
	}
	for i := range all {
		uid := all[i].ID
		if nth[uid]++; nth[uid] > 1 {
			all[i].ID = fmt.Sprintf("%s\x00%d", uid, nth[uid])
		}
		all[i].Repeated = count[uid] > 1
	}
	return all, twice
}

// randomLines returns n lines of a bad server: numbers and unique-ids in any
// order, some more than once.
func randomLines(r *rand.Rand, n int) []line {
	lines := make([]line, n)
	kinds := 1 + r.IntN(2*n+2)
	for i := range lines {
		uid := fmt.Sprintf("%x", r.IntN(kinds))
		lines[i] = line{1 + r.IntN(2*n+1), uid + strings.Repeat("x", r.IntN(40)*r.IntN(2))}
	}
	if r.IntN(2) == 0 {
		slices.SortFunc(lines, func(a, b line) int { return a.num - b.num })
	}
	return lines
}

func TestListingEqualsTheNaiveOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	for _, n := range []int{0, 1, 2, 3, 10, 30, 100, blockLen - 1, blockLen, blockLen + 1, 3 * blockLen} {
		for range 10 {
			lines := randomLines(r, n)
			l, twice := listingOf(lines)
			sizes := make(map[int]int64)
			s := l.Sizes()
			for range r.IntN(2 * (n + 1)) { // in any order, of some messages, and of others
				num, octets := 1+r.IntN(2*n+2), r.Int64N(1000)
				sizes[num] = octets
				s.Set(num, octets)
			}
			want, wantTwice := naiveListing(lines, sizes)
			var got []Listed
			for i, m := range l.All() {
				if i != len(got) {
					t.Fatalf("index %d, want %d", i, len(got))
				}
				got = append(got, m)
			}
			if diff := cmp.Diff(want, got); diff != "" || !slices.Equal(twice, wantTwice) {
				t.Fatalf("%d lines, twice %v, want %v (-naive +got):\n%.2000s", n, twice, wantTwice, diff)
			}
			order := l.byID()
			if len(order) != len(want) || !slices.IsSortedFunc(order, func(a, b int32) int {
				return strings.Compare(want[a].ID, want[b].ID)
			}) {
				t.Fatalf("%d lines: not in byte order of the ids", n)
			}
		}
	}
}

// With ten or more copies the tenth sorts before the second, as in the state
// file.
func TestTwinsAreFoundAmongTheRecords(t *testing.T) {
	const copies = 25
	lines := []line{{1, "a"}, {2, "samf"}, {3, "samf\x01"}}
	for len(lines) < copies+3 {
		lines = append(lines, line{len(lines) + 1, "same"})
	}
	l, _ := listingOf(lines)
	known := make(map[string]bool)
	for _, m := range l.All() {
		known[m.ID] = true
	}
	records := func(yield func([]byte, state.Record) bool) {
		for _, id := range slices.Sorted(maps.Keys(known)) {
			if !yield([]byte(id), state.Record{Delivered: time.Unix(1, 0), Octets: -1}) {
				return
			}
		}
	}
	todo := New(l, records, Policy{}, When{Now: time.Unix(2, 0)}, nil)
	if len(known) != len(lines) || todo.Seen != len(lines) || todo.missing != 0 {
		t.Errorf("%d ids for %d messages, %v, %d missing", len(known), len(lines), todo, todo.missing)
	}
}

// Sizes in the order of the listing, the usual case, need no lookup.
func TestSizesInTheOrderOfTheListingAreNotLookedUp(t *testing.T) {
	lines := []line{{3, "c"}, {1, "a"}, {2, "b"}}
	for name, tt := range map[string]struct {
		nums   []int
		lookup bool
	}{
		"same order":     {[]int{3, 1, 2}, false},
		"another order":  {[]int{1, 2, 3}, true},
		"one is missing": {[]int{3, 2}, true},
		"one too many":   {[]int{3, 9, 1, 2}, true},
	} {
		l, _ := listingOf(lines)
		s := l.Sizes()
		for _, num := range tt.nums {
			s.Set(num, int64(num)*100)
		}
		if (s.byNumber != nil) != tt.lookup {
			t.Errorf("%s: looked up %v", name, s.byNumber != nil)
		}
		for _, m := range l.All() {
			if want := int64(m.Num) * 100; m.Octets != want && (slices.Contains(tt.nums, m.Num) || m.Octets != -1) {
				t.Errorf("%s: %+v", name, m)
			}
		}
	}
}

// maildrop returns a listing of n messages with unique-ids of 24 octets, and
// records that say that all were delivered. Unless sorted, the listing has
// another order.
func maildrop(n int, sorted bool) (list func() *Listing, known iter.Seq2[[]byte, state.Record]) {
	const odd = 1_000_003 // a prime: i*odd mod n is another order
	id := func(b []byte, i int) []byte {
		octets := [12]byte{4: byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i), 0x12, 0x34}
		return hex.AppendEncode(b[:0], octets[:])
	}
	list = func() *Listing {
		l := new(Listing)
		var buf []byte
		for i := range n {
			at := i
			if !sorted {
				at = i * odd % n
			}
			buf = id(buf, at)
			l.add(i+1, buf)
		}
		l.DropRepeatedNums(func(int) {})
		l.MarkTwins()
		return l
	}
	known = func(yield func([]byte, state.Record) bool) {
		var buf []byte
		for i := range n {
			buf = id(buf, i)
			if !yield(buf, state.Record{Delivered: time.Unix(1, 0), Octets: -1, Digest: [16]byte{1}}) {
				return
			}
		}
	}
	return list, known
}

// Records that stay as they are cost no allocation, however many there are.
func TestPlanKeepsNothingOfWhatIsKnown(t *testing.T) {
	allocations := func(n int) float64 {
		list, known := maildrop(n, true)
		l := list()
		return testing.AllocsPerRun(5, func() {
			if todo := New(l, known, Policy{}, When{Now: time.Unix(2, 0)}, nil); todo.Seen != n {
				t.Fatal(todo)
			}
		})
	}
	few, many := allocations(1000), allocations(100_000)
	if many > few+100 { // some are of the runtime
		t.Errorf("%v allocations for 1,000 ids, %v for 100,000", few, many)
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		for _, sorted := range []bool{true, false} {
			order := "sorted"
			if !sorted {
				order = "unsorted"
			}
			list, known := maildrop(n, sorted)
			b.Run(fmt.Sprintf("list/%d known/%s", n, order), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					list()
				}
			})
			b.Run(fmt.Sprintf("plan/%d known/%s", n, order), func(b *testing.B) {
				l := list()
				b.ReportAllocs()
				for b.Loop() {
					if todo := New(l, known, Policy{}, When{Now: time.Unix(2, 0)}, nil); todo.Seen != n {
						b.Fatal(todo)
					}
				}
			})
		}
	}
}
