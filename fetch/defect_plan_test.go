package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// A great maildrop that is gone at once, or comes back, made one transaction of
// all its ids.
func TestGreatMaildropThatChangedMadeAGreatTransaction(t *testing.T) {
	const all, most = 25_000, 10_000
	ids := make([]string, all)
	for i := range ids {
		ids[i] = fmt.Sprintf("u%05d", i)
	}
	gone := seen(50 * day)
	gone.Absent, gone.Absences = noon.Add(-31*day), 3
	back := gone
	back.Absent, back.Absences = noon.Add(-time.Hour), 1
	for name, tt := range map[string]struct {
		was     state.Record
		listing *fetch.Listing
		left    int // records at the end
		absent  bool
	}{
		"gone":          {seen(day), list(), all, true},
		"gone for long": {gone, list(), 0, true},
		"back":          {back, list(ids...), all, false},
	} {
		t.Run(name, func(t *testing.T) {
			known := records{}
			for _, id := range ids {
				known[id] = tt.was
			}
			for i, want := range []int{most, most, all - 2*most, 0} {
				plan := fetch.NewPlan(tt.listing, known.sorted, fetch.Policy{}, noon)
				if got := len(plan.Aged) + len(plan.Forget); got != want {
					t.Errorf("poll %d changes %d records, want %d", i+1, got, want)
				}
				if plan.Seen != tt.listing.Len() {
					t.Errorf("poll %d: %v", i+1, plan)
				}
				known.store(plan)
			}
			if len(known) != tt.left {
				t.Errorf("%d records are left, want %d", len(known), tt.left)
			}
			for id, r := range known {
				if r.Absent.IsZero() == tt.absent {
					t.Fatalf("%s: %+v", id, r)
				}
			}
		})
	}
}

// One copy in the Maildir cannot stand for two messages, of which one is
// recorded already.
func TestTwinOfARecordedMessageWasLearnedThoughNeverDelivered(t *testing.T) {
	one, err := fetch.Recognise(bytes.NewReader(pop3test.Text(text(1))))
	if err != nil {
		t.Fatal(err)
	}
	one.Time = time.Now()
	for copies, want := range map[int]int{1: 0, 2: 1} {
		t.Run(fmt.Sprint("copies ", copies), func(t *testing.T) {
			h := newHouse(t, 1, nil)
			twin := message(1)
			twin.UID = "twin"
			h.drop.Add(twin)
			h.account.Policy.MaxMessages = 1
			h.mustPoll()
			have := []fetch.Stored{one, one}[:copies]
			learned, unknown, err := h.account.Relearn(context.Background(), have)
			if learned != want || unknown != 1-want || err != nil {
				t.Errorf("learned %d, unknown %d, %v", learned, unknown, err)
			}
			h.server.Wait()
			if got := h.known()["twin"].Seen(); got != (want == 1) {
				t.Errorf("recorded as delivered: %v", got)
			}
			if r := h.mustPoll(); r.Delivered != 1-want {
				t.Errorf("%+v", r)
			}
		})
	}
}
