package fetch_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

// atMessage is a fault that changes the reply to RETR of one message, in every session.
func atMessage(n int, change func(reply []byte) []byte) pop3test.Fault {
	return pop3test.Fault{At: "RETR", Do: pop3test.Edit, Edit: func(reply []byte) []byte {
		if bytes.Contains(reply, fmt.Appendf(nil, "sender%d@", n)) {
			return change(reply)
		}
		return reply
	}}
}

// outOfStep are the ways of a server that sends replies too many behind a message.
var outOfStep = map[string]func(reply []byte) []byte{
	"the reply again": func(reply []byte) []byte { return slices.Concat(reply, reply) },
	"a line":          func(reply []byte) []byte { return append(reply, "+OK and more\r\n"...) },
	"a refusal":       func(reply []byte) []byte { return append(reply, "-ERR and more\r\n"...) },
	"garbage":         func(reply []byte) []byte { return append(reply, "garbage\r\n"...) },
}

// eachOutOfStep runs a test with five messages of which one has too many replies, with
// commands sent ahead and without a second visit that takes them one at a time.
func eachOutOfStep(t *testing.T, test func(t *testing.T, h *fixture, n int, f pop3test.Fault)) {
	for what, change := range outOfStep {
		for _, n := range []int{1, 3, 5} {
			for _, refused := range []bool{true, false} {
				t.Run(fmt.Sprint(what, " behind message ", n, ", second visit refused: ", refused), func(t *testing.T) {
					clocked(t, 5, nil, func(t *testing.T, h *fixture) {
						h.ahead()
						if refused {
							h.allowFallback()
							h.server.LockWait = -1
						}
						test(t, h, n, atMessage(n, change))
					})
				})
			}
		}
	}
}

// Each poll would download all messages and deliver none.
func TestRepliesTooManyBehindAMessageHoldUpNoOther(t *testing.T) {
	eachOutOfStep(t, func(t *testing.T, h *fixture, n int, f pop3test.Fault) {
		h.server.SetFaults(f, pop3test.Fault{At: "AUTH", Session: 2, Do: pop3test.Err, Text: "[IN-USE] wait"})
		var said string
		for range 5 {
			if _, err := h.poll(); err != nil {
				said = err.Error()
			}
		}
		h.delivered(1, 2, 3, 4, 5)
		h.onServer()
		for id, r := range h.known() {
			if !r.Seen() {
				t.Errorf("%s: %+v", id, r)
			}
		}
		if strings.Contains(said, "before it was asked") && !strings.Contains(said, "behind its reply to RETR") {
			t.Errorf("the message is not named: %s", said)
		}
	})
}

// It cannot be told which of its replies is the message.
func TestMessageOfAWrongSizeWithRepliesTooManyIsSetAside(t *testing.T) {
	eachOutOfStep(t, func(t *testing.T, h *fixture, n int, f pop3test.Fault) {
		c := h.clock()
		h.server.SetFaults(pop3test.Fault{At: "RETR", Do: pop3test.WrongOctets, N: 7}, f, pop3test.Fault{At: "AUTH", Session: 2, Do: pop3test.Err, Text: "[IN-USE] wait"})
		for range 30 {
			h.poll()
			c.now = c.now.Add(2 * time.Hour)
		}
		h.delivered(slices.DeleteFunc(upTo(5), func(i int) bool { return i == n })...)
		if r := h.known()[fmt.Sprint("u", n)]; r.Seen() || r.Failures < plan.MaxFailures {
			t.Errorf("%+v", r)
		}
	})
}

// One poll out of step says little about the server.
func TestServerThatKeepsInStepAgainIsAskedAheadAfterADay(t *testing.T) {
	clocked(t, 5, nil, func(t *testing.T, h *fixture) {
		h.ahead()
		c := h.clock()
		h.server.SetFaults(atMessage(3, outOfStep["a line"]))
		h.poll()
		h.server.SetFaults()
		h.drop.Add(message(6), message(7))
		h.mustPoll()
		h.commands(h.server.Sessions(), []string{"STAT"}, "STAT") // before UIDL, for nothing is sent ahead
		c.now = c.now.Add(25 * time.Hour)
		h.drop.Add(message(8), message(9))
		h.mustPoll()
		if got := h.sent(h.server.Sessions(), "STAT"); len(got) != 2 {
			t.Errorf("%q: nothing was sent ahead", got)
		}
	})
}
