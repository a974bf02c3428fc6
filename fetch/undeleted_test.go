package fetch_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// keepings are how servers keep what they are asked to delete, at a place that "DELE" in At
// stands for.
var keepings = map[string][]pop3test.Fault{
	"refused":            {{At: "DELE", Do: pop3test.Err, Text: "the maildrop is read-only"}},
	"refused and closed": {{At: "DELE", Do: pop3test.Err, Text: "no"}, {At: "DELE", Do: pop3test.Drop, After: pop3test.AfterStatus}},
	"closed":             {{At: "DELE", Do: pop3test.Drop}},
	"nonsense":           {{At: "DELE", Do: pop3test.Raw, Text: "what?\r\n"}},
	"QUIT refused":       {{At: "QUIT", Do: pop3test.Err, Text: "some deleted messages not removed"}},
	"closed at QUIT":     {{At: "QUIT", Do: pop3test.SkipUpdate}, {At: "QUIT", Do: pop3test.Drop}},
	"confirmed":          {{At: "QUIT", Do: pop3test.SkipUpdate}},
}

// policies are keep = false and keep = "1d".
var policies = map[string]time.Duration{"at once": 0, "after a day": 24 * time.Hour}

// eachKeeping runs a test for each way to keep messages, with and without TOP.
func eachKeeping(t *testing.T, test func(t *testing.T, h *fixture, c *clock, faults []pop3test.Fault, top bool)) {
	for name, f := range keepings {
		for policy, after := range policies {
			for _, top := range []bool{true, false} {
				for mode, p := range modes {
					t.Run(fmt.Sprintf("%s, %s, TOP %v, %s", name, policy, top, mode), func(t *testing.T) {
						t.Parallel()
						h := newFixture(t, 10, func(s *pop3test.Server) {
							if !top {
								s.Without = []string{"TOP"}
							}
						})
						h.options.Pipelining = p
						h.account.Policy.Delete, h.account.Policy.After = true, after
						test(t, h, h.clock(), f, top)
					})
				}
			}
		}
	}
}

// retrieved returns how many messages were downloaded so far.
func (h *fixture) retrieved() (n int) {
	for i := range h.drop.Sessions() {
		n += len(h.sent(i+1, "RETR"))
	}
	return n
}

// A server that deletes nothing, for ever, is not asked by each poll, and above all nothing is
// downloaded again and again for it. Mail arrives, and no poll calls itself a success.
func TestServerThatNeverDeletesCostsFewDownloads(t *testing.T) {
	eachKeeping(t, func(t *testing.T, h *fixture, c *clock, f []pop3test.Fault, top bool) {
		h.server.SetFaults(f...)
		asked, silent := 0, 0
		const days = 14
		for hour := 0; hour < days*24; hour += 3 {
			if hour == 4*24 {
				h.drop.Add(message(11))
			}
			_, err := h.poll()
			if len(h.sent(h.drop.Sessions(), "DELE")) > 0 {
				asked++
			}
			if err == nil && hour > 48 && len(h.drop.Messages()) >= 10 {
				silent++
			}
			if hour == 4*24 {
				h.delivered(upTo(11)...)
			}
			c.now = c.now.Add(3 * time.Hour)
		}
		h.delivered(upTo(11)...)
		if asked > 5+2*days {
			t.Errorf("%d polls in %d days have asked for deletions", asked, days)
		}
		confirmed := len(f) == 1 && f[0].Do == pop3test.SkipUpdate
		most := 11
		switch {
		case !top:
			most += 6*10 + 2*days
		case confirmed:
			most += 11 // to be compared: what is listed after its deletion may be another message
		}
		if n := h.retrieved(); n > most {
			t.Errorf("%d downloads of 11 messages, more than %d", n, most)
		}
		if !confirmed && silent > 0 {
			t.Errorf("%d polls have called themselves a success", silent)
		}
		h.server.SetFaults()
		for range 15 {
			c.now = c.now.Add(24 * time.Hour)
			h.poll()
		}
		h.delivered(upTo(11)...)
		h.onServer()
	})
}

// One message that the server does not delete keeps no other one there.
func TestMessageThatIsNeverDeletedHoldsUpNoOther(t *testing.T) {
	eachKeeping(t, func(t *testing.T, h *fixture, c *clock, f []pop3test.Fault, top bool) {
		if f[0].At != "DELE" { // about all messages
			return
		}
		f = slices.Clone(f)
		for i := range f {
			f[i].At = "DELE 1"
		}
		h.server.SetFaults(f...)
		for range 10 * 8 {
			h.poll()
			c.now = c.now.Add(3 * time.Hour)
		}
		h.delivered(upTo(10)...)
		for _, m := range h.drop.Messages() {
			if m.UID != "u1" {
				t.Errorf("%s is still there", m.UID)
			}
		}
		most := 10
		if !top {
			most += 4 * 10
		}
		if n := h.retrieved(); n > most {
			t.Errorf("%d downloads of 10 messages, more than %d", n, most)
		}
		h.server.SetFaults()
		if _, err := h.account.Retry(t.Context()); err != nil {
			t.Error(err)
		}
		h.mustPoll()
		h.onServer()
	})
}
