package plan_test

import (
	"fmt"
	"iter"
	"testing"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// refusedRecords are records of n messages that were refused, and one of a delivered
// message.
func refusedRecords(n int) iter.Seq2[[]byte, state.Record] {
	return func(yield func([]byte, state.Record) bool) {
		for i := range n {
			if !yield(fmt.Appendf(nil, "a%06d", i), state.Record{Failures: 1, Reason: "refused"}) {
				return
			}
		}
		yield([]byte("b"), state.Record{Delivered: noon, Fingerprint: plan.Fingerprint{1}})
	}
}

// A server that lists and refuses other messages in each poll does not make the state
// grow for ever: records of undelivered messages that are not listed are forgotten when
// there are too many, and no others.
func TestRecordsOfUndeliveredMessagesAreLimited(t *testing.T) {
	for n, want := range map[int]int{100: 0, plan.MaxUndelivered: 0, plan.MaxUndelivered + 500: plan.MaxUndelivered/2 + 500} {
		listing := new(plan.Listing)
		listing.Add(plan.Listed{Num: 1, ID: "a000000", Octets: -1})
		listing.Add(plan.Listed{Num: 2, ID: "new", Octets: -1})
		todo := plan.New(listing, refusedRecords(n), plan.Policy{}, plan.When{Now: noon}, nil)
		if len(todo.Forget) != want || todo.Undelivered != n-want {
			t.Errorf("of %d records %d are forgotten and %d stay", n, len(todo.Forget), todo.Undelivered)
		}
		for _, id := range todo.Forget {
			if id == "a000000" || id == "b" {
				t.Errorf("the record of %q is forgotten", id)
			}
		}
	}
}

// A poll that ends early begins with another one of the messages that failed each time.
func TestMessagesThatFailedTakeTurns(t *testing.T) {
	listing := new(plan.Listing)
	for i := range 10 {
		listing.Add(plan.Listed{Num: i + 1, ID: fmt.Sprintf("a%06d", i), Octets: -1})
	}
	listing.Add(plan.Listed{Num: 11, ID: "new", Octets: -1})
	first := map[int]bool{}
	for turn := range uint32(10) {
		todo := plan.New(listing, refusedRecords(10), plan.Policy{}, plan.When{Now: noon, Turn: turn}, nil)
		nums := todo.Retrieve.Nums()
		if len(nums) != 11 || nums[0] != 11 {
			t.Fatalf("the new message is not the first: %v", nums)
		}
		first[nums[1]] = true
	}
	if len(first) != 10 {
		t.Errorf("only these come first: %v", first)
	}
}

// A program perhaps has the message, and drops it by its delivery id when it is handed over
// again. The message has no identity field, and TOP shows a field more than RETR.
func TestMessageThatWasHandedOverKeepsItsDeliveryIDAlthoughTopAddsAField(t *testing.T) {
	bare, shown := identityOf("X-Report: 1\r\n\r\nbody\r\n"), identityOf("X-Top: 1\r\nX-Report: 1\r\n\r\nbody\r\n")
	handed := state.Record{Octets: 100, Fingerprint: bare.Fingerprint, Body: bare.Body, Nonce: 7}
	todo, looked := box{{"a", 100, shown, false}}.decide(t, records{"a": handed}, plan.Policy{}, at(noon))
	if len(looked) != 1 || todo.Retrieve.Len() != 1 || todo.Retrieve.At(0).Record != handed {
		t.Errorf("looked at %v: %v", looked, todo)
	}
}
