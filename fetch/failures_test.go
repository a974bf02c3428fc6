package fetch_test

import (
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// A session that is cut never enters the UPDATE state. As long as one message
// cuts every session, no message can be deleted.
func TestMessageThatCutsEveryConnectionIsSetAside(t *testing.T) {
	for name, both := range map[string]bool{"one by one": false, "pipelined": true} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 4, faults(pop3test.Fault{At: "RETR 2", Do: pop3test.Drop, After: 40}))
			h.account.Policy.Delete = true
			if both {
				h.allowFallback()
			}
			var r fetch.Report
			for n := 0; ; n++ {
				var err error
				if r, err = h.poll(); err == nil {
					break
				}
				class(t, err, fetch.Temporary)
				if n > plan.MaxFailures {
					t.Fatalf("still %v after %d polls", err, n+1)
				}
				h.onServer("u1", "u2", "u3", "u4")
			}
			h.delivered(1, 3, 4)
			h.onServer("u2")
			if r.SetAside != 1 || r.Deleted != 3 {
				t.Errorf("%+v", r)
			}
			if got := h.known()["u2"]; got.Seen() || got.Failures != plan.MaxFailures || got.Reason == "" {
				t.Errorf("%+v", got)
			}
			// The first cut may have any cause.
			if got := h.drop.Retrieved("u2"); got != plan.MaxFailures+1 {
				t.Errorf("retrieved %d times, want %d", got, plan.MaxFailures+1)
			}
		})
	}
}

func TestServerThatRefusesEverythingSetsNothingAside(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, faults(pop3test.Fault{At: "RETR", Do: pop3test.Err, Text: "the disk is not there"}))
			h.options.Pipelining = p
			for range plan.MaxFailures {
				r, err := h.poll()
				class(t, err, fetch.Temporary)
				if r.Failed != 3 || r.SetAside != 0 {
					t.Errorf("%+v", r)
				}
			}
			for id, r := range h.known() {
				if r.Failures != 0 || r.Reason == "" {
					t.Errorf("%s: %+v", id, r)
				}
			}
			h.server.SetFaults()
			h.mustPoll()
			h.delivered(1, 2, 3)
		})
	}
}

func TestOnlyMessageThatIsAlwaysRefusedIsSetAside(t *testing.T) {
	h := newFixture(t, 1, faults(pop3test.Fault{At: "RETR", Do: pop3test.Err, Text: "it is broken"}))
	for range plan.MaxFailures {
		if r, err := h.poll(); err == nil || r.Failed != 1 || r.SetAside != 0 {
			t.Fatalf("%+v", r)
		}
	}
	if r := h.mustPoll(); r.SetAside != 1 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
}
