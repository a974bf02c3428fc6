package plan_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// namesake is another message with the header block of a letter, Message-ID included.
func namesake(n int) plan.Identity {
	m := letter(n)
	m.Body = [16]byte{byte(n), 15: 1}
	return m
}

// popfetch has delivered and deleted a message, and another one with the same header block was
// listed beside it and not fetched. Neither the header block nor the unique-id, which may be
// the place of the deleted one, makes it the deleted one: its body does.
func TestNamesakeOfADeletedMessageIsDelivered(t *testing.T) {
	gone := delivered(letter(1), 100, day)
	gone.Deleted, gone.Absent, gone.Counted, gone.Absences = true, noon.Add(-day), noon.Add(-day), 1
	for name, tt := range map[string]struct {
		id        string
		m         plan.Identity
		delivered bool
		putBack   bool
	}{
		"the other one":                {"b", namesake(1), true, false},
		"the other one under its id":   {"a", namesake(1), true, false},
		"a copy":                       {"b", letter(1), false, true},
		"not deleted by the server":    {"a", letter(1), false, false},
		"another header block as well": {"a", letter(2), true, false},
	} {
		for _, noHeaders := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				known := records{"a": gone}
				b := box{{tt.id, 100, tt.m, false}}
				when := at(noon)
				when.NoHeaders = noHeaders
				p := plan.Policy{Delete: true}
				todo, _ := b.decide(t, known, p, when)
				if todo.Delete.Len() > 0 || todo.Retrieve.Len() != 1 || !todo.Compare {
					t.Fatalf("%v; deletes %v, compares %v", todo, nums(todo.Delete), todo.Compare)
				}
				known.apply(todo)
				e, ok, _ := plan.NewUnclaimed(b.listing(), known.sorted).Find(tt.id, tt.m, known.get)
				if ok == tt.delivered {
					t.Fatalf("known: %v", ok)
				}
				if !ok {
					return
				}
				r, due := plan.Recognised(todo.Retrieve.At(0), e, tt.m, p, when)
				if r.PutBack != tt.putBack || r.Deleted || due == tt.putBack {
					t.Errorf("due: %v, %+v", due, r)
				}
			})
		}
	}
}

// A message whose header block is not shown is retrieved before it is deleted. If its body is
// not that of the delivered one, because the server makes another one each time, say, the
// message is not delivered again, but it is not deleted either.
func TestMessageWithAnotherBodyUnderItsIDStays(t *testing.T) {
	for name, tt := range map[string]struct {
		m      plan.Identity
		remove bool
	}{"the same body": {letter(1), true}, "another body": {namesake(1), false}} {
		t.Run(name, func(t *testing.T) {
			known := records{"a": delivered(letter(1), 100, 20*day)}
			b := box{{"a", 100, tt.m, true}}
			p := plan.Policy{Delete: true, After: 14 * day}
			todo, _ := b.decide(t, known, p, at(noon))
			known.apply(todo)
			e, ok, _ := plan.NewUnclaimed(b.listing(), known.sorted).Find("a", tt.m, known.get)
			if !ok {
				t.Fatal("it is taken for new mail")
			}
			if r, due := plan.Recognised(todo.Retrieve.At(0), e, tt.m, p, at(noon)); due != tt.remove || r.PutBack == tt.remove {
				t.Errorf("due: %v, %+v", due, r)
			}
		})
	}
}

// The delivery id of a message that a program was handed is not used for one with the same
// header block.
func TestNamesakeOfAMessageThatWasHandedOverHasAnotherDeliveryID(t *testing.T) {
	r := state.Record{Nonce: 7, Failures: 1, Reason: "75"}
	letter(1).Record(&r)
	if !letter(1).MayBe(r) || namesake(1).MayBe(r) {
		t.Errorf("the same: %v, the other: %v", letter(1).MayBe(r), namesake(1).MayBe(r))
	}
}

// A moved maildrop has only messages whose ids are new. Those with the header block of a
// deleted one are received and compared.
func TestNamesakeOfADeletedMessageIsNotRecognisedByItsHeaderBlock(t *testing.T) {
	gone := delivered(letter(1), 100, day)
	gone.Deleted = true
	known := records{"a": gone, "b": delivered(letter(2), 100, day)}
	b := box{{"c", 100, namesake(1), false}, {"d", 100, letter(2), false}}
	todo, looked := b.decide(t, known, plan.Policy{}, at(noon))
	got := b.receive(todo, known, 2)
	if !slices.Equal(looked, []int{1, 2}) || !slices.Equal(got, []int{1}) {
		t.Errorf("looked at %v, delivers %v", looked, got)
	}
}

// All ids are new, and a message with the header block of a delivered one, which another client
// has deleted, is taken for that. When it would be deleted, its body tells.
func TestNamesakeThatWasTakenForADeliveredMessageIsNotDeleted(t *testing.T) {
	known := records{"a": delivered(letter(1), 100, day)}
	b := box{{"b", 100, namesake(1), false}}
	p := plan.Policy{Delete: true, After: 14 * day}
	todo, _ := b.decide(t, known, p, at(noon))
	if known.apply(todo); todo.Moved != 1 || !known["b"].Moved {
		t.Fatalf("%v, %d moved; %+v", todo, todo.Moved, known["b"])
	}
	todo, _ = b.decide(t, known, p, at(noon.Add(14*day)))
	if got := b.receive(todo, known, 1); !slices.Equal(got, []int{1}) || todo.Delete.Len() > 0 {
		t.Errorf("delivers %v, deletes %v", got, nums(todo.Delete))
	}
}

// A message that the server has not deleted is compared, and a crash comes before that is
// recorded. Its record has no id for a day or more, but the message was always there.
func TestMessageThatWasListedAllTheTimeWasNotPutBack(t *testing.T) {
	gone := delivered(letter(1), 100, day)
	gone.Deleted, gone.Absent, gone.Counted, gone.Absences = true, noon.Add(-day), noon.Add(-day), 1
	known := records{"a": gone}
	b := box{{"a", 100, letter(1), true}}
	p := plan.Policy{Delete: true}
	for days := range 3 {
		when := at(noon.Add(time.Duration(days) * day))
		todo, _ := b.decide(t, known, p, when)
		known.apply(todo)
		e, ok, _ := plan.NewUnclaimed(b.listing(), known.sorted).Find("a", letter(1), known.get)
		if !ok {
			t.Fatal("it is taken for new mail")
		}
		if r, due := plan.Recognised(todo.Retrieve.At(0), e, letter(1), p, when); !due {
			t.Errorf("after %d days: %+v", days, r)
		}
	}
}

// The server has not deleted two copies of a message. Each is compared with its own record,
// or it would count as put back.
func TestCopiesThatTheServerHasNotDeletedAreDeletedAgain(t *testing.T) {
	for range 10 {
		first, second := delivered(letter(1), 100, day), delivered(letter(1), 100, day)
		first.Deleted, second.Deleted = true, true
		first.Nonce, second.Nonce = rand.Uint32(), rand.Uint32()
		known := records{"a": first, "b": second}
		b := box{{"a", 100, letter(1), false}, {"b", 100, letter(1), false}}
		p := plan.Policy{Delete: true}
		todo, _ := b.decide(t, known, p, at(noon))
		known.apply(todo)
		u := plan.NewUnclaimed(b.listing(), known.sorted)
		for it := range todo.Retrieve.All() {
			e, ok, _ := u.Find(it.ID, letter(1), known.get)
			if !ok {
				t.Fatalf("%s is taken for new mail", it.ID)
			}
			if r, due := plan.Recognised(it, e, letter(1), p, at(noon)); !due {
				t.Errorf("%s stays: %+v", it.ID, r)
			}
		}
	}
}

// Of two records that a message may have, it has the one with its body.
func TestNamesakesKeepTheirOwnRecords(t *testing.T) {
	first, second := delivered(letter(1), 100, 20*day), delivered(namesake(1), 100, 20*day)
	for _, absent := range []time.Time{noon.Add(-day), {}} {
		second.Absent = absent
		known := records{"1st": first, "2nd": second}
		b := box{{"1st", 100, namesake(1), true}}
		todo, _ := b.decide(t, known, plan.Policy{Delete: true}, at(noon))
		known.apply(todo)
		e, ok, _ := plan.NewUnclaimed(b.listing(), known.sorted).Find("1st", namesake(1), known.get)
		if !ok || e.ID != "2nd" {
			t.Errorf("found %v, %q", ok, e.ID)
		}
	}
}

// The server has kept a message although it had confirmed the deletion. A namesake of it comes
// when it is gone at last.
func TestNamesakeOfAMessageThatTheServerHadKeptIsDelivered(t *testing.T) {
	gone := delivered(letter(1), 100, day)
	gone.Deleted, gone.Kept = true, true
	known := records{"a": gone}
	b := box{{"b", 100, namesake(1), false}}
	todo, _ := b.decide(t, known, plan.Policy{Delete: true}, at(noon))
	if got := b.receive(todo, known, 1); !slices.Equal(got, []int{1}) {
		t.Errorf("delivers %v: %v", got, todo)
	}
}

// The record of an attempt goes to the new id of its message, with the delivery id.
func TestRecordOfAnAttemptMovesWithItsMessage(t *testing.T) {
	handed := state.Record{Octets: 100, Nonce: 7, Failures: 1, Reason: "75"}
	letter(1).Record(&handed)
	todo, _ := box{{"b", 100, letter(1), false}}.decide(t, records{"a": handed}, plan.Policy{Delete: true}, at(noon))
	if todo.Retrieve.Len() != 1 || todo.Retrieve.At(0).Record.Nonce != 7 {
		t.Errorf("%v", todo)
	}
}
