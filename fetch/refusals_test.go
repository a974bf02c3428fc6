package fetch_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// counting counts how often a command is refused.
func counting(command string, n *atomic.Int32) pop3test.Fault {
	return pop3test.Fault{At: command, Do: pop3test.Err, Text: strings.Repeat("x", 1900), Hook: func() { n.Add(1) }}
}

// mostAsked is how many commands a server may refuse in one visit: the limit, and what
// is on its way when it is reached.
const mostAsked = 256 + 256

// A server that refuses every message is not asked for all of them, and the log has a
// few lines.
func TestServerThatRefusesEveryMessageIsNotAskedForAll(t *testing.T) {
	for name, p := range modes {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3000, nil)
			h.options.Pipelining = p
			var asked atomic.Int32
			h.server.SetFaults(counting("RETR", &asked))
			r, err := h.poll()
			class(t, err, fetch.Temporary)
			if n := asked.Load(); n < 256 || n > mostAsked || r.Failed != int(n) {
				t.Errorf("%d messages were asked for, %+v", n, r)
			}
			if h.drop.Sessions() != 1 {
				t.Errorf("%d sessions", h.drop.Sessions())
			}
			if !strings.Contains(err.Error(), "this visit ends") {
				t.Errorf("%v", err)
			}
		})
	}
}

// Messages that the server refuses for ever do not keep the others from being fetched,
// although each visit ends after some refusals.
func TestRefusedMessagesStrandNoOther(t *testing.T) {
	const refused = 700
	h := newFixture(t, refused+1, nil)
	h.options.Pipelining = pop3.PipelineAuto
	var all []pop3test.Fault
	for i := range refused {
		all = append(all, pop3test.Fault{At: fmt.Sprintf("RETR %d", i+1), Do: pop3test.Err, Text: "[SYS/TEMP] later"})
	}
	h.server.SetFaults(all...)
	polls := 0
	for ; len(h.mail("new")) == 0 && polls < 4; polls++ {
		h.poll()
	}
	h.delivered(refused + 1)
	// One message that is well again, among so many that are not, has its turn too.
	h.server.SetFaults(all[:refused-1]...)
	for ; len(h.mail("new")) == 1 && polls < 100; polls++ {
		h.poll()
	}
	h.delivered(refused+1, refused)
}

// A server that refuses every DELE is not asked for all of them.
func TestServerThatRefusesEveryDELEIsNotAskedForAll(t *testing.T) {
	for name, p := range modes {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 1500, nil)
			h.options.Pipelining = p
			h.account.Policy.Delete = true
			var asked atomic.Int32
			h.server.SetFaults(counting("DELE", &asked))
			r, err := h.poll()
			class(t, err, fetch.Temporary)
			if n := asked.Load(); n < 256 || n > mostAsked || r.Deleted > 0 || r.Delivered != 1500 {
				t.Errorf("%d messages were to be deleted, %+v", n, r)
			}
		})
	}
}

// A server that shows no header blocks is not asked for all of them.
func TestServerThatRefusesEveryTOPIsNotAskedForAll(t *testing.T) {
	h := newFixture(t, 1500, nil)
	h.options.Pipelining = pop3.PipelineAuto
	h.mustPoll()
	h.account.Policy.Delete = true
	var asked atomic.Int32
	h.server.SetFaults(counting("TOP", &asked))
	h.mustPoll()
	if n := asked.Load(); n < 256 || n > mostAsked {
		t.Errorf("%d header blocks were asked for", n)
	}
	h.delivered(upTo(1500)...)
	h.onServer() // each was retrieved and compared
}

// What may be said of each message is said of a few, and then comes a count.
func TestLogOfManyMessagesIsACount(t *testing.T) {
	var log strings.Builder
	h := newFixture(t, 1000, nil)
	h.account.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.account.Policy.MaxOctets = 10
	h.mustPoll()
	if got := strings.Count(log.String(), "larger than max_size"); got != 6 || !strings.Contains(log.String(), "messages=995") {
		t.Errorf("the log says %d times that a message is too big:\n%.3000s", got, log.String())
	}
	log.Reset()
	h.mustPoll()
	if got := log.String(); got != "" {
		t.Errorf("it is said again: %.1000s", got)
	}
	h.server.SetFaults(pop3test.Fault{At: "UIDL", Do: pop3test.Raw, After: pop3test.AfterStatus, Text: strings.Repeat("nonsense\r\n", 1000) + ".\r\n"})
	h.poll()
	if got := strings.Count(log.String(), "makes no sense"); got != 6 {
		t.Errorf("the log says %d times that a line makes no sense:\n%.3000s", got, log.String())
	}
}
