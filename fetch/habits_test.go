package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

// Real servers do these things, and nothing is wrong from their point of view.

func habits(b pop3test.Habits) func(*pop3test.Server) {
	return func(s *pop3test.Server) { s.Habits = b }
}

// nextDay moves the clock to a time at which the daily look is due.
func (c *clock) nextDay() { c.now = c.now.Add(25 * time.Hour) }

// The ids are message numbers, and the server deletes, but its reply to QUIT is lost: a new
// message has the number of a deleted one.
func TestNewMessageWithTheNumberOfADeletedOneIsDelivered(t *testing.T) {
	for name, keep := range map[string]plan.Policy{"keep = false": {Delete: true}, "a duration": {Delete: true, After: 14 * 24 * time.Hour}} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 2, habits(pop3test.Habits{IDs: pop3test.NumberIDs}))
			c := h.clock()
			h.server.SetFaults(pop3test.Fault{At: "QUIT", Do: pop3test.Drop, Times: 1})
			h.account.Policy.Delete = true
			if _, err := h.poll(); err == nil {
				t.Fatal("the reply to QUIT was not lost")
			}
			h.onServer()
			h.drop.Add(message(3))
			h.account.Policy = keep
			for range 30 {
				h.mustPoll()
				c.nextDay()
			}
			h.delivered(1, 2, 3)
			h.onServer()
		})
	}
}

// Neither sizes nor unique-ids tell the messages apart, and the next one has a known id.
func TestMessageOfUnknownSizeUnderAKnownIDIsDelivered(t *testing.T) {
	for name, keep := range map[string]plan.Policy{"true": {}, "false": {Delete: true}, "a duration": {Delete: true, After: 14 * 24 * time.Hour}} {
		t.Run("keep = "+name, func(t *testing.T) {
			h := newFixture(t, 1, habits(pop3test.Habits{IDs: pop3test.NumberIDs, NoOctets: true}))
			c := h.clock()
			h.mustPoll()
			h.drop.Remove("u1")
			h.drop.Add(message(2))
			h.account.Policy = keep
			for range 30 {
				c.nextDay()
				h.mustPoll()
			}
			h.delivered(1, 2)
			if keep.Delete {
				h.onServer()
			} else {
				h.onServer("u2")
			}
		})
	}
}

// A program drops what it has taken before, by the delivery id, as the manual advises.
func TestAnotherMessageUnderAKnownIDHasAnotherDeliveryID(t *testing.T) {
	h := newFixture(t, 1, nil)
	c := h.clock()
	program := newFakeMDA()
	h.into(program, hookedDestination{})
	h.mustPoll()
	h.drop.Remove("u1")
	other := message(2)
	other.UID = "u1"
	h.drop.Add(other)
	c.nextDay()
	h.account.Policy.Delete = true
	h.mustPoll()
	first, second := program.ids[text(1)], program.ids[text(2)]
	if first == "" || second == "" || first == second {
		t.Errorf("the delivery ids are %q and %q", first, second)
	}
	h.onServer()
}

// Sizes and header blocks of kept messages change, and ids shift when another client deletes.
// New mail comes every day, and nothing arrives twice.
func TestKeptMessagesArriveOnceWhateverTheServerChanges(t *testing.T) {
	const first, days = 32, 4
	for name, b := range map[string]pop3test.Habits{
		"Status: O becomes OR":               {StampStatus: true},
		"a filter stamps at each session":    {Restamp: true},
		"TOP shows a field more":             {TopField: true},
		"sizes are estimates at first":       {EstimateOctets: true},
		"both":                               {TopField: true, EstimateOctets: true},
		"line ends count as one octet":       {CountLF: true},
		"no sizes":                           {NoOctets: true},
		"ids are numbers":                    {IDs: pop3test.NumberIDs},
		"ids are numbers, no sizes, stamps":  {IDs: pop3test.NumberIDs, NoOctets: true, Restamp: true},
		"ids belong to places":               {IDs: pop3test.PlaceIDs},
		"ids belong to places, no sizes":     {IDs: pop3test.PlaceIDs, NoOctets: true},
		"ids belong to places, and stamps":   {IDs: pop3test.PlaceIDs, StampStatus: true, Restamp: true},
		"all ids are new in the 3rd session": {NewIDsFrom: 3},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, first, habits(b))
			c := h.clock()
			h.mustPoll()
			for day := range days {
				h.drop.Remove(fmt.Sprintf("u%d", 5+7*day))
				h.drop.Add(message(first + day + 1))
				c.nextDay()
				h.mustPoll()
			}
			h.delivered(upTo(first + days)...)
			if n := len(h.drop.Messages()); n != first {
				t.Errorf("%d messages are on the server, want %d", n, first)
			}
			h.account.Policy.Delete = true
			for range 2 {
				c.nextDay()
				h.mustPoll()
			}
			h.onServer()
			h.delivered(upTo(first + days)...)
		})
	}
}

// Gmail lists the oldest messages that were not downloaded, and then the next ones, so that
// each poll sees other ids only.
func TestEveryBatchOfGmailIsFetched(t *testing.T) {
	const all, batch = 25, 10
	h := newFixture(t, all, habits(pop3test.Habits{Batch: batch}))
	for range 4 {
		h.mustPoll()
	}
	h.delivered(upTo(all)...)
	h.drop.Add(message(all + 1))
	h.mustPoll()
	h.delivered(upTo(all + 1)...)
}

// A message is replaced by a larger one with its id, far from the newest, and nothing else
// is new.
func TestLargerMessageUnderAKnownIDIsFetchedWithinADay(t *testing.T) {
	const all = 40
	h := newFixture(t, all, nil)
	c := h.clock()
	h.mustPoll()
	other := pop3test.Message{UID: "u1", Raw: pop3test.Text(text(1000))}
	h.move(append([]pop3test.Message{other}, messages(all)[1:]...)...)
	c.nextDay()
	h.mustPoll()
	h.delivered(append(upTo(all), 1000)...)
}

// STAT says that there is nothing, whatever the server answers to UIDL and LIST then. That is
// no error, and nothing to talk about.
func TestEmptyMaildropIsSilentWhateverTheListingsSay(t *testing.T) {
	for name, b := range map[string]pop3test.EmptyListing{"with a dot": pop3test.EmptyWithDot, "refused": pop3test.EmptyRefused, "without a dot": pop3test.EmptyDotless} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 2, habits(pop3test.Habits{Empty: b}))
			c := h.clock()
			h.account.Policy.Delete = true
			h.mustPoll()
			h.onServer()
			var said bytes.Buffer
			h.account.Log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelInfo}))
			for range 3 {
				c.nextDay()
				if r := h.mustPoll(); r.Delivered+r.Failed+r.Skipped+r.Seen != 0 {
					t.Errorf("%+v", r)
				}
			}
			if said.Len() > 0 {
				t.Errorf("said %s", &said)
			}
			h.drop.Add(message(3))
			h.mustPoll()
			h.delivered(1, 2, 3)
		})
	}
}

// A program was handed a message, and a crash leaves open whether it has taken it. Then another
// one has its unique-id, with the same header block, and must not be dropped for it.
func TestMemoUnderTheIDOfOneThatWasHandedOverIsNotDropped(t *testing.T) {
	const first, second = "Subject: memo\n\none\n", "Subject: memo\n\ntwo\n"
	h := newFixture(t, 0, nil)
	h.drop.Add(pop3test.Message{UID: "x", Raw: pop3test.Text(first)})
	program := newFakeMDA()
	h.into(program, hookedDestination{publish: func(g []deliver.Staged) []error {
		program.Publish(context.Background(), g)
		panic("the process ends here")
	}})
	h.poll()
	h.restart()
	h.drop.Remove("x")
	h.drop.Add(pop3test.Message{UID: "x", Raw: pop3test.Text(second)})
	h.into(program, hookedDestination{})
	h.poll()
	h.mustPoll()
	if a, b := program.ids[first], program.ids[second]; a == "" || b == "" || a == b {
		t.Errorf("the delivery ids are %q and %q", a, b)
	}
}
