package fetch_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// commits counts the transactions that change something.
type commits struct {
	state.Maildrop
	n int
}

func (c *commits) Commit(change state.Change) error {
	if !change.Empty() {
		c.n++
	}
	return c.Maildrop.Commit(change)
}

// The round trips and state transactions of a poll: figures that do not depend on
// the speed of the machine.
func TestFlightsOfAPoll(t *testing.T) {
	const prompt, serial = pop3.PipelineAuto, pop3.PipelineOff
	type visit struct{ fresh, flights, commits int }
	for name, tt := range map[string]struct {
		pipelining pop3.Pipelining
		policy     plan.Policy
		server     func(*pop3test.Server)
		visits     []visit
	}{
		// CAPA; login; UIDL, LIST; RETR; QUIT. Then: CAPA, login, UIDL; (LIST; RETR;) QUIT.
		"kept": {prompt, plan.Policy{}, nil, []visit{{20, 5, 2}, {0, 2, 0}, {3, 4, 2}, {0, 2, 0}}},
		// As above, with LIST each time, and DELE with QUIT.
		"deleted": {prompt, plan.Policy{Delete: true}, nil, []visit{{20, 5, 2}, {0, 2, 0}, {100, 3, 2}, {0, 2, 0}}},
		// What the first visit learns is stored.
		"nothing there": {prompt, plan.Policy{}, nil, []visit{{0, 4, 1}, {0, 2, 0}}},
		// CAPA; login; CAPA; UIDL, LIST; RETR; QUIT. Then: CAPA; login; CAPA, UIDL; QUIT.
		"capabilities told late": {prompt, plan.Policy{}, func(s *pop3test.Server) { s.LateCapa = []string{"TOP", "PIPELINING"} }, []visit{{1, 6, 2}, {0, 4, 0}}},
		// CAPA; login; CAPA; STAT; UIDL; LIST; RETR, one by one; QUIT.
		"without PIPELINING": {prompt, plan.Policy{}, without("PIPELINING"), []visit{{3, 10, 2}, {0, 6, 0}}},
		"one by one":         {serial, plan.Policy{}, nil, []visit{{3, 9, 2}, {0, 5, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 0, func(s *pop3test.Server) {
				s.Security = pop3test.ImplicitTLS
				if tt.server != nil {
					tt.server(s)
				}
			})
			h.secured(pop3.ImplicitTLS)
			h.options.Pipelining = tt.pipelining
			h.account.Policy = tt.policy
			count := &commits{Maildrop: h.account.Maildrop}
			h.account.Maildrop = count
			next := 1
			for i, v := range tt.visits {
				for range v.fresh {
					h.drop.Add(message(next))
					next++
				}
				count.n = 0
				r := h.mustPoll()
				if r.Delivered != v.fresh || r.RoundTrips != v.flights || count.n != v.commits {
					t.Errorf("visit %d: %d of %d delivered, %d flights, want %d, %d transactions, want %d",
						i+1, r.Delivered, v.fresh, r.RoundTrips, v.flights, count.n, v.commits)
				}
			}
		})
	}
}

// A hundred messages of an ordinary size are asked for at once: the login with the
// listings, RETR, and DELE with QUIT.
func TestHundredOrdinaryMessagesNeedThreeRoundTrips(t *testing.T) {
	clocked(t, 1, serving(pop3test.ImplicitTLS), func(t *testing.T, h *fixture) {
		h.secured(pop3.ImplicitTLS)
		h.ahead()
		h.options.Timeout = soon
		h.mustPoll()
		for n := range 100 {
			m := message(n + 2)
			m.Raw = append(m.Raw, bytes.Repeat([]byte(strings.Repeat("x", 70)+"\r\n"), 500)...) // 36,000 octets
			h.drop.Add(m)
		}
		if r := h.mustPoll(); r.Delivered != 100 || r.Deleted != 100 || r.RoundTrips != 3 {
			t.Errorf("%+v", r)
		}
		h.onServer()
	})
}

// The first visit sends nothing behind the login, so a server that would lose it
// needs one session only.
func TestFirstVisitSendsNothingBehindTheLogin(t *testing.T) {
	for name, security := range map[string]struct {
		server pop3test.Security
		client pop3.Security
	}{
		"in clear text": {pop3test.ClearText, pop3.ClearText},
		"STLS":          {pop3test.StartTLS, pop3.StartTLS},
		"TLS":           {pop3test.ImplicitTLS, pop3.ImplicitTLS},
	} {
		t.Run(name, func(t *testing.T) {
			clocked(t, 2, func(s *pop3test.Server) {
				s.Security, s.Habits.DropBehindLogin = security.server, true
			}, func(t *testing.T, h *fixture) {
				h.secured(security.client)
				h.ahead()
				h.options.Timeout = time.Minute
				h.mustPoll()
				h.delivered(1, 2)
				if n := h.server.Sessions(); n != 1 {
					t.Errorf("%d sessions", n)
				}
			})
		})
	}
}

// A later visit notices within seconds that such a server lost something and
// makes a second session. The visits after that know it.
func TestServerThatLosesWhatComesWithTheLogin(t *testing.T) {
	clocked(t, 2, func(s *pop3test.Server) {
		s.Security, s.Habits.DropBehindLogin = pop3test.ImplicitTLS, true
	}, func(t *testing.T, h *fixture) {
		h.secured(pop3.ImplicitTLS)
		h.ahead()
		h.options.Timeout = 10 * time.Minute // longer than the test may take
		h.account.Policy.Delete = false
		h.mustPoll()
		h.drop.Add(message(3))
		before := h.server.Sessions()
		if r := h.mustPoll(); r.Delivered != 1 {
			t.Errorf("%+v", r)
		}
		h.delivered(1, 2, 3)
		if n := h.server.Sessions() - before; n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}
		facts, err := h.account.Maildrop.Facts()
		if err != nil || time.Since(facts.Patient) > time.Hour {
			t.Errorf("noted %+v, %v", facts, err)
		}
		before = h.server.Sessions()
		if r := h.mustPoll(); r.Seen != 3 || h.server.Sessions()-before != 1 {
			t.Errorf("%+v in %d sessions", r, h.server.Sessions()-before)
		}
	})
}

// Half a year long nothing is sent together with the login to a server that loses it, and
// 30 days long one command at a time to one that gets out of step.
func TestHowLongAServerIsSpared(t *testing.T) {
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		facts func(seen time.Time) state.Facts
		days  time.Duration
	}{
		"with the login": {func(seen time.Time) state.Facts { return state.Facts{Patient: seen} }, 182},
		"ahead":          {func(seen time.Time) state.Facts { return state.Facts{Serial: seen} }, 30},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 1, nil)
			h.account.Fallback = true
			var got fetch.Opening
			open := h.account.Open
			h.account.Open = func(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
				got = how
				return open(ctx, how)
			}
			for _, spared := range []bool{true, false} {
				seen := time.Now().Add(-(tt.days - 1) * day)
				if !spared {
					seen = time.Now().Add(-(tt.days + 1) * day)
				}
				facts := tt.facts(seen)
				if err := h.account.Maildrop.Commit(state.Change{Facts: &facts}); err != nil {
					t.Fatal(err)
				}
				h.mustPoll()
				if (got.Patient || got.Serial) != spared {
					t.Errorf("%v ago: %+v", time.Since(seen).Round(day), got)
				}
			}
		})
	}
}

// After a refused login the next one asks for the capabilities again.
func TestRefusedLoginReliesOnNothingNext(t *testing.T) {
	clocked(t, 2, serving(pop3test.ImplicitTLS), func(t *testing.T, h *fixture) {
		h.secured(pop3.ImplicitTLS)
		h.ahead()
		h.mustPoll()
		h.server.SetFaults(pop3test.Fault{At: "AUTH", Do: pop3test.Err, Text: "[AUTH] no"})
		_, err := h.poll()
		class(t, err, fetch.Auth)
		if facts, err := h.account.Maildrop.Facts(); err != nil || facts.Before != nil {
			t.Errorf("noted %+v, %v", facts, err)
		}
		h.server.SetFaults()
		if r := h.mustPoll(); r.RoundTrips != 4 {
			t.Errorf("%+v", r)
		}
	})
}

// Capabilities learned over TLS do not count for a connection without TLS.
func TestWhatIsKnownIsOfOneProtocol(t *testing.T) {
	clocked(t, 2, serving(pop3test.ImplicitTLS), func(t *testing.T, h *fixture) {
		h.secured(pop3.ImplicitTLS)
		h.ahead()
		h.mustPoll()
		h.account.Protocol = "POP3S"
		if r := h.mustPoll(); r.RoundTrips != 4 {
			t.Errorf("%+v", r)
		}
		if r := h.mustPoll(); r.RoundTrips != 2 {
			t.Errorf("%+v", r)
		}
	})
}

// A server cannot fill the state file with its capabilities.
func TestEndlessCapabilitiesAreNotRemembered(t *testing.T) {
	long := func(reply []byte) []byte {
		return bytes.Replace(reply, []byte("SASL "), []byte("SASL "+strings.Repeat("LOGIN ", 500)), 1)
	}
	clocked(t, 2, faults(pop3test.Fault{At: "CAPA", Do: pop3test.Edit, Edit: long}), func(t *testing.T, h *fixture) {
		h.ahead()
		for range 2 {
			h.mustPoll()
			if facts, err := h.account.Maildrop.Facts(); err != nil || facts.Before != nil {
				t.Errorf("noted %.100v, %v", facts, err)
			}
		}
		h.delivered(1, 2)
	})
}

// visited runs a test by clocked with a server that has been visited and has a new message
// since.
func visited(t *testing.T, change func(*pop3test.Server), test func(t *testing.T, h *fixture)) {
	t.Helper()
	clocked(t, 2, func(s *pop3test.Server) {
		s.Security = pop3test.ImplicitTLS
		if change != nil {
			change(s)
		}
	}, func(t *testing.T, h *fixture) {
		h.secured(pop3.ImplicitTLS)
		h.ahead()
		h.account.Policy.Delete = false
		h.mustPoll()
		h.drop.Add(message(3))
		test(t, h)
	})
}

// If the server refuses the second session, perhaps because it comes so soon
// after the first, the next poll still waits for the reply to the login, and the
// error has both reasons.
func TestSecondSessionThatIsRefused(t *testing.T) {
	visited(t, nil, func(t *testing.T, h *fixture) {
		first := h.server.Sessions()
		h.server.SetFaults(
			pop3test.Fault{At: "AUTH", Session: first + 1, Do: pop3test.Forget},
			pop3test.Fault{At: "AUTH", Session: first + 2, Do: pop3test.Err, Text: "[IN-USE] locked"},
		)
		_, err := h.poll()
		class(t, err, fetch.Temporary)
		for _, part := range []string{"the server seems to lose commands", "[IN-USE] locked"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("it says %q, without %q", err, part)
			}
		}
		h.server.SetFaults(pop3test.Fault{At: "AUTH", Do: pop3test.Forget})
		if h.mustPoll(); h.server.Sessions() != first+3 {
			t.Errorf("%d sessions", h.server.Sessions()-first)
		}
		h.delivered(1, 2, 3)
	})
}

// A silent server or a cut connection is no reason for a second session.
func TestSilentServerIsVisitedOnce(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"silent":             {At: "CAPA", Do: pop3test.Stall},
		"cut":                {At: "CAPA", Do: pop3test.Reset},
		"cut in the listing": {At: "UIDL", Do: pop3test.Reset, After: pop3test.AfterStatus},
	} {
		t.Run(name, func(t *testing.T) {
			visited(t, nil, func(t *testing.T, h *fixture) {
				before := h.server.Sessions()
				h.server.SetFaults(f)
				_, err := h.poll()
				class(t, err, fetch.Temporary)
				if n := h.server.Sessions() - before; n != 1 {
					t.Errorf("%d sessions", n)
				}
				h.server.SetFaults()
				if r := h.mustPoll(); r.Delivered != 1 || r.RoundTrips != 4 {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

// A temporary refusal forgets nothing and costs no transaction.
func TestMaildropInUseForgetsNothing(t *testing.T) {
	visited(t, nil, func(t *testing.T, h *fixture) {
		count := &commits{Maildrop: h.account.Maildrop}
		h.account.Maildrop = count
		h.server.SetFaults(pop3test.Fault{At: "AUTH", Do: pop3test.Err, Text: "[IN-USE] locked"})
		_, err := h.poll()
		class(t, err, fetch.Temporary)
		h.server.SetFaults()
		if r := h.mustPoll(); count.n != 2 || r.RoundTrips != 4 {
			t.Errorf("%+v, %d transactions", r, count.n)
		}
	})
}

// popfetch also notices when a server that offered PIPELINING after the login is
// replaced by one that loses what comes with CAPA.
func TestPipeliningThatIsWithdrawn(t *testing.T) {
	visited(t, func(s *pop3test.Server) { s.LateCapa = []string{"TOP", "PIPELINING"} }, func(t *testing.T, h *fixture) {
		h.server.SetFaults(
			pop3test.Fault{At: "CAPA", Do: pop3test.Edit, Edit: func(r []byte) []byte { return bytes.Replace(r, []byte("PIPELINING\r\n"), nil, 1) }},
			pop3test.Fault{At: "CAPA", Do: pop3test.Forget},
		)
		if r := h.mustPoll(); r.Delivered != 1 {
			t.Errorf("%+v", r)
		}
		if facts, err := h.account.Maildrop.Facts(); err != nil || facts.After != nil || facts.Patient.IsZero() {
			t.Errorf("noted %+v, %v", facts, err)
		}
	})
}

// Capabilities that allow nothing are not recorded at each poll; the server is
// asked again after each login.
func TestCapabilitiesThatAreAllToldLate(t *testing.T) {
	visited(t, func(s *pop3test.Server) { s.LateCapa = []string{"PIPELINING", "SASL", "TOP", "UIDL", "USER"} }, func(t *testing.T, h *fixture) {
		h.mustPoll()
		count := &commits{Maildrop: h.account.Maildrop}
		h.account.Maildrop = count
		for range 3 {
			if r := h.mustPoll(); count.n != 0 || r.RoundTrips != 5 { // USER; PASS
				t.Errorf("%+v, %d transactions", r, count.n)
			}
		}
	})
}

// An empty maildrop needs no sizes, so a refused LIST does not matter.
func TestListRefusedWhereNothingIs(t *testing.T) {
	clocked(t, 0, faults(pop3test.Fault{At: "LIST", Do: pop3test.Err, Text: "no messages"}), func(t *testing.T, h *fixture) {
		h.ahead()
		for range 2 {
			h.mustPoll()
		}
	})
}

// Look waits until the server has ended the session, because another command may
// follow at once.
func TestLookFreesTheMaildrop(t *testing.T) {
	h := newFixture(t, 1, func(s *pop3test.Server) { s.LockWait = -1 })
	h.options.Pipelining = pop3.PipelineAuto
	for range 20 {
		err := h.account.Look(t.Context(), func(fetch.Session, *plan.Listing, plan.Plan) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
}
