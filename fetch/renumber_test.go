package fetch_test

import (
	"errors"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
)

func TestMessagesUnderNewUniqueIDsAreRecognised(t *testing.T) {
	h := newHouse(t, 25, nil)
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
	h.account.Policy.Delete = true
	h.mustPoll()
	h.onServer()
}

func TestNewUniqueIDsThatCannotBeCheckedStopTheAccount(t *testing.T) {
	h := newHouse(t, 25, without("TOP"))
	h.mustPoll()
	before := h.mail("new")
	h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.RenumberUID})
	h.untouched(func() {
		_, err := h.poll()
		var renumbered *fetch.RenumberedError
		if !errors.As(err, &renumbered) || renumbered.Known != 25 || renumbered.Listed != 25 {
			t.Errorf("%v", err)
		}
	})
	h.deliveredTexts(before...)
}
