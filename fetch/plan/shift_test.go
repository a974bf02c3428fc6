package plan_test

import (
	"slices"
	"testing"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// receive retrieves the first most messages of a plan as a poll does, and returns the numbers
// of those that it delivers.
func (b box) receive(todo plan.Plan, known records, most int) (delivers []int) {
	known.apply(todo)
	unclaimed := plan.NewUnclaimed(b.listing(), known.sorted)
	for it := range todo.Retrieve.First(min(most, todo.Retrieve.Len())).All() {
		m := b[it.Num-1]
		if e, ok, _ := unclaimed.Find(it.ID, m.Identity, known.get); ok && todo.Compare {
			delete(known, e.ID)
			known[it.ID], _ = plan.Recognised(it, e, m.Identity, plan.Policy{}, at(noon))
			continue
		}
		known[it.ID] = delivered(m.Identity, it.Octets, 0)
		delivers = append(delivers, it.Num)
	}
	return delivers
}

// The first message was refused before. Another client deletes it, and each message behind it
// takes the id of the one before. All have the same size.
func TestIDOfAFailedMessageMayBeThatOfAKnownOne(t *testing.T) {
	for name, octets := range map[string]int64{"equal sizes": 100, "sizes unknown": -1} {
		t.Run(name, func(t *testing.T) {
			known := records{"1st": {Octets: octets, Reason: "refused"}, "2nd": delivered(letter(2), octets, day), "3rd": delivered(letter(3), octets, day), "4th": delivered(letter(4), octets, day)}
			b := box{{"1st", octets, letter(2), false}, {"2nd", octets, letter(3), false}, {"3rd", octets, letter(4), false}}
			todo, _ := b.decide(t, known, plan.Policy{}, at(noon))
			if got := b.receive(todo, known, 3); len(got) > 0 {
				t.Errorf("delivers %v again", got)
			}
		})
	}
}

// A poll finds that the ids are not those of the messages, and the connection is cut before
// it has compared all of them. Then another client deletes one, so that the known messages
// have other ids once more.
func TestComparingThatWasCutGoesOnAfterTheIDsHaveShifted(t *testing.T) {
	known := records{"1st": delivered(memo(1), -1, day), "2nd": delivered(memo(2), -1, day), "3rd": delivered(letter(3), -1, day), "4th": delivered(memo(4), -1, day), "5th": delivered(letter(9), -1, day)}
	b := box{{"1st", -1, memo(1), false}, {"2nd", -1, memo(2), false}, {"3rd", -1, letter(3), false}, {"4th", -1, memo(4), false}, {"5th", -1, letter(5), false}, {"6th", -1, letter(6), false}}
	todo, _ := b.decide(t, known, plan.Policy{}, at(noon))
	if b.receive(todo, known, 0); todo.Reused != 1 || todo.Retrieve.Len() != 5 {
		t.Fatalf("%v, %d ids reused", todo, todo.Reused)
	}
	for i := range b[1:] {
		b[i].Identity = b[i+1].Identity
	}
	b = b[:5]
	todo, _ = b.decide(t, known, plan.Policy{}, at(noon))
	got := b.receive(todo, known, 5)
	if slices.Sort(got); !slices.Equal(got, []int{4, 5}) {
		t.Errorf("delivers %v, want the new ones, 4 and 5", got)
	}
}

// The record of memo 1 is of version 1 and has no digest of the body. The ids are message
// numbers, message 1 goes, and memo 2, which another session did not list, takes its number
// and with it that record.
func TestMemoUnderTheIDOfARecordWithoutBodyKeepsItsOwnRecord(t *testing.T) {
	own := delivered(memo(2), 100, 3*day)
	own.Absent, own.Counted, own.Absences = noon.Add(-2*day), noon.Add(-2*day), 1
	known := records{"1": {Delivered: noon, Octets: 100, Fingerprint: memo(1).Fingerprint, Unproven: true}, "2": delivered(letter(1), 200, day), "3": own, "4": delivered(letter(2), 300, day)}
	b := box{{"1", 100, memo(2), false}, {"2", 300, letter(2), false}}
	todo, _ := b.decide(t, known, plan.Policy{}, at(noon))
	if got := b.receive(todo, known, 2); len(got) > 0 || todo.Delete.Len() > 0 {
		t.Errorf("delivers %v, deletes %v", got, nums(todo.Delete))
	}
	if r := known["1"]; r.Body != memo(2).Body || r.Unproven {
		t.Errorf("message 1 has the record %+v", r)
	}
}

// As above, but all that is known of the message speaks for its being the recorded one. A new
// one may have the same header block and even the same size, so that it is delivered.
func TestRecordWithoutBodyHidesNoMemoOnceIDsHaveShifted(t *testing.T) {
	known := records{"1": {Delivered: noon, Octets: 100, Fingerprint: memo(1).Fingerprint, Unproven: true}, "2": delivered(letter(1), 200, day), "3": delivered(letter(2), 300, day)}
	b := box{{"1", 100, memo(3), false}, {"2", 300, letter(2), false}}
	todo, _ := b.decide(t, known, plan.Policy{}, at(noon))
	if got := b.receive(todo, known, 2); !slices.Equal(got, []int{1}) {
		t.Errorf("delivers %v, want memo 3", got)
	}
	if r := known["1"]; r.Body != memo(3).Body || r.Unproven {
		t.Errorf("message 1 has the record %+v", r)
	}
}

// A record that proves nothing, but has the digest of the body, is compared by it.
func TestUnprovenRecordWithABodyIsCompared(t *testing.T) {
	unproven := delivered(memo(1), 100, day)
	unproven.Unproven = true
	known := records{"1": unproven, "2": delivered(letter(1), 200, day), "3": delivered(memo(2), 100, day), "4": delivered(letter(2), 300, day)}
	b := box{{"1", 100, memo(2), false}, {"2", 300, letter(2), false}}
	todo, _ := b.decide(t, known, plan.Policy{}, at(noon))
	if got := b.receive(todo, known, 2); len(got) > 0 || known["1"].Body != memo(2).Body {
		t.Errorf("delivers %v; message 1 has the record %+v", got, known["1"])
	}
}

// The first of two messages that share a unique-id goes, and the second takes its id. That says
// nothing about other ids.
func TestTwinThatTakesAnIDMakesNoOtherMessageNew(t *testing.T) {
	known := records{"a": {Delivered: noon, Octets: 100, Fingerprint: memo(1).Fingerprint, Unproven: true}, "x": delivered(letter(1), 200, day), "x\x002": delivered(letter(2), 300, day)}
	b := box{{"a", 100, memo(1), false}, {"x", 300, letter(2), false}}
	todo, _ := b.decide(t, known, plan.Policy{}, at(noon))
	if got := b.receive(todo, known, 2); todo.Reused != 1 || len(got) > 0 {
		t.Errorf("%d ids reused, delivers %v", todo.Reused, got)
	}
}

// The ids belong to the places of the maildrop, the server lists no sizes, and version 1 has
// recorded every second message. Another client deletes the first, so that each message behind
// it takes the id of the one before. No recorded message shows the header block of another one,
// but a message under an id without a record does.
func TestMessageOfVersion1UnderAnIDWithoutRecordIsRecognised(t *testing.T) {
	old := func(n int) state.Record {
		return state.Record{Delivered: noon, Octets: -1, Digest: letter(n).Block}
	}
	known := records{"1st": old(1), "3rd": old(3), "5th": old(5)}
	b := box{{"1st", -1, letter(2), false}, {"2nd", -1, letter(3), false}, {"3rd", -1, letter(4), false}, {"4th", -1, letter(5), false}}
	when := at(noon)
	when.Daily = true
	todo, _ := b.decide(t, known, plan.Policy{}, when)
	got := b.receive(todo, known, 4)
	if slices.Sort(got); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("delivers %v, want 2 and 4, which have the numbers 1 and 3", got)
	}
}

// A message of version 1 was stamped since, and a copy of it comes without the stamp. That says
// nothing about ids.
func TestCopyOfAStampedMessageOfVersion1MakesNoOtherMessageNew(t *testing.T) {
	stamped := func(n int) plan.Identity {
		m := letter(n)
		m.Block = [16]byte{byte(n)}
		return m
	}
	known := records{"a": {Delivered: noon, Octets: 100, Digest: letter(1).Block}, "b": {Delivered: noon, Octets: 100, Digest: letter(2).Block}}
	b := box{{"a", 110, stamped(1), false}, {"b", 110, stamped(2), false}, {"c", 100, letter(1), false}}
	when := at(noon)
	when.Daily = true
	todo, _ := b.decide(t, known, plan.Policy{}, when)
	if got := b.receive(todo, known, 3); !slices.Equal(got, []int{3}) {
		t.Errorf("delivers %v, want the copy", got)
	}
}
