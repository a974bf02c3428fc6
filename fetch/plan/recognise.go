package plan

import (
	"encoding/binary"
	"encoding/hex"
	"slices"

	"popfetch/state"
)

// loose holds the records that belong to no listed message, as far as is known: their
// ids are not listed, or now belong to other messages. It keeps only those that may
// belong to a message whose header block was shown.
type loose struct {
	wanted  map[Fingerprint]int  // how many messages with that fingerprint were shown
	blocks  map[[16]byte]int     // as wanted, for records of version 1
	weak    map[Fingerprint]bool // fingerprints that were shown and are weak
	records map[Fingerprint][]looseRecord
	old     map[[16]byte][]looseRecord // by the digest of the header block
}

type looseRecord struct {
	state.Entry
	displaced bool // its id is that of a listed message
}

func (l *loose) wantOnly(shown Shown) {
	l.wanted, l.blocks, l.weak = make(map[Fingerprint]int), make(map[[16]byte]int), make(map[Fingerprint]bool)
	for _, id := range shown {
		switch {
		case id == nil:
		case id.Weak: // recognises nothing, see assign
			l.weak[id.Fingerprint] = true
		default:
			l.wanted[id.Fingerprint]++
			l.blocks[id.Block]++
		}
	}
	l.records, l.old = make(map[Fingerprint][]looseRecord), make(map[[16]byte][]looseRecord)
}

// add takes a record, and reports whether it is held.
func (l *loose) add(e looseRecord) bool {
	r := e.Record
	switch {
	case r.Deleted && r.Strong: // recognises nothing, see compare
	case r.Fingerprint != Fingerprint{} && len(l.records[r.Fingerprint]) < l.wanted[r.Fingerprint]:
		l.records[r.Fingerprint] = append(l.records[r.Fingerprint], e)
		return true
	case r.Fingerprint == Fingerprint{} && r.Seen() && r.Digest != [16]byte{} && len(l.old[r.Digest]) < l.blocks[r.Digest]:
		l.old[r.Digest] = append(l.old[r.Digest], e)
		return true
	}
	return false
}

// find returns a record of the message that was shown, each record once.
func (l *loose) find(shown *Identity) (looseRecord, bool) {
	if found := l.records[shown.Fingerprint]; len(found) > 0 {
		l.records[shown.Fingerprint] = found[1:]
		return found[0], true
	}
	if found := l.old[shown.Block]; len(found) > 0 {
		l.old[shown.Block] = found[1:]
		return found[0], true
	}
	return looseRecord{}, false
}

// left returns the records that were not found, in no order.
func (l *loose) left() (all []looseRecord) {
	for _, held := range l.records {
		all = append(all, held...)
	}
	for _, held := range l.old {
		all = append(all, held...)
	}
	return all
}

// compare decides about a message under whose id one was delivered, now that its
// header block was shown. isDue is that of suspicionOf.
func (d *decision) compare(i int32, id []byte, was state.Record, shown Identity, isDue bool) {
	r := listedAgain(was)
	switch {
	case r.Fingerprint == Fingerprint{}:
		d.compareOld(i, id, was, shown)
	case r.Fingerprint != shown.Fingerprint:
		d.another(i, id, r, shown)
	case shown.Weak && d.suspicionOf(i, &was, isDue) == grave && (isWeak(&r) || !r.Unproven):
		d.retrieveToCompare(i, id, r)
	case d.needsBody(&r):
		// It may be another message with the same header block, which was listed beside it.
		if d.policy.exceeds(d.listing.octets.get(int(i), -1)) {
			d.give(i, Seen, r)
			return
		}
		d.retrieveToCompare(i, id, r)
	default:
		d.recognised(i, was, r)
	}
}

// needsBody reports whether the body decides about a message with the header block of a
// delivered one: popfetch has deleted that, or is to delete it now under an id that it did not
// have when it was delivered. A message that the server keeps although it has confirmed its
// deletion is not retrieved at each poll.
func (d *decision) needsBody(r *state.Record) bool {
	return r.Strong && (r.Deleted && !r.Kept || r.Moved && due(r, d.policy, d.when))
}

// compareOld is compare for a record of version 1, which has the digest of the raw
// header block in place of a fingerprint. The fingerprint is taken over, and the message
// is not deleted before another poll.
func (d *decision) compareOld(i int32, id []byte, was state.Record, shown Identity) {
	r := listedAgain(was)
	same := r.Digest == shown.Block || r.Digest == [16]byte{}
	octets := d.listing.octets.get(int(i), -1)
	switch {
	case same:
	case was.Deleted || !was.Absent.IsZero():
		// The id has been free, and so may be that of a new message.
		d.another(i, id, r, shown)
		return
	case octets < 0 && r.Octets >= 0:
		d.give(i, Seen, r) // the sizes will tell, once the server lists them
		return
	case octets >= 0 && r.Octets >= 0 && max(octets-r.Octets, r.Octets-octets) > stampOctets:
		d.another(i, id, r, shown)
		return
	default:
		d.stamped = append(d.stamped, believed{i, was})
	}
	d.adopt(&r, shown)
	r.Unproven = r.Unproven || was.Digest != shown.Block
	d.update(i, r, was)
	d.give(i, Seen, r)
}

// disownStamped takes it back that messages were taken for those of records of version 1
// only because their sizes are close, if other ids were given to other messages.
func (d *decision) disownStamped() {
	if d.Reused == 0 && !d.stampedHaveShifted() {
		return
	}
	for _, m := range d.stamped {
		shown, _ := d.identity(m.i)
		d.another(m.i, d.listing.id(int(m.i), nil), listedAgain(m.record), *shown)
	}
}

// stampedHaveShifted reports whether another message shows the header block of the record of
// one of these messages.
func (d *decision) stampedHaveShifted() bool {
	if len(d.stamped) == 0 {
		return false
	}
	blocks, strong := make(map[[16]byte]bool), make(map[[16]byte]Fingerprint)
	for _, m := range d.stamped {
		blocks[m.record.Digest] = true
	}
	for _, shown := range d.shown {
		if shown != nil && !shown.Weak {
			strong[shown.Block] = shown.Fingerprint
		}
	}
	return slices.ContainsFunc(d.stamped, func(m believed) bool {
		shown, _ := d.identity(m.i)
		// A copy of the message is no other one, even if only this one was stamped.
		print, ok := strong[m.record.Digest]
		return blocks[shown.Block] || len(d.loose.old[shown.Block]) > 0 || ok && print != shown.Fingerprint
	})
}

// adopt gives a record of version 1 the fingerprint of its message. Its body is not
// known, so a weak fingerprint proves nothing.
func (d *decision) adopt(r *state.Record, shown Identity) {
	r.Fingerprint, r.Digest, r.Unproven = shown.Fingerprint, [16]byte{}, shown.Weak
}

// recognised decides about a message that is the one of its record. Its record may be
// new to its id.
func (d *decision) recognised(i int32, was, r state.Record) {
	d.AskedFor = d.AskedFor || AskedFor(r)
	r = d.update(i, listedAfterDeletion(r, d.when), was)
	if due(&r, d.policy, d.when) && !(d.when.OneDue && d.shownDue) {
		d.shownDue = true
		d.give(i, Due, r)
		return
	}
	d.give(i, Seen, r)
}

// update returns the record of a recognised message with the size that the server
// announces now, and has it stored if it differs from what is stored.
func (d *decision) update(i int32, r, was state.Record) state.Record {
	if octets := d.listing.octets.get(int(i), -1); octets >= 0 {
		r.Octets = octets
	}
	if r != was {
		if d.updated == nil {
			d.updated = make(map[int32]state.Record)
		}
		d.updated[i] = r
	}
	return r
}

// retrieveToCompare has a message retrieved that may be the delivered one. Its record
// gives way, see displace, and is found again by what is received.
func (d *decision) retrieveToCompare(i int32, id []byte, r state.Record) {
	d.Compare = true
	if !r.Deleted || !r.Strong { // then the body decides, see Identity.is and Recognised
		r = listedAfterDeletion(r, d.when)
	}
	d.displace(i, id, r)
	if isWeak(&r) {
		d.confuse(r.Fingerprint)
	}
}

// confuse notes that a message with a weak fingerprint may have the record of another one
// with the same fingerprint.
func (d *decision) confuse(weak Fingerprint) {
	if d.confused == nil {
		d.confused = make(map[Fingerprint]bool)
	}
	d.confused[weak] = true
}

// retrieveConfusable has messages with equal weak fingerprints retrieved together if one of
// them may not have its own record, and all with a weak fingerprint if an id is that of
// another message.
func (d *decision) retrieveConfusable() {
	for print, messages := range d.weak {
		if d.reused || d.confused[print] {
			d.retrieveWeak(messages)
		}
	}
	// Such a message will be taken for new even if it is not. So there must be proof that ids
	// were given to other messages.
	if slices.ContainsFunc(d.others, d.ownedAlone) {
		d.retrieveWeak(d.bodiless)
	}
}

// ownedAlone reports whether the unique-id of a message was and is that of one message only. Of
// messages that share one, the second takes the id of the first when that goes.
func (d *decision) ownedAlone(i int32) bool {
	return !d.listing.repeated(int(i)) && !d.twinsGone[string(d.listing.uid(int(i)))]
}

// retrieveWeak has messages retrieved and compared that so far count as delivered and that
// only their bodies tell from others.
func (d *decision) retrieveWeak(messages []int32) {
	for _, i := range messages {
		if d.Verdicts[i] == Seen {
			id := d.listing.id(int(i), nil)
			d.dropAged(id)
			d.retrieveToCompare(i, id, d.believed[i])
		}
	}
}

// retrieveRefused has the messages retrieved whose header blocks the server did not show, if
// it has given the ids of others to other messages.
func (d *decision) retrieveRefused() {
	if d.Reused == 0 {
		return
	}
	for _, m := range d.refused {
		d.retrieveBelieved(m.i, m.record)
	}
}

// retrieveBelieved has a message retrieved and compared that so far counts as delivered.
func (d *decision) retrieveBelieved(i int32, r state.Record) {
	if d.Verdicts[i] != Seen || r.Unproven || d.policy.exceeds(d.listing.octets.get(int(i), -1)) {
		return
	}
	id := d.listing.id(int(i), nil)
	d.dropAged(id)
	d.retrieveToCompare(i, id, r)
}

// dropAged has a record not stored that was to be stored for its absence.
func (d *decision) dropAged(id []byte) {
	d.Aged = slices.DeleteFunc(d.Aged, func(e state.Entry) bool { return e.ID == string(id) })
}

// another notes that an id is that of another message than the recorded one.
func (d *decision) another(i int32, id []byte, r state.Record, shown Identity) {
	d.reused = true
	d.Reused++
	d.others = append(d.others, i)
	d.displace(i, id, r)
	d.findHome(i, shown)
}

// displace removes a record from an id that is, or may be, the id of another message
// now. It is kept for when its own message is found.
func (d *decision) displace(i int32, id []byte, r state.Record) {
	d.give(i, d.undelivered(i, state.Record{}), state.Record{})
	delete(d.updated, i)
	d.Change.Forget = append(d.Change.Forget, string(id))
	d.displaced = append(d.displaced, looseRecord{state.Entry{ID: displacedID(id, r), Record: r}, true})
}

// keepDisplaced has the record of a delivered message stored that had to leave its id and
// whose message is not listed, until that comes back or its absence has lasted long
// enough.
func (d *decision) keepDisplaced(e state.Entry) {
	if r := e.Record; r.Seen() && !(r.Deleted && isWeak(&r)) && (r.Fingerprint != Fingerprint{} || r.Digest != [16]byte{}) {
		r.Absent, r.Counted, r.Absences = d.when.Steady, d.when.Steady, 1
		d.Change.Put = append(d.Change.Put, state.Entry{ID: e.ID, Record: r})
	}
}

// displacedMark begins the id of a record that had to leave its own. No unique-id is
// recorded like that, see recordedID.
const displacedMark = twinMark + "displaced" + twinMark

// displacedID returns what a record is kept under that had to leave its id: other records
// may have had to leave the same id before, of copies of the same message even.
func displacedID(id []byte, r state.Record) string {
	own := shortSum(slices.Concat(id, []byte{0}, r.Fingerprint[:], r.Body[:], r.Digest[:], binary.BigEndian.AppendUint32(nil, r.Nonce)))
	return displacedMark + hex.EncodeToString(own[:])
}

// assign finds the records of the messages that have none of their own, and decides
// about the records that are left.
func (d *decision) assign() {
	for _, e := range d.displaced {
		if !d.loose.add(e) {
			d.keepDisplaced(e.Entry)
		}
	}
	for _, i := range d.listing.inNumberOrder(d.homeless) {
		shown, _ := d.identity(i)
		if !shown.Weak {
			if e, ok := d.loose.find(shown); ok {
				if d.move(i, e.Entry, *shown) {
					continue
				}
				d.leave(e)
			}
		}
		d.Compare = true
	}
	d.leaveLoose()
	d.Compare = d.Compare || d.unlisted
}

// move gives the record of a message to the id that the message has now. It returns false and
// leaves everything as it is if the body has to be compared first.
func (d *decision) move(i int32, e state.Entry, shown Identity) bool {
	r := listedAgain(e.Record)
	r.PutBack = r.PutBack || r.Deleted // it has another id
	r.Kept = false
	if r.Moved = r.Strong && r.Seen(); d.needsBody(&r) {
		return false
	}
	d.Moved++
	d.Change.Forget = append(d.Change.Forget, e.ID)
	if r.Fingerprint == (Fingerprint{}) {
		d.adopt(&r, shown)
		d.update(i, r, state.Record{})
		d.give(i, Seen, r)
		return true
	}
	if r.Seen() {
		d.recognised(i, state.Record{}, r)
		return true
	}
	r = d.update(i, r, state.Record{})
	d.give(i, d.undelivered(i, r), r)
	return true
}

// leaveLoose deals with the loose records that no message was found for.
func (d *decision) leaveLoose() {
	for _, left := range d.loose.left() {
		d.leave(left)
	}
}

// leave deals with a record whose message is not listed, as far as is known.
func (d *decision) leave(left looseRecord) {
	if left.displaced {
		d.keepDisplaced(left.Entry)
		return
	}
	d.countAbsence([]byte(left.ID), left.Record)
}
