package fetch

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"strconv"
	"strings"

	"popfetch/state"
)

// Listed is one message of a maildrop as the server lists it in this session.
type Listed struct {
	Num      int    // message number, of this session only
	ID       string // what the message is remembered by
	Octets   int64  // size as the server announces it, -1 = not asked
	Repeated bool   // other messages of this listing have the same unique-id
}

// UID returns the unique-id for people and for the destination.
func (l Listed) UID() string {
	uid, _, _ := strings.Cut(l.ID, twinMark)
	return uid
}

// maxUID is the longest unique-id, in octets, that is remembered as it is. The
// standard allows 70 (RFC 1939 section 7); servers send longer ones.
const maxUID = 512

// twinMark stands in an id between a unique-id and the number of a twin.
const twinMark = "\x00"

// idOf returns what a unique-id is remembered by, which may be uid itself.
func idOf(uid []byte) []byte {
	if len(uid) <= maxUID && bytes.IndexByte(uid, 0) < 0 {
		return uid
	}
	sum := sha256.Sum256(uid)
	return hex.AppendEncode([]byte("sha256:"), sum[:])
}

// appendTwin appends what the nth of several messages is remembered by that share
// a unique-id: the standard allows identical copies to do so, and broken servers
// give one to different messages.
func appendTwin(b, id []byte, nth int) []byte {
	b = append(b, id...)
	if nth > 1 {
		b = strconv.AppendInt(append(b, twinMark...), int64(nth), 10)
	}
	return b
}

// Listing is the messages of a maildrop as the server lists them in one session.
// A server may list a million: each takes little more than the octets of its
// unique-id, and a Listed is made of it when it is asked for. The zero value has
// no messages. A Listing is used by one goroutine at a time.
type Listing struct {
	entries table[entry]
	ids     arena
	octets  table[int64] // -1 = not asked, as for those that it lacks
	twins   table[int32] // 1, 2, … of those that share a unique-id; 0 = shares none, as those that it lacks
	order   []int32      // what byID returns, nil = not known yet
}

// entry is a message without what only some have.
type entry struct {
	num int32 // above 0
	id  place // in ids, without the number of a twin
}

// Add puts a message behind the others. Its number is from 1 to 2147483647, which
// is as far as pop3 reads numbers, and its ID no longer than state.MaxID.
func (l *Listing) Add(m Listed) {
	i := l.Len()
	l.add(m.Num, []byte(m.ID))
	if m.Octets >= 0 {
		l.octets.set(i, m.Octets, -1)
	}
	if m.Repeated {
		l.twins.set(i, 1, 0)
	}
}

// add adds a message of which no more is known. It copies id.
func (l *Listing) add(num int, id []byte) {
	l.entries.add(entry{int32(num), l.ids.add(id)})
	l.order = nil
}

// Len returns how many messages there are.
func (l *Listing) Len() int { return l.entries.len() }

// At returns the message at an index.
func (l *Listing) At(i int) Listed {
	return Listed{Num: l.num(i), ID: string(l.id(i, nil)), Octets: l.octets.get(i, -1), Repeated: l.repeated(i)}
}

// All returns the messages with their indices, in the order of the server.
func (l *Listing) All() iter.Seq2[int, Listed] {
	return func(yield func(int, Listed) bool) {
		for i := range l.Len() {
			if !yield(i, l.At(i)) {
				return
			}
		}
	}
}

func (l *Listing) num(i int) int { return int(l.entries.at(i).num) }

func (l *Listing) repeated(i int) bool { return l.twins.get(i, 0) > 0 }

// uid returns the ID without the number of a twin.
func (l *Listing) uid(i int) []byte { return l.ids.get(l.entries.at(i).id) }

// id returns the ID. It may use buf, and must not be changed.
func (l *Listing) id(i int, buf []byte) []byte {
	uid, nth := l.uid(i), l.twins.get(i, 0)
	if nth < 2 {
		return uid
	}
	return appendTwin(buf[:0], uid, int(nth))
}

// byID returns the indices in byte order of the IDs, equal ones in the order of
// the listing. The result is kept for the next call.
func (l *Listing) byID() []int32 {
	if l.order == nil {
		var left, right [maxUID + 16]byte
		l.order = l.sorted(func(a, b int) int { return bytes.Compare(l.id(a, left[:]), l.id(b, right[:])) })
	}
	return l.order
}

// byNumber returns the indices in the order of the message numbers.
func (l *Listing) byNumber() []int32 {
	return l.sorted(func(a, b int) int { return l.num(a) - l.num(b) })
}

// sorted returns the indices in an order, equal ones in the order of the listing.
// Where that is the order already, it takes linear time.
func (l *Listing) sorted(compare func(a, b int) int) []int32 {
	order := make([]int32, l.Len())
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(compare(int(a), int(b)), int(a-b)) })
	return order
}

// items returns the messages that are wanted, in the order of their numbers, without
// what is known of them.
func (l *Listing) items(want func(i int) bool) Items { return Items{listing: l, index: l.pick(want)} }

// pick returns the indices that are wanted, in the order of the message numbers.
func (l *Listing) pick(want func(i int) bool) []int32 {
	n := 0
	for i := range l.Len() {
		if want(i) {
			n++
		}
	}
	picked := make([]int32, 0, n)
	for i := range l.Len() {
		if want(i) {
			picked = append(picked, int32(i))
		}
	}
	slices.SortFunc(picked, func(a, b int32) int { return l.num(int(a)) - l.num(int(b)) })
	return picked
}

// dropTwice removes every message whose number was listed before, and calls
// dropped with that. It comes before sizes and twins.
func (l *Listing) dropTwice(dropped func(num int)) {
	if l.ascends() {
		return
	}
	byNumber, twice := l.byNumber(), false
	for k := len(byNumber) - 1; k > 0; k-- {
		if e := l.entries.at(int(byNumber[k])); e.num == l.entries.at(int(byNumber[k-1])).num {
			e.num, twice = -e.num, true
		}
	}
	if !twice {
		return
	}
	kept := 0
	for i := range l.Len() {
		e := *l.entries.at(i)
		if e.num < 0 {
			dropped(-int(e.num))
			continue
		}
		*l.entries.at(kept) = e
		kept++
	}
	l.entries.truncate(kept)
	l.order = nil
}

// ascends says whether the numbers do, so that none is there twice.
func (l *Listing) ascends() bool {
	for i := 1; i < l.Len(); i++ {
		if l.num(i-1) >= l.num(i) {
			return false
		}
	}
	return true
}

// tellTwins gives messages that share a unique-id IDs of their own.
func (l *Listing) tellTwins() {
	order := l.byID()
	for first := 0; first < len(order); {
		uid, end := l.uid(int(order[first])), first+1
		for end < len(order) && bytes.Equal(l.uid(int(order[end])), uid) {
			end++
		}
		for n, i := range order[first:end] {
			if end-first > 1 {
				l.twins.set(int(i), int32(n+1), 0)
				l.order = nil // 10 stands before 2 in byte order
			}
		}
		first = end
	}
}

// sizer puts the sizes of a scan listing into a listing. It is cheap where both
// have one order, as they usually do.
type sizer struct {
	listing  *Listing
	next     int     // the index that is expected
	byNumber []int32 // nil while the order was the same
}

// set sets the size of a message. One that is not in the listing is ignored.
func (s *sizer) set(num int, octets int64) {
	l := s.listing
	if s.next == l.Len() || l.num(s.next) != num {
		if s.byNumber == nil {
			s.byNumber = l.byNumber()
		}
		k, ok := slices.BinarySearchFunc(s.byNumber, num, func(i int32, num int) int { return l.num(int(i)) - num })
		if !ok {
			return
		}
		s.next = int(s.byNumber[k])
	}
	l.octets.set(s.next, octets, -1)
	s.next++
}

// Items are some messages of a listing, in an order of their own, with what is
// known of them. An Item is made when it is asked for.
type Items struct {
	listing *Listing
	index   []int32                // into the listing
	records map[int32]state.Record // by index; most messages have none
}

// Len returns how many there are.
func (s Items) Len() int { return len(s.index) }

// At returns the kth.
func (s Items) At(k int) Item {
	i := s.index[k]
	return Item{s.listing.At(int(i)), s.records[i]}
}

// All returns them in their order.
func (s Items) All() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for k := range s.index {
			if !yield(s.At(k)) {
				return
			}
		}
	}
}

// from returns all but the first n, upTo the first n.
func (s Items) from(n int) Items { s.index = s.index[n:]; return s }
func (s Items) upTo(n int) Items { s.index = s.index[:n:n]; return s }

// nums returns their message numbers.
func (s Items) nums() []int {
	nums := make([]int, len(s.index))
	for k, i := range s.index {
		nums[k] = s.listing.num(int(i))
	}
	return nums
}
