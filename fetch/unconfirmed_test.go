package fetch_test

import (
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
)

// A server that closes the connection at QUIT, as some do, has deleted the messages all the
// same. It is asked at every poll, however often it has not confirmed that.
func TestServerThatDeletesWithoutConfirmingIsAskedAtEveryPoll(t *testing.T) {
	for policy, after := range policies {
		t.Run(policy, func(t *testing.T) {
			h := newFixture(t, 0, faults(pop3test.Fault{At: "QUIT", Do: pop3test.Drop}))
			h.account.Policy.Delete, h.account.Policy.After = true, after
			c := h.clock()
			const days = 30
			for day := range days {
				h.drop.Add(message(day + 1))
				for range 2 {
					h.poll()
					c.now = c.now.Add(12 * time.Hour)
				}
				if n := len(h.drop.Messages()); n > 2 {
					t.Fatalf("%d messages are on the server on day %d", n, day)
				}
			}
			h.delivered(upTo(days)...)
		})
	}
}

// A refused DELE does not hide that the session was lost behind it: the account as a whole is
// not well, and is polled less often.
func TestLostSessionBehindARefusedDeleteIsNoFailureOfMessagesAlone(t *testing.T) {
	refused := pop3test.Fault{At: "DELE 1", Do: pop3test.Err, Text: "no"}
	for name, test := range map[string]struct {
		faults     []pop3test.Fault
		ofMessages bool
	}{
		"refused":          {[]pop3test.Fault{refused}, true},
		"refused for good": {[]pop3test.Fault{{At: "DELE 1", Do: pop3test.Err, Text: "[SYS/PERM] no"}}, true},
		"refused and lost": {[]pop3test.Fault{refused, {At: "QUIT", Do: pop3test.Drop}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 2, faults(test.faults...))
			h.account.Policy.Delete = true
			_, err := h.poll()
			class(t, err, fetch.Temporary)
			if is := fetch.OfMessages(err); is != test.ofMessages {
				t.Errorf("of messages alone: %v: %v", is, err)
			}
		})
	}
}
