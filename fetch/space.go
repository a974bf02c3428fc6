package fetch

import (
	"fmt"
	"io"
	"strings"
	"syscall"

	"popfetch/deliver"
	"popfetch/fetch/plan"
)

const (
	// writtenAhead is how many octets a destination reads before it writes them.
	writtenAhead = 64 << 10
	// leastRoom is less than any message needs.
	leastRoom = 4 << 10
)

// noRoom notes that there was no room for a message. Smaller ones may fit.
func (v *visit) noRoom(it plan.Item, b *body, why error) error {
	room, known := b.octets-writtenAhead, false
	if limited, ok := v.dest.(deliver.Limited); ok {
		if free, ok := limited.Room(); ok && free < b.octets {
			room, known = free, true
		}
	}
	if v.tight {
		room = min(room, v.room)
	}
	v.shrink(room)
	_, err := io.Copy(io.Discard, b)
	v.settler.NoRoom(it, b.octets, known, why)
	return err
}

// scarce is how many octets have to be free so that a destination counts as full only for
// messages that are larger than most.
const scarce = 64 << 10

// expectRoom notes how much room there is if an earlier poll found too little. Messages
// that wait for room are reported in each poll while nothing else fits either.
func (v *visit) expectRoom() {
	waiting := 0
	for it := range v.plan.SetAside.All() {
		if strings.HasPrefix(it.Record.Reason, plan.NoRoom) {
			waiting++
		}
	}
	if waiting == 0 || v.when.Room == 0 {
		return
	}
	v.shrink(v.when.Room)
	if v.when.Room < scarce {
		v.crowded = waiting
	}
}

// noRoomLeft returns an error if messages were not retrieved for lack of room.
func (v *visit) noRoomLeft() error {
	if v.crowded == 0 {
		return nil
	}
	return &deliver.Error{
		Op: "find room for", Path: fmt.Sprintf("%d waiting messages", v.crowded), Scope: deliver.Room,
		Hint: "the disk is full but for the 1 MiB that popfetch leaves for its records: free some space", Err: syscall.ENOSPC,
	}
}

// shrink notes how many octets the destination has room for.
func (v *visit) shrink(room int64) {
	if room < leastRoom {
		room = 0
	}
	v.tight, v.room, v.refit = true, room, true
}

// fitting returns the items that may have room.
func (v *visit) fitting(items plan.Items) plan.Items {
	if !v.refit {
		return items
	}
	v.refit = false
	room := v.room
	fit := items.Only(func(it plan.Item) bool {
		ok := room > 0 && it.Octets <= room
		if ok {
			room -= max(it.Octets, 0)
		}
		return ok
	})
	if left := items.Len() - fit.Len(); left > 0 {
		v.skipped += left
		v.crowded += left
	}
	return fit
}
