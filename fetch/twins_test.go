package fetch_test

import (
	"testing"

	"popfetch/fetch/pop3/pop3test"
)

func TestTwoMessagesWithOneUniqueID(t *testing.T) {
	h := newFixture(t, 0, nil)
	one, two, three := message(1), message(2), message(3)
	one.UID, two.UID = "same", "same"
	h.drop.Add(one, two, three)
	h.mustPoll()
	h.delivered(1, 2, 3)
	h.mustPoll()
	h.delivered(1, 2, 3)
	// Their header blocks tell which record belongs to which message.
	h.account.Policy.Delete = true
	h.mustPoll()
	h.onServer()
	h.delivered(1, 2, 3)
}

func TestTwoMessagesWithOneUniqueIDAreDeletedOnceDelivered(t *testing.T) {
	h := newFixture(t, 0, nil)
	one, two := message(1), message(2)
	one.UID, two.UID = "same", "same"
	h.drop.Add(one, two)
	h.account.Policy.Delete = true
	h.mustPoll()
	h.delivered(1, 2)
	h.onServer()
}

// Two messages have one unique-id. The first one goes, and the other is listed in its
// place. A poll that finds nothing to do must keep the other's record.
func TestTwinIsNotFetchedAgainAfterAnIdlePoll(t *testing.T) {
	const a, b = "Subject: a\n\nA\n", "Subject: b\n\nB is longer\n"
	for name, idle := range map[string]int{"at once": 0, "after an idle poll": 1, "after three": 3} {
		t.Run(name, func(t *testing.T) {
			left := pop3test.Message{UID: "x", Raw: pop3test.Text(b)}
			h := newFixture(t, 0, nil)
			h.drop.Add(pop3test.Message{UID: "x", Raw: pop3test.Text(a)}, left)
			h.mustPoll()
			h.move(left)
			for range idle {
				h.mustPoll()
			}
			h.drop.Add(message(1))
			if r := h.mustPoll(); r.Delivered != 1 {
				t.Errorf("%+v", r)
			}
			h.deliveredTexts(a, b, text(1))
		})
	}
}

// Two messages share a unique-id and come back after QUIT: a later session deletes
// them once their header blocks have shown which record is whose.
func TestTwinsThatComeBackAreLookedAtBeforeALaterSessionDeletesThem(t *testing.T) {
	one, two := message(1), message(22)
	one.UID, two.UID = "same", "same"
	h := newFixture(t, 0, faults(pop3test.Fault{At: "QUIT", Session: 1, Do: pop3test.SkipUpdate, N: 0}))
	h.account.Policy.Delete = true
	h.drop.Add(one, two)
	h.mustPoll()
	h.onServer("same", "same")
	h.mustPoll()
	h.onServer()
	h.commands(2, []string{"TOP", "RETR", "DELE"}, "TOP 1 0", "TOP 2 0", "RETR 1", "RETR 2", "DELE 1", "DELE 2")
	h.delivered(1, 22)
}

// Two messages have the same header block, Message-ID included, and different bodies. The server
// refuses one of them for a while, and popfetch deletes the other. Both are delivered, whatever
// unique-id the one that is left has then.
func TestMessageWithTheHeaderBlockOfADeletedOneIsDelivered(t *testing.T) {
	const header = "Message-ID: <1@example.org>\nSubject: order\n\n"
	const first, second = header + "first body\n", header + "second body\n"
	for name, change := range map[string]func(*pop3test.Server){
		"stable ids":    func(*pop3test.Server) {},
		"numbers":       habits(pop3test.Habits{IDs: pop3test.NumberIDs}),
		"places":        habits(pop3test.Habits{IDs: pop3test.PlaceIDs}),
		"no unique-ids": without("UIDL"),
		"no TOP":        without("TOP"),
	} {
		for _, refused := range []string{"RETR 1", "RETR 2"} {
			t.Run(name+", "+refused, func(t *testing.T) {
				h := newFixture(t, 0, func(s *pop3test.Server) {
					change(s)
					s.Faults = []pop3test.Fault{{At: refused, Do: pop3test.Err, Text: "[SYS/TEMP] later", Times: 1}}
				})
				h.account.Policy.Delete = true
				h.drop.Add(pop3test.Message{UID: "x", Raw: pop3test.Text(first)}, pop3test.Message{UID: "y", Raw: pop3test.Text(second)})
				h.poll()
				h.mustPoll()
				h.deliveredTexts(first, second)
				h.onServer()
			})
		}
	}
}

// A server that confirms each deletion and keeps the message must not cost a download at each
// poll.
func TestMessageThatTheServerKeepsIsRetrievedOnceMore(t *testing.T) {
	h := newFixture(t, 2, faults(pop3test.Fault{At: "QUIT", Do: pop3test.SkipUpdate}))
	h.account.Policy.Delete = true
	for range 4 {
		h.poll() // which says that the server does not delete them
	}
	h.commands(2, []string{"TOP", "RETR", "DELE"}, "TOP 1 0", "TOP 2 0", "RETR 1", "RETR 2", "DELE 1", "DELE 2")
	for _, later := range []int{3, 4} {
		h.commands(later, []string{"TOP", "RETR", "DELE"}, "TOP 1 0", "TOP 2 0", "DELE 1", "DELE 2")
	}
	h.delivered(1, 2)
}
