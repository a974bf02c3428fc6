package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// closeWatcher is a session that tells when it is closed.
type closeWatcher struct {
	fetch.Session
	closed *bool
}

func (p closeWatcher) Close() error {
	*p.closed = true
	return p.Session.Close()
}

// A session locks the maildrop (RFC 1939 section 4), and this server refuses a
// second session at once.
func TestSecondVisitWaitsForTheEndOfTheFirst(t *testing.T) {
	clocked(t, 6, faults(stray("RETR 3", 1)), func(t *testing.T, h *fixture) {
		h.server.LockWait = -1
		h.ahead()
		h.allowFallback()
		closed := false
		open := h.account.Open
		h.account.Open = func(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
			switch {
			case !how.Serial:
				s, err := open(ctx, how)
				return closeWatcher{s, &closed}, err
			case closed:
				h.server.Wait() // until the server has noticed
			default:
				t.Error("the first connection is open")
			}
			return open(ctx, how)
		}
		h.mustPoll()
		h.delivered(1, 2, 3, 4, 5, 6)
		h.onServer()
	})
}

// A message that the first visit could not fetch and the second one did is
// delivered; nothing of the first visit is reported.
func TestRefusalOfTheFirstVisitIsForgottenAfterACleanSecondOne(t *testing.T) {
	h := newFixture(t, 6, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Err, Text: "busy"},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
	))
	h.allowFallback()
	if r := h.mustPoll(); r.Delivered != 6 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 2, 3, 4, 5, 6)
	if got := h.known()["u2"]; !got.Seen() || got.Failures != 0 || got.Reason != "" {
		t.Errorf("%+v", got)
	}
}

func TestRefusalInBothVisitsCountsOnce(t *testing.T) {
	h := newFixture(t, 6, faults(
		pop3test.Fault{At: "RETR 2", Do: pop3test.Err, Text: "busy"},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
	))
	h.allowFallback()
	r, err := h.poll()
	var account *fetch.AccountError
	var single *fetch.MessageError
	if !errors.As(err, &account) || len(account.Errs) != 1 || !errors.As(err, &single) || single.UID != "u2" {
		t.Errorf("%v", err)
	}
	if r.Delivered != 5 || r.Failed != 1 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 3, 4, 5, 6)
	if got := h.known()["u2"]; got.Seen() || got.Failures != 1 {
		t.Errorf("%+v", got)
	}
}

func TestUnreadableLineOfTheSecondListingIsCounted(t *testing.T) {
	h := newFixture(t, 6, faults(
		pop3test.Fault{At: "UIDL", Do: pop3test.Edit, Edit: func(reply []byte) []byte {
			return bytes.Replace(reply, []byte("5 u5\r\n"), []byte("5\r\n"), 1)
		}},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
	))
	h.allowFallback()
	if r := h.mustPoll(); r.Listed != 5 || r.Skipped != 1 || r.Delivered != 5 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 2, 3, 4, 6)
}

// max_messages holds for the poll, not for each of its visits.
func TestMaxMessagesHoldsForBothVisitsTogether(t *testing.T) {
	h := newFixture(t, 9, faults(pop3test.Fault{At: "RETR 3", Session: 1, Do: pop3test.Drop}))
	h.account.Policy.MaxMessages = 3
	h.allowFallback()
	r := h.mustPoll()
	if r.Delivered != 3 || r.Skipped != 6 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 2, 4) // the one that was cut off comes last
	for range 2 {
		h.mustPoll()
	}
	h.delivered(1, 2, 3, 4, 5, 6, 7, 8, 9)
}

// Messages with open intents count as seen. A second visit must not delete them:
// it is not known yet that they are delivered.
func TestSecondVisitDeletesNothingUnpublished(t *testing.T) {
	h := newFixture(t, 5, faults(pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop, After: 40}))
	h.account.Policy.Delete = true
	h.allowFallback()
	h.through(hookedDestination{publish: func(g []deliver.Staged) []error { return each(g, refusal(deliver.Place, true)) }})
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
	h.through(hookedDestination{})
	h.mustPoll()
	h.delivered(1, 2, 3, 4, 5)
	h.onServer()
}

// The second visit begins with a transaction. If it fails, that is a failure of
// the state and not of the network.
func TestStateThatFailsBeforeTheSecondVisitIsReported(t *testing.T) {
	h := newFixture(t, 5, faults(pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop, After: 40}))
	h.account.Policy.Delete = true
	h.allowFallback()
	h.account.Maildrop = &failingMaildrop{Maildrop: h.account.Maildrop, commits: 1, err: errDisk}
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

// allowFallback lets the account make a second visit that sends one command at a
// time.
func (h *fixture) allowFallback() {
	ahead := h.options
	ahead.Pipelining = pop3.PipelineAuto
	h.account.Open = h.dialWith(&ahead)
	h.account.Fallback = true
}

// popfetch notices a server that cannot take commands ahead, finishes the poll
// without, and remembers the server.
func TestServerThatBreaksOnPipelining(t *testing.T) {
	clocked(t, 6, faults(
		pop3test.Fault{At: "RETR 3", Session: 1, Do: pop3test.NoFinalCRLF},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
	), func(t *testing.T, h *fixture) {
		h.account.Policy.Delete = true
		h.options.Timeout = time.Second
		h.allowFallback()
		h.mustPoll()
		h.delivered(1, 2, 3, 4, 5, 6)
		h.onServer()
		h.server.Wait()
		if facts, err := h.account.Maildrop.Facts(); err != nil || time.Since(facts.Serial) > time.Hour {
			t.Errorf("noted %v, %v", facts, err)
		}
		before := h.server.Pipelined()
		h.drop.Add(message(7), message(8))
		h.mustPoll()
		h.delivered(1, 2, 3, 4, 5, 6, 7, 8)
		if got := h.server.Pipelined(); got != before {
			t.Errorf("%d commands came ahead, %d before: it was not remembered", got, before)
		}
		// After a month it is tried again.
		if err := h.account.Maildrop.Commit(state.Change{Facts: &state.Facts{Serial: time.Now().AddDate(0, -2, 0)}}); err != nil {
			t.Fatal(err)
		}
		h.drop.Add(message(9), message(10))
		h.mustPoll()
		if got := h.server.Pipelined(); got == before {
			t.Error("commands are still sent one by one")
		}
	})
}

// If the second visit fails too, it was the network, and nothing is recorded.
func TestCutConnectionSaysNothingAboutPipelining(t *testing.T) {
	h := newFixture(t, 3, faults(pop3test.Fault{At: "RETR 2", Do: pop3test.Drop, After: 40}))
	h.allowFallback()
	_, err := h.poll()
	class(t, err, fetch.Temporary)
	if h.server.Sessions() != 2 {
		t.Errorf("%d sessions, want 2", h.server.Sessions())
	}
	if facts, err := h.account.Maildrop.Facts(); err != nil || !facts.Serial.IsZero() {
		t.Errorf("noted %v, %v", facts, err)
	}
	h.server.SetFaults()
	h.mustPoll()
	h.delivered(1, 2, 3)
}

// What the server gave in the first session says nothing about the second one: a
// server that refuses every message there has a problem itself, which counts
// against none of them.
func TestSecondVisitThatGivesNothingCountsAgainstNoMessage(t *testing.T) {
	clocked(t, 6, faults(
		pop3test.Fault{At: "RETR 3", Session: 1, Do: pop3test.NoFinalCRLF},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
		pop3test.Fault{At: "RETR", Session: 2, Do: pop3test.Err, Text: "no"},
	), func(t *testing.T, h *fixture) {
		h.options.Timeout = time.Second
		h.allowFallback()
		r, err := h.poll()
		class(t, err, fetch.Temporary)
		if h.server.Sessions() != 2 || r.Delivered != 2 || r.Failed != 4 {
			t.Errorf("%d sessions, %+v", h.server.Sessions(), r)
		}
		for id, known := range h.known() {
			if known.Failures > 0 {
				t.Errorf("%s: %+v", id, known)
			}
		}
	})
}
