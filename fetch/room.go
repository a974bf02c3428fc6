package fetch

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"

	"popfetch/fetch/plan"
)

// Room is the memory that the long listings of all polls of a process may take together.
// A listing of up to shortListing messages needs none. A poll whose listing finds no room
// ends its session, waits until there is, and visits the server again.
type Room struct {
	weighted *semaphore.Weighted
	octets   int64
}

// NewRoom returns room for some octets. A longer listing takes all of it.
func NewRoom(octets int64) *Room { return &Room{semaphore.NewWeighted(octets), octets} }

const (
	// shortListing is how many messages a listing has without any room, and how many
	// messages one poll retrieves at most: their part of a longer listing is all that the
	// poll keeps of it.
	shortListing = 50_000
	// perMessage is what a listed message takes in addition to its unique-id, in octets.
	perMessage = 64
	// keptOctets is how much one poll keeps of a longer listing at most.
	keptOctets = 4 << 20
	// roomStep is by how much the room of a listing grows.
	roomStep = 1 << 20
	// mostWaits is how often one poll waits for room. A listing that grows all the time
	// is given up then.
	mostWaits = 3
)

// claim is the room of one poll. The zero value has none.
type claim struct {
	room *Room // nil = unlimited
	held int64
}

// noRoomError says how much room a listing needs, in octets.
type noRoomError struct{ need int64 }

func (e *noRoomError) Error() string {
	return fmt.Sprintf("the listing takes %d MiB, and those of other accounts leave no room for it", e.need>>20)
}

// grow takes room up to need, and reports whether there is enough. It does not wait.
func (c *claim) grow(need int64) bool {
	if c.room == nil {
		return true
	}
	need = min(need, c.room.octets)
	for c.held < need {
		step := min(roomStep, c.room.octets-c.held)
		if !c.room.weighted.TryAcquire(step) {
			return false
		}
		c.held += step
	}
	return true
}

// wait waits for room for need octets and a little more.
func (c *claim) wait(ctx context.Context, need int64) error {
	c.release()
	need = min(need+need/8+roomStep, c.room.octets)
	if err := c.room.weighted.Acquire(ctx, need); err != nil {
		return err
	}
	c.held = need
	return nil
}

// release gives the room back.
func (c *claim) release() {
	if c.held > 0 {
		c.room.weighted.Release(c.held)
		c.held = 0
	}
}

// meter watches how much a listing takes while it is read.
type meter struct {
	*claim
	messages int
	octets   int64
	full     bool // there is no room for it
}

// add counts one message, and reports whether it may be kept.
func (m *meter) add(id []byte) bool {
	m.messages++
	m.octets += perMessage + int64(len(id))
	if !m.full && m.messages > shortListing {
		m.full = !m.grow(m.octets)
	}
	return !m.full
}

// trim keeps of a long listing only what the rest of the visit needs, and gives its room
// back: other polls need not wait until these messages are received.
func (v *visit) trim() {
	if v.listing.Len() <= shortListing {
		return
	}
	most := min(shortListing, keptOctets/(v.listing.IDOctets()/v.listing.Len()+perMessage)) // a server may send very long ids
	if n := v.plan.Retrieve.Len(); n > most {
		v.log.Warn("there are very many new messages; the next poll continues", "new", n, "fetched", most)
		v.skipped += n - most
		v.plan.DeferBeyond(most)
	}
	later := v.plan.Later
	v.plan = plan.Plan{
		Retrieve: v.plan.Retrieve.Apart(), Later: later.First(min(later.Len(), most-v.plan.Retrieve.Len())).Apart(), Delete: v.plan.Delete.Apart(),
		Deferred: v.plan.Deferred, Undelivered: v.plan.Undelivered,
	}
	v.listing = nil
	v.share.release()
}
