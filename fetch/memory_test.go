package fetch_test

import (
	"errors"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/state"
)

func TestStateThatFailsStopsBeforeAnyDelete(t *testing.T) {
	for n := range 2 {
		h := newFixture(t, 4, nil)
		h.account.Policy.Delete = true
		h.through(hookedDestination{group: 2})
		h.account.Maildrop = &failingMaildrop{Maildrop: h.account.Maildrop, commits: n, err: errDisk}
		_, err := h.poll()
		class(t, err, fetch.State)
		h.commands(1, []string{"DELE", "QUIT"})
		h.onServer("u1", "u2", "u3", "u4")
		if got := len(h.mail("new")); got != 2*n {
			t.Errorf("%d messages are in new/, %d are recorded", got, 2*n)
		}
		h.restart()
		h.mustPoll()
		h.delivered(1, 2, 3, 4)
		h.onServer()
	}
}

func TestStateThatCannotBeRead(t *testing.T) {
	for name, f := range map[string]failingMaildrop{"Scan": {scan: errDisk}, "Intents": {intents: errDisk}} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 1, nil)
			f.Maildrop = h.account.Maildrop
			h.account.Maildrop = &f
			_, err := h.poll()
			class(t, err, fetch.State)
			if !errors.Is(err, errDisk) {
				t.Errorf("%v", err)
			}
			h.delivered()
		})
	}
}

func TestAccountIsHeldWhereRecoverCannotTell(t *testing.T) {
	h := newFixture(t, 1, nil)
	h.put("u1", state.Record{Delivered: time.Now(), Octets: 1})
	err := h.account.Maildrop.Commit(state.Change{Put: []state.Entry{{ID: "u1", Record: h.known()["u1"], Intent: &state.Intent{Kind: "maildir", Note: "{}"}}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.poll()
	class(t, err, fetch.Delivery)
	if h.server.Sessions() != 0 {
		t.Error("it went to the server")
	}
	if open, _ := h.account.Maildrop.Intents(); len(open) != 1 {
		t.Error("the intent is closed")
	}
}
