package fetch_test

import (
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// withBoth lets the account choose between sessions with and without commands
// sent ahead.
func (h *house) withBoth() {
	ahead := h.options
	ahead.Pipelining = pop3.PipelineAuto
	h.account.Open = h.dialWith(&ahead)
	h.account.Fallback = true
}

// A server that cannot take commands ahead is noticed, the poll is finished
// without, and the server is remembered.
func TestServerThatBreaksOnPipelining(t *testing.T) {
	h := newHouse(t, 6, faults(
		pop3test.Fault{At: "RETR 3", Session: 1, Do: pop3test.NoFinalCRLF},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
	))
	h.account.Policy.Delete = true
	h.options.Timeout = time.Second
	h.withBoth()
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
}

// Where the second visit fails too it was the network: nothing is noted.
func TestCutConnectionSaysNothingAboutPipelining(t *testing.T) {
	h := newHouse(t, 3, faults(pop3test.Fault{At: "RETR 2", Do: pop3test.Drop, After: 40}))
	h.withBoth()
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
// server that refuses every message there has trouble of its own, which counts
// against none of them.
func TestSecondVisitThatGivesNothingCountsAgainstNoMessage(t *testing.T) {
	h := newHouse(t, 6, faults(
		pop3test.Fault{At: "RETR 3", Session: 1, Do: pop3test.NoFinalCRLF},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
		pop3test.Fault{At: "RETR", Session: 2, Do: pop3test.Err, Text: "no"},
	))
	h.options.Timeout = time.Second
	h.withBoth()
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
}
