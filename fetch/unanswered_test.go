package fetch_test

import (
	"fmt"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// silences are the ways of a server that does not answer a command with many lines to its
// end.
func silences(at string) map[string]pop3test.Fault {
	return map[string]pop3test.Fault{
		"closes":                        {At: at, Do: pop3test.Drop},
		"closes behind the status":      {At: at, Do: pop3test.Drop, After: pop3test.AfterStatus},
		"stalls":                        {At: at, Do: pop3test.Stall},
		"stalls behind the status":      {At: at, Do: pop3test.Stall, After: pop3test.AfterStatus},
		"does not end it":               {At: at, Do: pop3test.Raw, Text: "+OK\r\n1 100\r\n"},
		"answers what makes no sense":   {At: at, Do: pop3test.Raw, Text: "garbage\r\n"},
		"sends a status without an end": pop3test.EndlessLine(at),
	}
}

func TestServerThatDoesNotAnswerLISTIsAskedForNoSizes(t *testing.T) {
	all := silences("LIST")
	all["sends a listing without an end"] = pop3test.EndlessListing("LIST")
	for name, f := range all {
		eachModeClockedAs(t, name, 2, func(t *testing.T, h *fixture) {
			c := h.clock()
			h.server.SetFaults(f)
			if r := h.mustPoll(); r.Delivered != 2 || r.Deleted != 2 {
				t.Errorf("%+v", r)
			}
			sessions := h.server.Sessions()
			h.drop.Add(message(3))
			if r := h.mustPoll(); r.Delivered != 1 {
				t.Errorf("%+v", r)
			}
			if got := h.server.Sessions() - sessions; got != 1 {
				t.Errorf("the next poll took %d sessions", got)
			}
			h.commands(h.server.Sessions(), []string{"LIST"})
			h.server.SetFaults()
			c.now = c.now.Add(7 * time.Hour)
			h.drop.Add(message(4))
			h.mustPoll()
			h.commands(h.server.Sessions(), []string{"LIST"}, "LIST")
			h.delivered(1, 2, 3, 4)
			h.onServer()
		})
	}
}

// The server admits no second session so soon.
func TestServerThatDoesNotAnswerLISTIsAskedForNoSizesByTheNextPoll(t *testing.T) {
	eachModeClocked(t, 2, func(t *testing.T, h *fixture) {
		h.server.SetFaults(pop3test.Fault{At: "LIST", Do: pop3test.Drop}, pop3test.Fault{At: "connect", Session: 2, Do: pop3test.Drop})
		if _, err := h.poll(); err == nil {
			t.Error("no error")
		}
		if r := h.mustPoll(); r.Delivered != 2 || h.server.Sessions() != 3 {
			t.Errorf("%+v in session %d", r, h.server.Sessions())
		}
	})
}

// The login is not to blame for what LIST does without it too.
func TestServerThatDoesNotAnswerLISTIsStillAskedWithTheLogin(t *testing.T) {
	clocked(t, 2, nil, func(t *testing.T, h *fixture) {
		h.ahead()
		h.mustPoll()
		h.drop.Add(message(3))
		h.server.SetFaults(pop3test.Fault{At: "LIST", Do: pop3test.Drop})
		if r := h.mustPoll(); r.Delivered != 1 {
			t.Errorf("%+v", r)
		}
		facts, err := h.account.Maildrop.Facts()
		if err != nil || !facts.Patient.IsZero() || facts.NoSizes.IsZero() {
			t.Errorf("%+v, %v", facts, err)
		}
	})
}

// The header blocks of delivered messages are looked at once a day.
func TestServerThatDoesNotAnswerTOPGivesItsMail(t *testing.T) {
	for name, f := range silences("TOP") {
		eachModeClockedAs(t, name, 2, func(t *testing.T, h *fixture) {
			h.account.Policy.Delete = false
			c := h.clock()
			h.mustPoll()
			c.now = c.now.Add(25 * time.Hour)
			h.server.SetFaults(f)
			h.drop.Add(message(3))
			if r := h.mustPoll(); r.Delivered != 1 {
				t.Errorf("%+v", r)
			}
			h.delivered(1, 2, 3)
		})
	}
}

// eachModeClockedAs is eachModeClocked for one of several faults.
func eachModeClockedAs(t *testing.T, name string, n int, test func(t *testing.T, h *fixture)) {
	t.Run(fmt.Sprint("the server ", name), func(t *testing.T) { eachModeClocked(t, n, test) })
}
