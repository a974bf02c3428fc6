package fetch_test

import (
	"strings"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
)

func TestQuitRefused(t *testing.T) {
	h := newFixture(t, 2, faults(pop3test.Fault{At: "QUIT", Session: 1, Do: pop3test.Err, Text: "some are left"}))
	h.account.Policy.Delete = true
	r, err := h.poll()
	class(t, err, fetch.Temporary)
	if r.Deleted != 0 || r.Delivered != 2 {
		t.Errorf("%+v", r)
	}
	r = h.mustPoll()
	h.commands(2, effects, "LIST", "TOP 1 0", "TOP 2 0", "DELE 1", "DELE 2", "QUIT")
	h.onServer()
	h.delivered(1, 2)
}

func TestUnconfirmedDeletionSpeaksOfOneMessageInTheSingular(t *testing.T) {
	for n, want := range map[int]string{
		1: "1 message was delivered and marked as deleted, but the server did not confirm that it is gone",
		2: "2 messages were delivered and marked as deleted, but the server did not confirm that they are gone",
	} {
		h := newFixture(t, n, faults(pop3test.Fault{At: "QUIT", Session: 1, Do: pop3test.Err, Text: "some are left"}))
		h.account.Policy.Delete = true
		if _, err := h.poll(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}

func TestQuitRefusedWhereNothingWasDeleted(t *testing.T) {
	h := newFixture(t, 1, faults(pop3test.Fault{At: "QUIT", Do: pop3test.Err, Text: "no"}))
	h.mustPoll()
	h.delivered(1)
}

func TestQuitWithoutAnAnswer(t *testing.T) {
	h := newFixture(t, 2, faults(pop3test.Fault{At: "QUIT", Session: 1, Do: pop3test.Reset}))
	h.account.Policy.Delete = true
	_, err := h.poll()
	class(t, err, fetch.Temporary)
	h.mustPoll()
	h.onServer()
	h.delivered(1, 2)
}

func TestServerThatBringsDeletedMessagesBack(t *testing.T) {
	h := newFixture(t, 3, faults(pop3test.Fault{At: "QUIT", Session: 1, Do: pop3test.SkipUpdate, N: 1}))
	h.account.Policy.Delete = true
	h.mustPoll()
	h.onServer("u2", "u3")
	h.mustPoll()
	h.onServer()
	h.delivered(1, 2, 3)
}

func TestDeleteRefused(t *testing.T) {
	h := newFixture(t, 3, faults(pop3test.Fault{At: "DELE 2", Session: 1, Do: pop3test.Err, Text: "no"}))
	h.account.Policy.Delete = true
	r, err := h.poll()
	class(t, err, fetch.Temporary)
	h.onServer("u2")
	if r.Deleted != 2 {
		t.Errorf("%+v", r)
	}
	h.mustPoll()
	h.onServer()
	h.delivered(1, 2, 3)
}

func TestDeleteCutOff(t *testing.T) {
	h := newFixture(t, 3, faults(pop3test.Fault{At: "DELE 2", Session: 1, Do: pop3test.Drop}))
	h.account.Policy.Delete = true
	_, err := h.poll()
	class(t, err, fetch.Temporary)
	h.onServer("u1", "u2", "u3")
	h.commands(1, []string{"QUIT"})
	h.mustPoll()
	h.onServer()
	h.delivered(1, 2, 3)
}
