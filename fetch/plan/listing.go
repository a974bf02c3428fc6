package plan

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strings"
)

// Listed is one message of a maildrop as the server lists it in one session.
type Listed struct {
	Num      int    // message number, valid in this session only
	ID       string // what the message is recorded under
	Octets   int64  // size as the server announces it, -1 = unknown
	Repeated bool   // other messages of the listing have the same unique-id
}

// UID returns the unique-id, for people and for the destination.
func (l Listed) UID() string {
	uid, _, _ := strings.Cut(l.ID, twinMark)
	return uid
}

// Listing is the messages of a maildrop as the server lists them in one session.
// A server may list a million: each takes little more memory than its unique-id,
// and a Listed is made when it is asked for. The zero value has no messages. Only
// one goroutine at a time may use a Listing.
//
// A listing is built in three steps: AddUID or Add for each message, then
// DropRepeatedNums and MarkTwins, then Sizes.
type Listing struct {
	entries table[entry]
	ids     arena
	octets  table[int64] // -1 = unknown; may be shorter than entries
	twins   table[int32] // 1, 2, … of those that share a unique-id, 0 = alone; may be shorter than entries
	order   []int32      // the result of byID, nil = not computed
}

// entry is what every message has.
type entry struct {
	num int32 // above 0
	id  place // in ids, without the number of a twin
}

// Add appends a message. Its number is from 1 to 2147483647, the range that pop3
// reads, and its ID at most state.MaxID octets long.
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

// AddUID appends a message of unknown size with the unique-id that the server
// gives it. It copies uid.
func (l *Listing) AddUID(num int, uid []byte) { l.add(num, recordedID(uid)) }

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

// Items returns the messages that are wanted, without records, in the order of
// their numbers.
func (l *Listing) Items(want func(i int) bool) Items { return Items{listing: l, index: l.pick(want)} }

// IDOctets returns how many octets the IDs take, about.
func (l *Listing) IDOctets() int { return len(l.ids.chunks) * chunkLen }

func (l *Listing) num(i int) int { return int(l.entries.at(i).num) }

func (l *Listing) repeated(i int) bool { return l.twins.get(i, 0) > 0 }

// uid returns the ID without the number of a twin.
func (l *Listing) uid(i int) []byte { return l.ids.get(l.entries.at(i).id) }

// id returns the ID. It may use buf, and the caller must not change it.
func (l *Listing) id(i int, buf []byte) []byte {
	uid, nth := l.uid(i), l.twins.get(i, 0)
	if nth < 2 {
		return uid
	}
	return appendTwin(buf[:0], uid, int(nth))
}

// byID returns the indices in byte order of the IDs, equal IDs in the order of
// the listing. It keeps the result for the next call.
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

// sorted returns the indices in the given order, equal ones in the order of the
// listing. It takes linear time if the listing is in that order already.
func (l *Listing) sorted(compare func(a, b int) int) []int32 {
	order := make([]int32, l.Len())
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(compare(int(a), int(b)), int(a-b)) })
	return order
}

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
	return l.inNumberOrder(picked)
}

// inNumberOrder sorts indices in place, in the order of the message numbers, drops
// repeated ones and returns the rest.
func (l *Listing) inNumberOrder(index []int32) []int32 {
	slices.SortFunc(index, func(a, b int32) int { return l.num(int(a)) - l.num(int(b)) })
	return slices.Compact(index)
}

// sameUID reports whether two messages share a unique-id.
func (l *Listing) sameUID(i, j int32) bool { return bytes.Equal(l.uid(int(i)), l.uid(int(j))) }

// DropRepeatedNums removes every message whose number was listed before, and
// calls dropped with that number.
func (l *Listing) DropRepeatedNums(dropped func(num int)) {
	if l.ascends() {
		return
	}
	byNumber, repeats := l.byNumber(), false
	for k := len(byNumber) - 1; k > 0; k-- {
		if e := l.entries.at(int(byNumber[k])); e.num == l.entries.at(int(byNumber[k-1])).num {
			e.num, repeats = -e.num, true
		}
	}
	if !repeats {
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

// ascends reports whether the numbers ascend, so that none occurs twice.
func (l *Listing) ascends() bool {
	for i := 1; i < l.Len(); i++ {
		if l.num(i-1) >= l.num(i) {
			return false
		}
	}
	return true
}

// MarkTwins gives messages that share a unique-id an ID each.
func (l *Listing) MarkTwins() {
	order := l.byID()
	for first := 0; first < len(order); {
		uid, end := l.uid(int(order[first])), first+1
		for end < len(order) && bytes.Equal(l.uid(int(order[end])), uid) {
			end++
		}
		for n, i := range order[first:end] {
			if end-first > 1 {
				l.twins.set(int(i), int32(n+1), 0)
				l.order = nil // twin 10 sorts before twin 2
			}
		}
		first = end
	}
}

// Sizes enters the sizes of a scan listing (LIST) into a listing. It does so in
// linear time if both have the same order, as they usually do.
type Sizes struct {
	listing  *Listing
	next     int     // the index that is expected
	byNumber []int32 // nil while the order was the same
}

// Sizes returns where to enter the sizes of the messages.
func (l *Listing) Sizes() *Sizes { return &Sizes{listing: l} }

// Set sets the size of a message. It ignores a number that is not listed.
func (s *Sizes) Set(num int, octets int64) {
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
