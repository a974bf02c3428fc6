package fetch_test

import (
	"fmt"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// A server, or something on the way to it, ends each session after some octets. Looking at the
// header blocks of what is to be deleted, or is looked at once a day, must not take each
// session from the mail that is to come.
func TestSessionsThatAreAlwaysCutShortDeliverAndDeleteAll(t *testing.T) {
	const n = 60
	for mode, p := range modes {
		for _, c := range []struct {
			name   string
			delete bool
			after  time.Duration
		}{{"keep", false, 0}, {"delete", true, 0}, {"delete later", true, time.Hour}} {
			t.Run(fmt.Sprintf("%s, %s", c.name, mode), func(t *testing.T) {
				t.Parallel()
				h := newFixture(t, n, nil)
				h.options.Pipelining = p
				h.account.Policy.Delete, h.account.Policy.After = c.delete, c.after
				now := h.clock()
				h.server.SetFaults(pop3test.Fault{Do: pop3test.Drop, After: 5000})
				polls := 0
				for missing := n; missing > 0; polls++ {
					if polls == 10*n {
						t.Fatalf("after %d polls %d messages are delivered, and %d are on the server", polls, len(h.mail("new")), len(h.drop.Messages()))
					}
					h.poll()
					now.now = now.now.Add(30 * time.Minute)
					missing = n - len(h.mail("new"))
					if c.delete {
						missing += len(h.drop.Messages())
					}
				}
				h.delivered(upTo(n)...)
				t.Log(polls, "polls")

				// Without the cut the limit is lifted.
				h.server.SetFaults()
				for k := 1; k <= n; k++ {
					h.drop.Add(message(n + k))
				}
				for range 8 {
					h.mustPoll()
				}
				h.delivered(upTo(2 * n)...)
			})
		}
	}
}

// One look a day takes more of a session than there is.
func TestDailyLookThatIsCutShortLetsNewMailThrough(t *testing.T) {
	const n = 100
	h := newFixture(t, n, nil)
	now := h.clock()
	h.mustPoll()
	h.server.SetFaults(pop3test.Fault{At: "TOP", Do: pop3test.Drop})
	h.drop.Add(message(n + 1))
	for range 15 {
		now.now = now.now.Add(25 * time.Hour)
		h.poll()
	}
	h.delivered(upTo(n + 1)...)
}
