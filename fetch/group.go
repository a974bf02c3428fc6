package fetch

import (
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// A group is closed when it has as many messages as the destination likes, so
// many octets, or is so old: what has been received is not kept waiting for what
// comes slowly.
const (
	groupOctets = 32 << 20
	groupAge    = 5 * time.Second
)

// maxPutOff is how many messages in a row the destination may put off before the
// poll ends: it will hardly take the next one, and each costs a download.
const maxPutOff = 5

// member is a message that is received whole and not yet delivered.
type member struct {
	plan.Item
	staged deliver.Staged
	record state.Record
	octets int64
	seq    int // of the messages of this poll, see poll.done
}

// group is messages that share one Prepare, one transaction and one Publish.
type group struct {
	members []member
	opened  time.Time // when the oldest of them came
	doubt   int       // seq of the first doubtful one, 0 = none is
}

// add adds a message. From a doubtful one on, messages must not be settled before
// it is known that the server is in step.
func (g *group) add(m member, doubtful bool) {
	if len(g.members) == 0 {
		g.opened = time.Now()
	}
	g.members = append(g.members, m)
	if doubtful && g.doubt == 0 {
		g.doubt = m.seq
	}
}

func (g *group) doubted() bool { return g.doubt > 0 }

// sure returns how many members may be settled where the first so many messages
// of the poll are known to be in step.
func (g *group) sure(seq int) int {
	n := 0
	for n < len(g.members) && g.members[n].seq <= seq && (g.doubt == 0 || g.members[n].seq < g.doubt) {
		n++
	}
	return n
}

// full says whether n members are to be settled.
func (g *group) full(n, most int) bool {
	var octets int64
	for _, m := range g.members[:n] {
		octets += m.octets
	}
	return n >= most || octets >= groupOctets || g.old(n)
}

// old says whether n members have waited for so long that they are to be settled.
func (g *group) old(n int) bool { return n > 0 && time.Since(g.opened) >= groupAge }

// take removes the first n members.
func (g *group) take(n int) []member {
	taken := g.members[:n:n]
	g.members = g.members[n:]
	g.opened = time.Now()
	return taken
}
