package simulate

import (
	"iter"
	"slices"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// oracle knows the fate of every mail that the maildrop ever held.
type oracle struct {
	*world
	mails map[string]*mail

	stale    time.Duration  // as aged, for what this poll delivers
	aged     time.Duration  // by which jumps of the clock may have aged deliveries
	agedThen time.Duration  // aged, for what the last poll delivered
	latest   time.Time      // the latest time that the clock has shown at a poll
	last     time.Time      // what it has shown at the last poll, and
	lastAt   time.Time      // when that truly was
	late     int            // polls of messages that are not told from others before they are due
	repeated map[string]int // deliveries beyond what was sent that popfetch(7) allows, by the reason
}

// mail is all identical copies of one mail.
type mail struct {
	mark       string
	octets     int
	weak       bool // it has neither Message-ID nor Received
	print      plan.Fingerprint
	version1   bool               // a copy was recorded by version 1
	undone     int                // how often the server may have confirmed the deletion of a copy and not carried it out
	copies     map[string]*copyOf // by the unique-id that the server has for itself
	deliveries int
	delivered  time.Time     // the last time
	aged       time.Duration // oracle.aged then
	first      time.Time     // the first time
}

// copyOf is one of them.
type copyOf struct {
	*mail
	uid     string
	here    bool // on the server
	deleted int  // the poll in which popfetch deleted it
	polls   int  // clean polls since it is there
}

func newOracle(w *world) *oracle {
	return &oracle{world: w, mails: make(map[string]*mail), repeated: make(map[string]int)}
}

// see returns the copy that a message of the maildrop is.
func (o *oracle) see(m pop3test.Message) *copyOf {
	token := markOf(m.Raw)
	all := o.mails[token]
	if all == nil {
		d := plan.NewIdentifier()
		d.Write(m.Raw)
		all = &mail{mark: token, copies: make(map[string]*copyOf), weak: d.Identity().Weak, print: d.Identity().Fingerprint}
		o.mails[token] = all
	}
	all.octets = max(all.octets, len(m.Raw))
	c := all.copies[m.UID]
	if c == nil {
		c = &copyOf{mail: all, uid: m.UID}
		all.copies[m.UID] = c
	}
	return c
}

func (o *oracle) delivered(octets []byte) {
	m := o.mails[markOf(octets)]
	m.deliveries++
	if m.first.IsZero() {
		m.first = o.now
	}
	if m.deliveries > 1 && m.weak && !o.stableIDs() {
		return // a repeat, see checkRepeat; the record of the first delivery is still there
	}
	m.delivered, m.aged = o.now, o.aged
	if !o.crashed.IsZero() {
		m.delivered, m.aged = o.crashed, o.agedThen // the delivery was recorded before the crash
	}
}

// polled checks what a poll has done. before is what the maildrop held.
func (o *oracle) polled(before []pop3test.Message, arrived [][]byte) {
	o.time()
	now := make(map[*copyOf]bool)
	for _, m := range before {
		now[o.see(m)] = true
	}
	for _, m := range o.mails {
		for _, c := range m.copies {
			if c.here && !now[c] {
				c.polls = 0
			}
			c.here = now[c]
		}
	}
	for _, octets := range arrived {
		o.delivered(octets)
		m := o.mails[markOf(octets)]
		o.logf("%s is delivered", m.mark)
		o.checkRepeat(m)
	}
	o.agedThen = o.aged
	o.aged, o.stale = o.aged+o.stale, 0
	left := make(map[*copyOf]bool)
	for _, m := range o.drop.Messages() {
		left[o.see(m)] = true
	}
	for c := range now {
		if !left[c] {
			c.here, c.deleted = false, o.polls
			o.logf("popfetch deletes %s (%s)", c.mark, c.uid)
			o.checkDeleted(c)
			continue
		}
		if o.clean {
			c.polls++
		}
		// Of copies, nobody knows which was delivered when.
		age := max(o.age(c), o.now.Sub(c.first)+o.aged)
		if len(c.copies) == 1 {
			age = o.age(c)
		}
		if o.skipsUpdate && o.policy.Delete && c.deliveries > 0 && age >= o.policy.After {
			c.undone++
		}
	}
	for c := range left {
		o.checkStays(c)
	}
}

// time follows the clock of the machine as plan.Observe does.
func (o *oracle) time() {
	clock := o.clock()
	most, notStored := 7*day, day
	if o.policy.Delete && o.policy.After > 0 {
		most, notStored = o.policy.After/2, min(day, o.policy.After/4)
	}
	gain := func(since time.Time) time.Duration {
		return max(0, min(max(0, clock.Sub(since)), most)-o.now.Sub(o.lastAt))
	}
	switch {
	case o.latest.IsZero():
	case !clock.Before(o.latest):
		since := o.latest
		if o.last.Before(since) {
			since = since.Add(-notStored) // the latest time is not stored at each poll
		}
		o.aged += gain(since)
	default:
		if clock.Before(o.last) {
			o.stale += most // observed time is not stored at each poll
		}
		o.aged += gain(o.last)
	}
	if !clock.Before(o.latest) {
		o.latest = clock
	}
	o.last, o.lastAt = clock, o.now
}

func (o *oracle) checkRepeat(m *mail) {
	if m.deliveries <= len(m.copies) {
		return
	}
	why := o.allows(m)
	if why == "" {
		o.fail("REPEATED %s: delivered %d times, copies %d", m.mark, m.deliveries, len(m.copies))
		return
	}
	o.repeated[why]++
}

// allows returns why a mail may be delivered so often, see popfetch(7), "What cannot be told
// apart"; "" = it may not.
func (o *oracle) allows(m *mail) string {
	copies, shifting := len(m.copies), !o.stableIDs()
	noTOP, topField := slices.Contains(o.server.Without, "TOP"), o.server.Habits.TopField
	old := 0 // repeats of what version 1 has recorded
	if m.version1 && m.weak && (o.stamps() || topField || shifting || o.feature.twins) {
		old = copies
	}
	for _, a := range []struct {
		why  string
		when bool
		most int
	}{
		{"version 1, no TOP", m.version1 && noTOP, 2 * copies},
		{"version 1, away and stamped", m.version1 && o.stamps() && (o.feature.partial || o.restored > 0), 2 * copies},
		{"version 1, another id and stamped", m.version1 && (o.stamps() || topField) && shifting, 2 * copies},
		{"version 1, weak", old > 0, copies + old},
		{"weak, deleted and back", m.weak && o.restored > 0, (1+o.restored)*copies + old},
		{"weak, deletion not carried out", m.weak && (shifting || topField), (1+o.restored+m.undone)*copies + old},
		{"weak, another one is alike", m.weak && shifting && o.alike(m), 2 * copies},
		{"identical copies, ids shift", shifting && copies > 1, 2 * copies},
		{"a program had it in hand, ids shift", shifting && o.feature.program && o.crashes > 0, 1 + copies},
	} {
		if a.when && m.deliveries <= a.most {
			return a.why
		}
	}
	return ""
}

// stamps reports whether the server changes header blocks.
func (o *oracle) stamps() bool { return o.server.Habits.StampStatus || o.server.Habits.Restamp }

// alike reports whether the maildrop has held another mail that neither the header block nor the
// listed size tells from this one.
func (o *oracle) alike(m *mail) bool {
	h := o.server.Habits
	for _, other := range o.mails {
		if other != m && other.print == m.print && (h.EstimateOctets || h.NoOctets || other.octets == m.octets) {
			return true
		}
	}
	return false
}

// stableIDs reports whether a unique-id always means the same message, unless a backup is
// restored.
func (o *oracle) stableIDs() bool {
	return o.server.Habits.IDs == pop3test.MessageIDs && !o.feature.newIDs && !slices.Contains(o.server.Without, "UIDL")
}

// age is how old a delivery may be for popfetch.
func (o *oracle) age(c *copyOf) time.Duration { return o.now.Sub(c.delivered) + o.aged - c.mail.aged }

func (o *oracle) checkDeleted(c *copyOf) {
	p := o.policy
	switch age := o.age(c); {
	case !p.Delete:
		o.fail("LOST %s: deleted, with keep = true", c.mark)
	case c.deliveries == 0:
		o.fail("LOST %s: deleted and never delivered", c.mark)
	case o.owed(c.mail) > c.deliveries:
		o.fail("LOST %s: %d copies are deleted or known for long, %d were delivered", c.mark, o.owed(c.mail), c.deliveries)
	case len(c.copies) == 1 && !c.version1 && age < p.After-time.Minute:
		o.fail("EARLY %s: deleted %v after the delivery", c.mark, o.now.Sub(c.delivered))
	}
}

// owed counts the copies that must have been delivered by now: those that were on the server
// at the same time for long enough, or were deleted. A copy that comes when the one before is
// gone may be taken for it.
func (o *oracle) owed(m *mail) (n int) {
	for _, c := range m.copies {
		if c.deleted == o.polls || c.here && c.polls >= enoughPolls {
			n++
		}
	}
	if o.server.Habits.Batch > 0 {
		return min(n, 1) // the server shows a copy when the one before is hidden
	}
	return n
}

// begin has the polls of all messages counted anew: another policy may want other messages.
func (o *oracle) begin() {
	for _, m := range o.mails {
		for _, c := range m.copies {
			c.polls = 0
		}
	}
}

// enoughPolls is after how many clean polls a message must have been delivered.
const enoughPolls = 25

func (o *oracle) checkStays(c *copyOf) {
	switch {
	case c.polls < enoughPolls:
	case o.policy.MaxOctets > 0 && int64(c.octets) > o.policy.MaxOctets-2048:
	case o.server.Habits.Batch > 0 && o.drop.Retrieved(c.uid) > 0: // the server does not show it any more
	case c.weak && (o.restored > 0 || !o.stableIDs()) && o.alike(c.mail):
		o.late++ // the unique-id, header block and size are those of another one
	case c.deliveries == 0:
		o.fail("LOST %s: there for %d polls and not delivered", c.mark, c.polls)
	case o.owed(c.mail) > c.deliveries:
		o.fail("LOST %s: %d copies are deleted or known for long, %d were delivered", c.mark, o.owed(c.mail), c.deliveries)
	}
}

// putBack reports whether popfetch has deleted a copy of the mail, so that it does not
// delete what came back.
func (m *mail) putBack() bool {
	for _, c := range m.copies {
		if c.deleted > 0 {
			return true
		}
	}
	return false
}

// end checks how the calm time ended.
func (o *oracle) end() {
	var records, listed int
	held := o.drop.Messages()
	if listed = len(held); o.server.Habits.Batch > 0 {
		listed = o.server.Habits.Batch
	}
	err := o.store.Maildrop(state.Key(user, host)).Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for range known {
			records++
		}
		return nil
	})
	if err != nil {
		o.t.Fatal(err)
	}
	if records > listed {
		o.fail("GROWTH: %d records of %d messages", records, listed)
	}
	if !o.policy.Delete || o.server.Habits.Batch > 0 {
		return
	}
	for _, m := range held {
		c := o.see(m)
		if !c.version1 && !c.putBack() && !(c.undone > 0 && !o.stableIDs()) && !(o.policy.MaxOctets > 0 && int64(c.octets) > o.policy.MaxOctets-2048) {
			o.fail("KEPT %s (%s): not deleted in the end", c.mark, c.uid)
			return
		}
	}
}
