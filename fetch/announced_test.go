package fetch_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

func TestLoginDelayIsReported(t *testing.T) {
	h := newFixture(t, 0, func(s *pop3test.Server) { s.LoginDelay = 300e9 })
	if r := h.mustPoll(); r.LoginDelay != 300e9 || r.RoundTrips == 0 {
		t.Errorf("%+v", r)
	}
}

// Gmail and Courier announce LOGIN-DELAY and do not insist on it.
func TestDelayThatIsOnlyAnnouncedKeepsNobodyWaiting(t *testing.T) {
	h := newFixture(t, 2, func(s *pop3test.Server) { s.LoginDelay = 300e9 })
	h.mustPoll()
	if r, _ := h.poll(); !r.TooSoon.IsZero() || h.server.Sessions() != 2 {
		t.Errorf("%+v", r)
	}
}

// The records outlive the run, so that popfetch from cron keeps the delay too.
func TestServerThatRefusesALoginThatComesTooSoonIsLeftAlone(t *testing.T) {
	h := newFixture(t, 2, func(s *pop3test.Server) { s.LoginDelay = 300e9 })
	h.server.SetFaults(pop3test.Fault{At: "AUTH", Do: pop3test.Err, Text: "[LOGIN-DELAY] wait"})
	_, err := h.poll()
	class(t, err, fetch.Temporary)
	h.server.SetFaults()
	h.mustPoll()
	sessions := h.server.Sessions()
	r := h.mustPoll()
	if r.TooSoon.IsZero() || r.LoginDelay <= 0 || r.LoginDelay > 300e9 || r.Delivered != 0 || h.server.Sessions() != sessions {
		t.Errorf("%+v", r)
	}
	h.account.Now = func() time.Time { return time.Now().Add(-48 * time.Hour) } // the clock was set back
	if r, _ := h.poll(); !r.TooSoon.IsZero() {
		t.Errorf("left alone for %v", r.LoginDelay)
	}
	h.account.Now = func() time.Time { return time.Now().Add(301 * time.Second) }
	if r, _ := h.poll(); !r.TooSoon.IsZero() || h.server.Sessions() == sessions {
		t.Errorf("%+v", r)
	}
}

func TestServerThatExpiresKeptMailIsWarnedOfOnce(t *testing.T) {
	for name, x := range map[string]struct {
		expire string
		policy plan.Policy
		warns  bool
	}{
		"at once":               {"0", plan.Policy{}, true},
		"before keep ends":      {"7", plan.Policy{Delete: true, After: 14 * 24 * time.Hour}, true},
		"after keep ends":       {"30", plan.Policy{Delete: true, After: 14 * 24 * time.Hour}, false},
		"kept for ever":         {"30", plan.Policy{}, true},
		"deleted by popfetch":   {"0", plan.Policy{Delete: true}, false},
		"the user's never ends": {"NEVER", plan.Policy{}, false},
		"nobody knows what":     {"soon", plan.Policy{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 1, func(s *pop3test.Server) { s.Expire = x.expire })
			h.account.Policy = x.policy
			var log strings.Builder
			h.account.Log = slog.New(slog.NewTextHandler(&log, nil))
			for range 2 {
				h.mustPoll()
			}
			want := 0
			if x.warns {
				want = 1
			}
			if got := strings.Count(log.String(), "(EXPIRE"); got != want {
				t.Errorf("%d warnings: %s", got, log.String())
			}
		})
	}
}
