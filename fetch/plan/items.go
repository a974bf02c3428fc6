package plan

import (
	"iter"
	"slices"

	"popfetch/state"
)

// Item is a listed message together with its record.
type Item struct {
	Listed
	Record state.Record // zero if there is none, and for a delivered message
}

// Tried reports whether an earlier attempt to deliver the message failed.
func (it Item) Tried() bool { return it.Record.Reason != "" }

// Items are some messages of a listing, in their own order, with their records. An
// Item is made when it is asked for.
type Items struct {
	listing *Listing
	index   []int32                // into the listing
	records map[int32]state.Record // by index; most messages have none
}

// Len returns the number of messages.
func (s Items) Len() int { return len(s.index) }

// At returns the kth message, from 0.
func (s Items) At(k int) Item {
	i := s.index[k]
	return Item{s.listing.At(int(i)), s.records[i]}
}

// Octets returns the announced size of the kth, -1 if it is not known.
func (s Items) Octets(k int) int64 { return s.listing.octets.get(int(s.index[k]), -1) }

// All returns the messages in their order.
func (s Items) All() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for k := range s.index {
			if !yield(s.At(k)) {
				return
			}
		}
	}
}

// From returns all but the first n.
func (s Items) From(n int) Items { s.index = s.index[n:]; return s }

// Only returns those that are wanted, in their order.
func (s Items) Only(want func(Item) bool) Items {
	var index []int32
	for k, i := range s.index {
		if want(s.At(k)) {
			index = append(index, i)
		}
	}
	s.index = index
	return s
}

// First returns the first n.
func (s Items) First(n int) Items { s.index = s.index[:n:n]; return s }

// followedBy returns both. They are of the same listing and have the same records.
func (s Items) followedBy(more Items) Items {
	s.index = slices.Concat(s.index, more.index)
	return s
}

// Nums returns the message numbers.
func (s Items) Nums() []int {
	nums := make([]int, len(s.index))
	for k, i := range s.index {
		nums[k] = s.listing.num(int(i))
	}
	return nums
}

// Apart returns the same items without the rest of their listing, which may be freed.
func (s Items) Apart() Items {
	apart := Items{listing: new(Listing), index: make([]int32, s.Len())}
	for k, i := range s.index {
		apart.index[k] = int32(k)
		apart.listing.Add(s.listing.At(int(i)))
		if r, ok := s.records[i]; ok {
			if apart.records == nil {
				apart.records = make(map[int32]state.Record)
			}
			apart.records[int32(k)] = r
		}
	}
	return apart
}
