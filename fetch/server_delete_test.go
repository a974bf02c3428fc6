package fetch_test

import (
	"slices"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
)

// A message whose DELE is refused stays, counts as delivered, and is asked for again at the
// next polls, which do not call themselves a success.
func TestDeleteThatIsRefusedIsTriedAtTheNextPoll(t *testing.T) {
	eachMode(t, 4, func(t *testing.T, h *fixture) {
		for _, at := range []string{"DELE 2", "DELE", "DELE"} {
			h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: at, Do: pop3test.Err, Text: "it is locked"})
			h.delivered(1, 2, 3, 4)
		}
		h.drop.Add(message(5))
		h.converge(1, 2, 3, 4, 5)
		for _, m := range []string{"u1", "u2", "u3", "u4", "u5"} {
			if n := h.drop.Retrieved(m); n != 1 {
				t.Errorf("%s was retrieved %d times", m, n)
			}
		}
	})
}

// The server deletes less than it was asked, refuses, or does not answer: the next poll
// deletes the rest. Only what the server claims to have deleted is downloaded for that: it may
// be another message.
func TestQuitThatDeletesLessThanAskedRepeatsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		fault    pop3test.Fault
		class    fetch.Class
		compared []string
	}{
		"refused":           {pop3test.Fault{At: "QUIT", Do: pop3test.Err, Text: "some deleted messages not removed"}, fetch.Temporary, nil},
		"refused with code": {pop3test.Fault{At: "QUIT", Do: pop3test.Err, Text: "[SYS/PERM] no"}, fetch.Protocol, nil},
		"nothing deleted":   {pop3test.Fault{At: "QUIT", Do: pop3test.SkipUpdate}, fetch.OK, []string{"RETR 1", "RETR 2", "RETR 3", "RETR 4"}},
		"some deleted":      {pop3test.Fault{At: "QUIT", Do: pop3test.SkipUpdate, N: 2}, fetch.OK, []string{"RETR 1", "RETR 2"}},
		"nonsense":          {pop3test.Fault{At: "QUIT", Do: pop3test.Raw, Text: "bye\r\n"}, fetch.Protocol, nil},
		"twice":             {pop3test.Fault{At: "QUIT", Do: pop3test.Twice}, fetch.OK, nil},
		"no answer":         {pop3test.Fault{At: "QUIT", Do: pop3test.Stall}, fetch.Temporary, nil},
	} {
		t.Run(name, func(t *testing.T) {
			eachModeUnder(t, tt.fault, 4, func(t *testing.T, h *fixture) {
				h.visitWith(tt.class, soon, tt.fault)
				h.delivered(1, 2, 3, 4)
				h.options.Timeout = soon
				h.converge(1, 2, 3, 4)
				h.commands(2, []string{"RETR"}, tt.compared...)
			})
		})
	}
}

// DELE is sent for delivered messages only, whatever happens to others in the
// same window.
func TestOnlyDeliveredMessagesAreDeleted(t *testing.T) {
	eachMode(t, 6, func(t *testing.T, h *fixture) {
		h.visitWith(fetch.Temporary, soon,
			pop3test.Fault{At: "RETR 2", Do: pop3test.Err, Text: "[SYS/TEMP] no"},
			pop3test.Fault{At: "RETR 5", Do: pop3test.Err, Text: "[SYS/TEMP] no"})
		h.commands(1, []string{"DELE", "QUIT"}, "DELE 1", "DELE 3", "DELE 4", "DELE 6", "QUIT")
		h.onServer("u2", "u5")
		h.converge(1, 2, 3, 4, 5, 6)
	})
}

// The unique-id of a deleted message now belongs to another message of the same
// size. That one was not delivered, so it must not be deleted unseen.
func TestReusedUniqueIDOfTheSameSizeIsFetched(t *testing.T) {
	h := newFixture(t, 1, nil)
	h.account.Policy.Delete = true
	h.mustPoll()
	h.onServer()
	other := message(2) // as many octets as message 1
	other.UID = "u1"
	h.drop.Add(other)
	h.mustPoll()
	h.delivered(1, 2)
	h.onServer()
}

// A message that the server refuses to delete is not recorded as deleted: it would
// be looked at, or fetched, as if it had come back.
func TestRefusedDeleteIsNotRecordedAsDeleted(t *testing.T) {
	h := newFixture(t, 3, faults(pop3test.Fault{At: "DELE 2", Session: 1, Do: pop3test.Err, Text: "no"}))
	h.account.Policy.Delete = true
	h.poll()
	for id, want := range map[string]bool{"u1": true, "u2": false, "u3": true} {
		if got := h.known()[id]; got.Deleted != want || !got.Seen() {
			t.Errorf("%s: %+v", id, got)
		}
	}
	h.mustPoll()
	h.commands(2, []string{"TOP", "RETR", "DELE"}, "TOP 1 0", "DELE 1")
	h.onServer()
}

// QUIT is on its way when the reply to a DELE is missing, refused or no reply: nothing
// counts as deleted that the server still has, and nothing is fetched again.
func TestBrokenDeleteWithQuitOnItsWay(t *testing.T) {
	for name, tt := range map[string]struct {
		fault pop3test.Fault
		class fetch.Class
		gone  int // messages that count as deleted
	}{
		"refused":         {pop3test.Fault{At: "DELE 2", Do: pop3test.Err, Text: "no"}, fetch.Temporary, 3},
		"all refused":     {pop3test.Fault{At: "DELE", Do: pop3test.Err, Text: "no"}, fetch.Temporary, 0},
		"cut":             {pop3test.Fault{At: "DELE 2", Do: pop3test.Drop}, fetch.Temporary, 0},
		"reset":           {pop3test.Fault{At: "DELE 3", Do: pop3test.Reset}, fetch.Temporary, 0},
		"cut at QUIT":     {pop3test.Fault{At: "QUIT", Do: pop3test.Drop}, fetch.Temporary, 0},
		"no reply":        {pop3test.Fault{At: "DELE 2", Do: pop3test.Raw}, fetch.Temporary, 0},
		"nonsense":        {pop3test.Fault{At: "DELE 2", Do: pop3test.Raw, Text: "what?\r\n"}, fetch.Protocol, 0},
		"the rest lost":   {pop3test.Fault{At: "DELE 1", Do: pop3test.Forget}, fetch.Temporary, 0},
		"no answer":       {pop3test.Fault{At: "DELE 4", Do: pop3test.Stall}, fetch.Temporary, 0},
		"QUIT is refused": {pop3test.Fault{At: "QUIT", Do: pop3test.Err, Text: "no"}, fetch.Temporary, 0},
	} {
		t.Run(name, func(t *testing.T) {
			test := func(t *testing.T, h *fixture) {
				h.ahead()
				h.visitWith(tt.class, soon, tt.fault)
				h.delivered(1, 2, 3, 4)
				gone := 0
				for id, r := range h.known() {
					if r.Deleted {
						gone++
					}
					if left := h.drop.Messages(); r.Deleted && slices.ContainsFunc(left, func(m pop3test.Message) bool { return m.UID == id }) {
						t.Errorf("%s counts as deleted and is on the server", id)
					}
				}
				if gone != tt.gone {
					t.Errorf("%d count as deleted, want %d", gone, tt.gone)
				}
				h.options.Timeout = soon
				h.converge(1, 2, 3, 4)
				h.commands(2, []string{"RETR"})
			}
			if tt.fault.Do == pop3test.Reset { // which TCP alone has
				test(t, newFixture(t, 4, nil))
			} else {
				clocked(t, 4, nil, test)
			}
		})
	}
}
