package settle

import (
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// A group is settled when it has as many messages as the destination likes, groupOctets
// octets, or the age groupAge: messages that were received do not wait for one that
// comes slowly.
const (
	groupOctets = 32 << 20
	groupAge    = 5 * time.Second
)

// Member is a message that was received whole and staged.
type Member struct {
	plan.Item
	Staged deliver.Staged
	Record state.Record // to be stored with the intent
	Octets int64        // as received
	Seq    int          // position among the messages of the session, from 1
	// Doubtful says that the message does not have the size that the server
	// announced. From the first such message on, no message is settled before Trust
	// is called.
	Doubtful bool
}

// group is messages that share one Prepare, one transaction and one Publish.
type group struct {
	members []Member
	opened  time.Time // when the oldest of them came
	doubt   int       // Seq of the first doubtful one, 0 = none
}

func (g *group) add(m Member) {
	if len(g.members) == 0 {
		g.opened = time.Now()
	}
	g.members = append(g.members, m)
	if m.Doubtful && g.doubt == 0 {
		g.doubt = m.Seq
	}
}

// sure returns how many members may be settled, given that the first messages of
// the session up to seq are known to be what was asked for.
func (g *group) sure(seq int) int {
	n := 0
	for n < len(g.members) && g.members[n].Seq <= seq && (g.doubt == 0 || g.members[n].Seq < g.doubt) {
		n++
	}
	return n
}

// octets returns the size of the first n members.
func (g *group) octets(n int) (sum int64) {
	for _, m := range g.members[:n] {
		sum += m.Octets
	}
	return sum
}

// full reports whether the first n members are to be settled.
func (g *group) full(n, most int) bool {
	return n >= most || g.octets(n) >= groupOctets || g.old(n)
}

// old reports whether the first n members have waited for long enough.
func (g *group) old(n int) bool { return n > 0 && time.Since(g.opened) >= groupAge }

// cut removes the first n members and returns them.
func (g *group) cut(n int) []Member {
	first := g.members[:n:n]
	g.members = g.members[n:]
	g.opened = time.Now()
	return first
}
