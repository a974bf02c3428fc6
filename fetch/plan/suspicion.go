package plan

import (
	"bytes"
	"iter"
	"slices"
	"strconv"
	"time"

	"popfetch/state"
)

// suspicion is how far the id of a delivered message can be believed. Servers reuse
// ids after a restore from a backup, give the message numbers as ids, or give every
// message a new one.
type suspicion uint8

const (
	none suspicion = iota
	// mild: there is no sign of another message, and a sample of such messages is
	// looked at. If the header block is not shown, the id is believed.
	mild
	// grave: the message may be another one, or is to be deleted. If the header block
	// is not shown, the message is retrieved and compared.
	grave
)

// Limits on how many mildly suspect messages a poll looks at, the newest first: mostMild
// in an ordinary poll, mostMildDaily in the daily look. The daily look also covers the
// newestDaily newest messages, suspect or not: after a restore a server reuses their ids.
const (
	mostMild      = 64
	mostMildDaily = 256
	newestDaily   = 16
)

// mostLook limits the messages whose header blocks one poll looks at because their ids
// cannot be believed, and so what it learns and has to record.
const mostLook = 5000

// mostLookAll is as mostLook, for a maildrop none of whose ids can be believed.
const mostLookAll = 20_000

// stampOctets is by how much status fields and filters may change the size of a message.
// It decides only for records of version 1, which allow no better comparison.
const stampOctets = 256

// suspicionOf judges the id of a delivered message. was is its record, and isDue says that
// it is to be deleted.
func (d *decision) suspicionOf(i int32, was *state.Record, isDue bool) suspicion {
	switch {
	case was.Deleted, d.otherSize(i, was), isDue:
		return grave
	case d.when.Daily && isWeak(was) && (d.Numbered || d.listing.repeated(int(i))):
		return grave // the header block and the id do not tell it from another one
	case !was.Absent.IsZero() && isWeak(was) && d.listing.octets.get(int(i), -1) < 0:
		return grave // nor does its size
	case !was.Absent.IsZero(), d.when.Daily && (was.Fingerprint == Fingerprint{} || d.Numbered):
		return mild
	}
	return none
}

// otherSize reports whether both sizes are known and differ.
func (d *decision) otherSize(i int32, r *state.Record) bool {
	octets := d.listing.octets.get(int(i), -1)
	return octets >= 0 && r.Octets >= 0 && octets != r.Octets
}

// due reports whether a delivered message is to be deleted for its age. A message
// whose record rests on its unique-id alone stays, and so does one that was put back, and
// for some time one that the server does not delete.
func due(r *state.Record, p Policy, when When) bool {
	return p.Delete && !r.Unproven && !r.PutBack && age(r, when) >= p.After && !waits(*r, when.Now)
}

// due is the function due, for the messages of a listing in their order. If the poll is to
// find out whether the server deletes at all, only the first one is due.
func (d *decision) due(r *state.Record) bool {
	if !due(r, d.policy, d.when) || d.when.OneDue && d.hasDue {
		return false
	}
	d.hasDue = true
	return true
}

// age returns how long ago a message was delivered, in observed time, or by the clock
// if the record has no observed time. A delivery in the future counts as just now.
func age(r *state.Record, when When) time.Duration {
	if r.Observed == 0 {
		return max(0, when.Steady.Sub(r.Delivered))
	}
	return max(0, when.Observed-r.Observed)
}

// numbered reports whether the unique-ids are the message numbers, so that they say
// nothing about the messages.
func (l *Listing) numbered() bool {
	var buf [20]byte
	for i := range l.Len() {
		if !bytes.Equal(l.uid(i), strconv.AppendInt(buf[:0], int64(l.num(i)), 10)) {
			return false
		}
	}
	return l.Len() > 0
}

// delivered decides about a listed message under whose id one was delivered. was is its
// record, and r the same without its absence.
func (d *decision) delivered(i int32, id []byte, was, r *state.Record) {
	if d.listing.repeated(int(i)) {
		d.believe(i, *r)
	}
	isDue := d.due(was)
	s := d.suspicionOf(i, was, isDue)
	shown, looked := d.identity(i)
	switch {
	case shown != nil:
		d.compare(i, id, *was, *shown, isDue)
	case s == none, looked && s == mild:
		d.give(i, Seen, *r)
		if looked && !d.when.NoHeaders && !r.Unproven {
			d.refused = append(d.refused, believed{i, *r})
		}
	case looked && (d.policy.exceeds(d.listing.octets.get(int(i), -1)) || r.Unproven && !isWeak(r)):
		d.give(i, Seen, *r)
	case looked:
		d.reused = true // for all that is known
		d.retrieveToCompare(i, id, *r)
	case s == mild:
		d.give(i, Seen, *r)
		d.mild = append(d.mild, i)
	default:
		d.give(i, Suspect, *r)
		if isDue && !was.Deleted && !d.otherSize(i, was) {
			d.give(i, Due, *r)
		}
		d.grave = append(d.grave, i)
	}
	d.AskedFor = d.AskedFor || AskedFor(*was)
	if d.policy.Delete && staysUndeleted(r) {
		if d.Undeleted++; d.Undeleted == 1 {
			d.FirstUndeleted = Item{d.listing.At(int(i)), *r}
		}
	}
	if d.Verdicts[i] == Seen {
		d.witnesses.note(d.listing, i, r)
		d.noteWeak(i, r)
	}
}

// noteWeak remembers a message that only its body tells from others, if the header block of
// one of them was shown.
func (d *decision) noteWeak(i int32, r *state.Record) {
	// A maildrop may have a million messages with one weak fingerprint.
	if few := len(d.believed) < mostLookAll; !few || !d.loose.weak[r.Fingerprint] {
		return
	}
	switch {
	case isWeak(r):
		if d.weak == nil {
			d.weak = make(map[Fingerprint][]int32)
		}
		d.weak[r.Fingerprint] = append(d.weak[r.Fingerprint], i)
	case hasNoBody(r):
		d.bodiless = append(d.bodiless, i)
	default:
		return
	}
	d.believe(i, *r)
}

// believe remembers the record of a delivered message that may be taken for another one.
func (d *decision) believe(i int32, r state.Record) {
	if d.believed == nil {
		d.believed = make(map[int32]state.Record)
	}
	d.believed[i] = r
}

// lookAtGrave adds the messages whose ids cannot be believed, mostLook of them in one
// poll, and returns the others.
func (d *decision) lookAtGrave() (left []int32) {
	room := max(0, mostLook-len(d.shown))
	if len(d.grave) > room {
		d.turn(d.grave)
		left = d.grave[room:]
	}
	d.look = append(d.look, d.grave[:len(d.grave)-len(left)]...)
	return left
}

// lookFurther adds to the messages to look at those for which a single record gives no
// reason.
func (d *decision) lookFurther() {
	d.reused = d.reused || d.stampedHaveShifted()
	left := d.lookAtGrave()
	if !d.when.NoHeaders {
		d.lookAtOthers()
	}
	for _, i := range left { // later polls come to them
		d.give(i, Seen, state.Record{})
	}
}

// lookAtOthers adds the messages that are looked at for what others show.
func (d *decision) lookAtOthers() {
	if d.reused {
		// One id is that of another message now, so all others may be.
		d.lookAt(func(i int32) bool { return d.Verdicts[i] == Seen })
	}
	if len(d.stamped) > 0 {
		// They may be other messages, and those of their records be listed under new ids.
		d.lookAt(func(i int32) bool { return d.Verdicts[i] == Fresh })
	}
	if d.known == 0 && d.missing > 0 {
		// All ids are new. That may be true of the messages too.
		d.lookAt(func(i int32) bool { return d.Verdicts[i] != Seen })
	}
	if d.listing.twins.len() > 0 {
		d.lookAtTwins()
	}
	for weak, messages := range d.weak {
		if d.confused[weak] {
			for _, i := range messages {
				d.addLook(i)
			}
		}
	}
	most := mostMild
	if d.when.Daily {
		most = mostMildDaily
		d.lookAtNewest(newestDaily)
	} else if d.Numbered && d.known < d.listing.Len() {
		// Whatever came or went before it, the last known message has another number now.
		d.lookAtNewest(1)
	}
	d.lookForShift()
	if d.Numbered {
		most = mostLook
	}
	byNumber := d.listing.inNumberOrder(d.mild)
	for k := range min(len(byNumber), max(0, most-len(d.shown))) {
		d.addLook(byNumber[len(byNumber)-1-k])
	}
}

// lookAt adds the messages that are wanted and were not looked at yet, the newest
// mostLookAll if there are more.
func (d *decision) lookAt(want func(i int32) bool) {
	var wanted []int32
	for i := range int32(d.listing.Len()) {
		if _, looked := d.identity(i); want(i) && !looked {
			wanted = append(wanted, i)
		}
	}
	room := max(0, mostLookAll-len(d.shown)-len(d.look))
	if len(wanted) > room {
		wanted = d.listing.inNumberOrder(wanted)
		wanted = wanted[len(wanted)-room:]
	}
	d.look = append(d.look, wanted...)
}

func (d *decision) addLook(i int32) {
	if _, looked := d.identity(i); !looked {
		d.look = append(d.look, i)
	}
}

// lookAtTwins adds messages that share a unique-id, if some of them were delivered and
// others not: they change places when one comes or goes.
func (d *decision) lookAtTwins() {
	delivered := func(i int32) bool { _, ok := d.believed[i]; return ok }
	for twins := range d.listing.twinGroups() {
		if !slices.ContainsFunc(twins, delivered) || !slices.ContainsFunc(twins, func(i int32) bool { return !delivered(i) }) {
			continue
		}
		for _, i := range twins {
			d.addLook(i)
		}
	}
}

// retrieveTwins has all messages retrieved that share a unique-id with one that is to be
// retrieved, if the server shows no header blocks: see lookAtTwins.
func (d *decision) retrieveTwins() {
	if !d.when.NoHeaders || d.listing.twins.len() == 0 {
		return
	}
	for twins := range d.listing.twinGroups() {
		if !slices.ContainsFunc(twins, func(i int32) bool { return d.Verdicts[i] == Fresh }) {
			continue
		}
		for _, i := range twins {
			if r, ok := d.believed[i]; ok {
				d.retrieveBelieved(i, r)
			}
		}
	}
}

// twinGroups returns the messages of each unique-id.
func (l *Listing) twinGroups() iter.Seq[[]int32] {
	return func(yield func([]int32) bool) {
		order := l.byID()
		for first := 0; first < len(order); {
			end := first + 1
			for end < len(order) && l.sameUID(order[first], order[end]) {
				end++
			}
			if end > first+1 && !yield(order[first:end]) {
				return
			}
			first = end
		}
	}
}
