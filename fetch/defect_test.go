package fetch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// move puts the maildrop on another server, which has these messages.
func (h *house) move(to ...pop3test.Message) {
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

// Messages whose intents are open count as seen, so a second visit would delete
// them although nobody knows yet that they are delivered.
func TestSecondVisitDeletedWhatWasNotPublished(t *testing.T) {
	h := newHouse(t, 5, faults(pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop, After: 40}))
	h.account.Policy.Delete = true
	h.withBoth()
	h.through(picky{publish: func(g []deliver.Staged) []error { return each(g, refusal(deliver.Place, true)) }})
	r, err := h.poll()
	class(t, err, fetch.Delivery)
	var place *deliver.Error
	if !errors.As(err, &place) || r.Failed != 3 || r.Delivered != 0 {
		t.Errorf("%v, %+v", err, r)
	}
	if got := h.server.Sessions(); got != 1 {
		t.Errorf("%d sessions, want 1", got)
	}
	h.commands(1, []string{"DELE", "QUIT"})
	h.onServer("u1", "u2", "u3", "u4", "u5")
	h.through(picky{})
	h.mustPoll()
	h.delivered(1, 2, 3, 4, 5)
	h.onServer()
}

// The second visit begins with a transaction: one that fails is a failure of the
// state and not of the network.
func TestStateThatFailsBeforeTheSecondVisitWentUnreported(t *testing.T) {
	h := newHouse(t, 5, faults(pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop, After: 40}))
	h.account.Policy.Delete = true
	h.withBoth()
	h.account.Maildrop = &forgetful{Maildrop: h.account.Maildrop, commits: 1, err: errDisk}
	_, err := h.poll()
	class(t, err, fetch.State)
	if got := h.server.Sessions(); got != 1 {
		t.Errorf("%d sessions, want 1", got)
	}
	h.onServer("u1", "u2", "u3", "u4", "u5")
	h.restart()
	h.mustPoll()
	h.delivered(1, 2, 3, 4, 5)
	h.onServer()
}

// report is the text of a message that differs from its like only in its length.
func report(lines int) string {
	return "From: cron@example.org\nSubject: report\n\n" + strings.Repeat("all is well\n", lines)
}

func TestNewMessagesWithAKnownHeaderBlockWereDeletedUnfetched(t *testing.T) {
	const all, replaced = 25, 3
	h := newHouse(t, 0, nil)
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
	h.account.Policy = plan.Policy{Delete: true, After: time.Nanosecond}
	r := h.mustPoll()
	h.deliveredTexts(want...)
	h.onServer("moved25", "moved26", "moved27") // delivered, due at the next poll
	if r.Delivered != replaced || r.Deleted != all-replaced {
		t.Errorf("%+v", r)
	}
	h.mustPoll()
	h.deliveredTexts(want...)
	h.onServer()
}

// A server that is being moved shows an empty maildrop for a while.
func TestMessagesOfAServerThatWasEmptyForAWhileWereFetchedTwice(t *testing.T) {
	const all = 25
	h := newHouse(t, all, nil)
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

// Only a header block that was seen to be another one makes a message of another
// size a new message.
func TestMessageWasDeliveredAgainWhereTopIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*pop3test.Server)
		fault  pop3test.Fault
	}{
		"no TOP":   {without("TOP"), pop3test.Fault{}},
		"SYS/TEMP": {nil, pop3test.Fault{At: "TOP", Do: pop3test.Err, Text: "[SYS/TEMP] later"}},
		"no code":  {nil, pop3test.Fault{At: "TOP", Do: pop3test.Err, Text: "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 2, tt.change)
			h.mustPoll()
			h.server.SetFaults(pop3test.Fault{At: "LIST", Do: pop3test.WrongOctets, N: 1024}, tt.fault)
			h.account.Policy.Delete = true
			r := h.mustPoll()
			h.delivered(1, 2)
			h.commands(2, []string{"RETR", "DELE"})
			h.onServer("u1", "u2")
			if r.Delivered != 0 || r.Seen != 2 {
				t.Errorf("%+v", r)
			}
			h.server.SetFaults()
			h.mustPoll()
			h.delivered(1, 2)
			h.onServer()
		})
	}
}

// What another fetcher has recorded comes without a digest.
func TestMessageWithoutADigestWasDeliveredAgain(t *testing.T) {
	h := newHouse(t, 2, nil)
	h.put("u1", state.Record{Delivered: time.Now(), Octets: 1})
	r := h.mustPoll()
	h.delivered(2)
	if r.Delivered != 1 || r.Seen != 1 {
		t.Errorf("%+v", r)
	}
}

// A session that is cut enters no UPDATE state: as long as one message cuts every
// session, no other can be deleted.
func TestMessageThatCutsEveryConnectionHeldUpAllDeletionsForEver(t *testing.T) {
	for name, both := range map[string]bool{"one by one": false, "pipelined": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 4, faults(pop3test.Fault{At: "RETR 2", Do: pop3test.Drop, After: 40}))
			h.account.Policy.Delete = true
			if both {
				h.withBoth()
			}
			var r fetch.Report
			for n := 0; ; n++ {
				var err error
				if r, err = h.poll(); err == nil {
					break
				}
				class(t, err, fetch.Temporary)
				if n > plan.MaxFailures {
					t.Fatalf("still %v after %d polls", err, n+1)
				}
				h.onServer("u1", "u2", "u3", "u4")
			}
			h.delivered(1, 3, 4)
			h.onServer("u2")
			if r.SetAside != 1 || r.Deleted != 3 {
				t.Errorf("%+v", r)
			}
			if got := h.known()["u2"]; got.Seen() || got.Failures != plan.MaxFailures || got.Reason == "" {
				t.Errorf("%+v", got)
			}
			// The first cut may be anybody's.
			if got := h.drop.Retrieved("u2"); got != plan.MaxFailures+1 {
				t.Errorf("retrieved %d times, want %d", got, plan.MaxFailures+1)
			}
		})
	}
}

func TestTroubleOfTheServerSetAllMessagesAside(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 3, faults(pop3test.Fault{At: "RETR", Do: pop3test.Err, Text: "the disk is not there"}))
			h.options.Pipelining = p
			for range plan.MaxFailures {
				r, err := h.poll()
				class(t, err, fetch.Temporary)
				if r.Failed != 3 || r.SetAside != 0 {
					t.Errorf("%+v", r)
				}
			}
			for id, r := range h.known() {
				if r.Failures != 0 || r.Reason == "" {
					t.Errorf("%s: %+v", id, r)
				}
			}
			h.server.SetFaults()
			h.mustPoll()
			h.delivered(1, 2, 3)
		})
	}
}

func TestOnlyMessageThatIsAlwaysRefusedIsSetAside(t *testing.T) {
	h := newHouse(t, 1, faults(pop3test.Fault{At: "RETR", Do: pop3test.Err, Text: "it is broken"}))
	for range plan.MaxFailures {
		if r, err := h.poll(); err == nil || r.Failed != 1 || r.SetAside != 0 {
			t.Fatalf("%+v", r)
		}
	}
	if r := h.mustPoll(); r.SetAside != 1 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
}
