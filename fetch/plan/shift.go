package plan

import (
	"math"
	"slices"

	"popfetch/state"
)

// The unique-ids of some servers belong to the places of the maildrop: if a message goes, each
// one behind it takes the id of the one before. A known message may then have an id without a
// record, and would be delivered again. What is here finds that out before anything is
// retrieved.

// witnesses are the last two delivered messages whose header blocks tell whether they still
// have their ids: two, because the server may refuse to show one.
type witnesses struct {
	index [2]int32
	n     int
}

// note takes a delivered message with its record.
func (w *witnesses) note(l *Listing, i int32, r *state.Record) {
	if isWeak(r) || r.Fingerprint == (Fingerprint{}) && r.Digest == [16]byte{} {
		return
	}
	if w.n < len(w.index) {
		w.index[w.n] = i
		w.n++
		return
	}
	first := 0
	if l.num(int(w.index[1])) < l.num(int(w.index[0])) {
		first = 1
	}
	if l.num(int(w.index[first])) < l.num(int(i)) {
		w.index[first] = i
	}
}

// lookForShift adds messages that have other places, if those of the maildrop have shifted in a
// way that matters and that no size shows.
func (d *decision) lookForShift() {
	unsized, first := math.MaxInt, math.MaxInt // numbers of messages to be retrieved
	for i, v := range d.Verdicts {
		if v != Fresh {
			continue
		}
		num := d.listing.num(i)
		first = min(first, num)
		if d.listing.octets.get(i, -1) < 0 {
			unsized = min(unsized, num)
		}
	}
	if unsized < math.MaxInt {
		d.lookBefore(unsized)
	}
	// Whatever came or went before them, the last known messages have other places now.
	for _, i := range d.witnesses.index[:d.witnesses.n] {
		if first < d.listing.num(int(i)) {
			d.addLook(i)
		}
	}
}

// lookBefore adds the last two delivered messages before a message number.
func (d *decision) lookBefore(most int) {
	last, before := int32(-1), int32(-1)
	for i := range int32(d.listing.Len()) {
		switch num := d.listing.num(int(i)); {
		case num > most || d.Verdicts[i] != Seen:
		case last < 0 || num > d.listing.num(int(last)):
			last, before = i, last
		case before < 0 || num > d.listing.num(int(before)):
			before = i
		}
	}
	for _, i := range []int32{before, last} {
		if i >= 0 {
			d.addLook(i)
		}
	}
}

// lookAtNewest adds the newest n of the delivered messages.
func (d *decision) lookAtNewest(n int) {
	var newest []int32 // in the order of the numbers
	for i := range int32(d.listing.Len()) {
		if d.Verdicts[i] != Seen {
			continue
		}
		at, _ := slices.BinarySearchFunc(newest, i, func(a, b int32) int { return d.listing.num(int(a)) - d.listing.num(int(b)) })
		newest = slices.Insert(newest, at, i)
		newest = slices.Delete(newest, 0, max(0, len(newest)-n))
	}
	for _, i := range newest {
		d.addLook(i)
	}
}
