package fetch_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

// renumbered returns a fixture whose 25 messages were delivered, have new unique-ids
// then, and were recognised by a poll that found one new message.
func renumbered(t *testing.T, change func(*pop3test.Server)) *fixture {
	h := newFixture(t, 25, change)
	h.mustPoll()
	before := h.mail("new")
	h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.RenumberUID})
	h.drop.Add(message(26))
	r := h.mustPoll()
	h.deliveredTexts(append(before, text(26))...)
	if r.Delivered != 1 || r.Seen != 25 {
		t.Errorf("%+v", r)
	}
	h.untouched(func() { h.mustPoll() })
	return h
}

func TestMessagesUnderNewUniqueIDsAreRecognised(t *testing.T) {
	h := renumbered(t, nil)
	h.account.Policy.Delete = true
	h.mustPoll()
	h.onServer()
}

func TestMessagesUnderNewUniqueIDsAreComparedWhenNoHeaderBlockIsShown(t *testing.T) {
	renumbered(t, without("TOP"))
}

// Messages that popfetch deleted itself are gone: as many new ones are not the
// old ones under other ids.
func TestOwnDeletionsAreNoRenumbering(t *testing.T) {
	const n = 25
	fresh := make([]pop3test.Message, n)
	for i := range fresh {
		fresh[i] = message(100 + i)
	}
	for name, empty := range map[string]func(h *fixture){
		"delete_after": func(h *fixture) {
			h.account.Policy = plan.Policy{Delete: true, After: time.Hour}
			h.mustPoll()
			for id, r := range h.known() {
				r.Observed -= 2 * time.Hour
				h.put(id, r)
			}
			h.mustPoll()
		},
		"deleted no longer": func(h *fixture) {
			h.account.Policy = plan.Policy{Delete: true}
			h.mustPoll()
			h.account.Policy = plan.Policy{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, n, nil)
			empty(h)
			h.onServer()
			h.drop.Add(fresh...)
			if r := h.mustPoll(); r.Delivered != n {
				t.Errorf("%+v", r)
			}
		})
	}
}

// move puts these messages on another server, with other unique-ids.
func (h *fixture) move(to ...pop3test.Message) {
	h.t.Helper()
	h.server.Close()
	h.drop = pop3test.NewMaildrop(to...)
	h.server = &pop3test.Server{
		Security: pop3test.ClearText,
		Users:    map[string]*pop3test.User{"me": {Password: "secret", Maildrop: h.drop}},
		LockWait: 10 * time.Second,
	}
	if err := h.server.Start(); err != nil {
		h.t.Fatal(err)
	}
}

// report is a message that differs from others of its kind only in its length.
func report(lines int) string {
	return "From: cron@example.org\nSubject: report\n\n" + strings.Repeat("all is well\n", lines)
}

func TestNewMessagesWithAKnownHeaderBlockAreFetched(t *testing.T) {
	const all, replaced = 25, 3
	h := newFixture(t, 0, nil)
	var old, moved []pop3test.Message
	var want []string
	for n := range all + replaced {
		m := pop3test.Message{UID: fmt.Sprintf("old%02d", n), Raw: pop3test.Text(report(n))}
		if n < all {
			old = append(old, m)
		}
		if n >= replaced {
			m.UID = fmt.Sprintf("moved%02d", n)
			moved = append(moved, m)
		}
		want = append(want, report(n))
	}
	h.drop.Add(old...)
	h.mustPoll()
	h.move(moved...)
	h.account.Policy = plan.Policy{Delete: true}
	r := h.mustPoll()
	h.deliveredTexts(want...)
	h.onServer()
	if r.Delivered != replaced || r.Seen != all-replaced || r.Deleted != all {
		t.Errorf("%+v", r)
	}
}

// A server that is being moved lists nothing for a while.
func TestMaildropThatWasEmptyForAWhileIsRecognised(t *testing.T) {
	const all = 25
	h := newFixture(t, all, nil)
	h.mustPoll()
	h.move()
	h.mustPoll()
	for id, r := range h.known() {
		if r.Absences != 1 {
			t.Fatalf("%s: %+v", id, r)
		}
	}
	moved := messages(all)
	for i := range moved {
		moved[i].UID = "moved-" + moved[i].UID
	}
	h.move(moved...)
	r := h.mustPoll()
	h.delivered(upTo(all)...)
	if r.Delivered != 0 || r.Seen != all {
		t.Errorf("%+v", r)
	}
	known := h.known()
	for id, r := range known {
		if !r.Seen() || !r.Absent.IsZero() || !strings.HasPrefix(id, "moved-") {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if len(known) != all {
		t.Errorf("%d ids are known, want %d", len(known), all)
	}
	h.untouched(func() { h.mustPoll() })
}

// A message of a renumbered maildrop whose header block is not shown is compared when
// it has been received.
func TestHalfShownRenumberedMaildropIsNotRepeated(t *testing.T) {
	h := newFixture(t, 25, nil)
	h.mustPoll()
	before := h.mail("new")
	f := []pop3test.Fault{{At: "", Do: pop3test.RenumberUID}}
	for n := range 12 {
		f = append(f, pop3test.Fault{At: fmt.Sprintf("TOP %d 0", n+1), Do: pop3test.Err, Text: "no"})
	}
	h.server.SetFaults(f...)
	if r := h.mustPoll(); r.Delivered != 0 || r.Seen != 25 {
		t.Errorf("%+v", r)
	}
	h.deliveredTexts(before...)
}

// The absence of the old id is counted in the poll that recognises the message under a new
// one: its record must not stay under both.
func TestRecognisedMessageHasOneRecord(t *testing.T) {
	h := newFixture(t, 3, without("TOP"))
	h.mustPoll()
	h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.RenumberUID})
	h.mustPoll()
	if known := h.known(); len(known) != 3 {
		t.Errorf("%d records of 3 messages: %v", len(known), known)
	}
}

// A backup brings a deleted message back, under another unique-id. It stays on the server.
func TestRestoredMessageIsNotDeliveredAgain(t *testing.T) {
	h := newFixture(t, 2, nil)
	backup := h.drop.Snapshot()
	h.account.Policy.Delete = true
	h.mustPoll()
	h.onServer()
	h.drop.Restore(backup)
	h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.RenumberUID})
	for range 2 {
		if r := h.mustPoll(); r.Delivered != 0 || r.Deleted != 0 {
			t.Errorf("%+v", r)
		}
	}
	h.delivered(1, 2)
	h.onServer("u1", "u2")
}

// Messages that are received only to be compared must not hold up new mail for ever.
func TestMaxMessagesDoesNotCountComparedMessages(t *testing.T) {
	h := newFixture(t, 5, without("TOP"))
	h.mustPoll()
	h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.RenumberUID})
	h.drop.Add(message(6), message(7), message(8))
	h.account.Policy.MaxMessages = 2
	if r := h.mustPoll(); r.Delivered != 2 || r.Seen != 5 || r.Skipped != 1 {
		t.Errorf("%+v", r)
	}
}

// The ids belong to the places of the maildrop, and another client deletes the first message. A
// crash comes after popfetch has found that out, and before it has compared a memo that only its
// body tells from others. The next memo takes the id that the memo had before.
func TestMemoUnderAnIDThatWasNotListedBeforeACrashIsDelivered(t *testing.T) {
	const first, second = "Subject: memo\n\none\n", "Subject: memo\n\ntwo\n"
	h := newFixture(t, 2, habits(pop3test.Habits{IDs: pop3test.PlaceIDs, NoOctets: true}))
	c := h.clock()
	h.drop.Add(pop3test.Message{UID: "m1", Raw: pop3test.Text(first)})
	h.mustPoll()
	h.drop.Remove("u1")
	c.nextDay()
	h.through(hookedDestination{stage: func(context.Context, deliver.Meta, io.Reader) error { panic("the process ends here") }})
	h.poll()
	h.restart()
	h.account.Now = func() time.Time { return c.now }
	h.drop.Add(pop3test.Message{UID: "m2", Raw: pop3test.Text(second)})
	h.mustPoll()
	h.deliveredTexts(text(1), text(2), first, second)
}
