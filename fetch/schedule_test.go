package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// pollCounter counts the polls that are under way, in total and for each host.
type pollCounter struct {
	mu    sync.Mutex
	now   map[string]int
	most  map[string]int
	total int
}

func (c *pollCounter) add(host string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range []string{"", host} {
		c.now[key] += n
		c.most[key] = max(c.most[key], c.now[key])
	}
	c.total += max(n, 0)
}

// visit is a login that takes a second.
func (c *pollCounter) visit(host string) func(context.Context) error {
	return func(context.Context) error {
		c.add(host, 1)
		time.Sleep(time.Second)
		c.add(host, -1)
		return nil
	}
}

func TestLimitsAreKeptAndUsed(t *testing.T) {
	for _, tt := range []struct {
		parallel, perHost int
		most              int // that can be under way at once
		seconds           int
	}{
		{parallel: 8, perHost: 4, most: 8, seconds: 4},
		{parallel: 16, perHost: 4, most: 12, seconds: 3},
		{parallel: 1, perHost: 4, most: 1, seconds: 30},
		{parallel: 100, perHost: 100, most: 30, seconds: 1},
	} {
		t.Run(fmt.Sprintf("%d and %d", tt.parallel, tt.perHost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &pollCounter{now: map[string]int{}, most: map[string]int{}}
				s := &fetch.Scheduler{Parallel: tt.parallel, PerHost: tt.perHost}
				for i := range 30 {
					host := fmt.Sprintf("host%d", i%3)
					g := &fakeAccount{name: fmt.Sprint(i), host: host, visit: c.visit(host)}
					s.Accounts = append(s.Accounts, g.account())
				}
				done := map[string]int{}
				s.Done = func(r fetch.Report) { done[r.Account]++ }
				begun := time.Now()
				if err := s.Once(t.Context()); err != nil {
					t.Error(err)
				}
				perHost := max(c.most["host0"], c.most["host1"], c.most["host2"])
				if c.most[""] != tt.most || perHost > tt.perHost || c.total != 30 || len(done) != 30 {
					t.Errorf("%v at once, %d polls, %d reports", c.most, c.total, len(done))
				}
				if took := time.Since(begun); took != time.Duration(tt.seconds)*time.Second {
					t.Errorf("it took %v, want %d s", took, tt.seconds)
				}
			})
		})
	}
}

func TestStalledAccountHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := &fakeAccount{name: "stalled", host: "a", visit: func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		other := &fakeAccount{name: "other", host: "a"}
		s := &fetch.Scheduler{Accounts: []*fetch.Account{stalled.account(), other.account()}, Parallel: 2, PerHost: 2}
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Minute)
		defer stop()
		if err := s.Loop(ctx); err != nil {
			t.Error(err)
		}
		if n := len(other.polls); n < 27 || n > 33 {
			t.Errorf("%d polls in half an hour", n)
		}
	})
}

func TestBusyScheduleServesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fetch.Scheduler{Parallel: 1, PerHost: 1}
		var guests []*fakeAccount
		for i := range 4 {
			g := &fakeAccount{name: fmt.Sprint(i), visit: sleeping(2 * time.Minute)}
			guests = append(guests, g)
			s.Accounts = append(s.Accounts, g.account())
		}
		ctx, stop := context.WithTimeout(t.Context(), 4*time.Hour)
		defer stop()
		s.Loop(ctx)
		for _, g := range guests {
			if n := len(g.polls); n < 25 {
				t.Errorf("account %s had %d polls of 120", g.name, n)
			}
		}
	})
}

var errState = errors.New("no space left")

func TestStateFailureStopsEverything(t *testing.T) {
	for _, loop := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bad := &fakeAccount{name: "bad", state: errState}
			slow := &fakeAccount{name: "slow", visit: sleeping(time.Minute)}
			later := &fakeAccount{name: "later"}
			s := &fetch.Scheduler{Accounts: []*fetch.Account{slow.account(), bad.account(), later.account()}, Parallel: 2, PerHost: 2}
			var reports []string
			s.Done = func(r fetch.Report) { reports = append(reports, r.Account) }
			run := s.Once
			if loop {
				run = s.Loop
			}
			err := run(t.Context())
			class(t, err, fetch.State)
			if !errors.Is(err, errState) || !slices.Equal(reports, []string{"bad", "slow"}) || len(later.polls) > 0 {
				t.Errorf("%v, polls of %q", err, reports)
			}
		})
	}
}

// While the state fails each account backs off, and no poll begins before it is usable
// again.
func TestDaemonGoesOnAfterTheStateHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		sick := &fakeAccount{name: "sick"}
		disk := &failingMaildrop{Maildrop: &fakeMaildrop{records: records{}}, intents: errState}
		well := &fakeAccount{name: "well"}
		s := &fetch.Scheduler{Accounts: []*fetch.Account{sick.account(), well.account()}, Parallel: 1, PerHost: 2}
		s.Accounts[0].Maildrop = disk
		attempts := 0
		s.Reopen = func() error {
			if attempts++; attempts > 2 && attempts < 8 {
				return errState
			}
			if attempts >= 8 {
				disk.intents = nil
			}
			return nil
		}
		failures, polls := 0, 0
		s.Done = func(r fetch.Report) {
			if r.Err != nil {
				class(t, r.Err, fetch.State)
				failures++
			} else if r.Account == "sick" {
				if polls++; polls == 3 {
					stop()
				}
			}
		}
		if err := s.Loop(ctx); err != nil {
			t.Errorf("the loop ended: %v", err)
		}
		if failures != 6 || polls != 3 {
			t.Errorf("%d failures, %d polls that went well", failures, polls)
		}
	})
}

func TestDaemonEndsWhereTheStateCannotRecover(t *testing.T) {
	for _, lasting := range []error{state.ErrDamaged, state.ErrGone, state.ErrVersion} {
		synctest.Test(t, func(t *testing.T) {
			a := &fakeAccount{name: "a"}
			s := &fetch.Scheduler{Accounts: []*fetch.Account{a.account()}, Parallel: 2, PerHost: 2}
			s.Reopen = func() error { return fmt.Errorf("state: %w", lasting) }
			if err := s.Loop(t.Context()); !errors.Is(err, lasting) || len(a.polls) > 0 {
				t.Errorf("%v, %d polls", err, len(a.polls))
			}
		})
	}
}

func TestPanicOfOneAccountHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := &fakeAccount{name: "bad", visit: func(context.Context) error { panic("ouch") }}
		good := &fakeAccount{name: "good"}
		s := &fetch.Scheduler{Accounts: []*fetch.Account{bad.account(), good.account()}, Parallel: 1, PerHost: 1}
		err := s.Once(t.Context())
		class(t, err, fetch.Temporary)
		if len(good.polls) != 1 {
			t.Error("the other account was not polled")
		}
	})
}

// loop polls an account for a while and returns the times between its polls.
func loop(t *testing.T, g *fakeAccount, interval, whole time.Duration) []time.Duration {
	a := g.account()
	a.Interval = interval
	s := &fetch.Scheduler{Accounts: []*fetch.Account{a}, Parallel: 1, PerHost: 1}
	ctx, stop := context.WithTimeout(t.Context(), whole)
	defer stop()
	if err := s.Loop(ctx); err != nil {
		t.Error(err)
	}
	return g.gaps()
}

// wantGaps checks that each gap is within a tenth of the wanted one; the last of these
// holds for all further gaps.
func wantGaps(t *testing.T, gaps []time.Duration, want ...time.Duration) {
	t.Helper()
	if len(gaps) < len(want) {
		t.Errorf("only %d polls", len(gaps)+1)
	}
	for i, gap := range gaps {
		w := want[min(i, len(want)-1)]
		if gap < w-w/10 || gap > w+w/10 {
			t.Errorf("gap %d is %v, want about %v", i+1, gap, w)
		}
	}
}

func TestIntervalIsJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gaps := loop(t, &fakeAccount{}, 5*time.Minute, 10*time.Hour)
		wantGaps(t, gaps, 5*time.Minute)
		if len(slices.Compact(slices.Clone(gaps))) < len(gaps)/2 {
			t.Errorf("no jitter: %v", gaps)
		}
	})
}

func TestFailingAccountIsPolledAtGrowingDistances(t *testing.T) {
	const m = time.Minute
	for _, tt := range []struct {
		name string
		err  error
		want []time.Duration
	}{
		{"temporary", errors.New("no route to host"), []time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, 60 * m}},
		{"password", &pop3.AuthError{Err: errors.New("no")}, []time.Duration{15 * m, 30 * m, 60 * m, 120 * m, 240 * m, 480 * m, 960 * m, 1440 * m}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &fakeAccount{visit: func(context.Context) error { return tt.err }}
				wantGaps(t, loop(t, g, 10*time.Second, 10*24*time.Hour), tt.want...)
			})
		})
	}
}

func TestBackOffEndsWithASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		g := &fakeAccount{visit: func(context.Context) error {
			if n++; n%3 > 0 {
				return errors.New("busy")
			}
			return nil
		}}
		gaps := loop(t, g, 10*time.Second, time.Hour)
		wantGaps(t, gaps[:4], time.Minute, 2*time.Minute, 10*time.Second, time.Minute)
	})
}

func TestMessageThatFailsSlowsNothingDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &fakeAccount{fresh: 1, stage: func() error { return refusal(deliver.Message, true) }}
		wantGaps(t, loop(t, g, 10*time.Second, time.Hour), 10*time.Second)
	})
}

func TestLoginDelayIsKept(t *testing.T) {
	h := newFixture(t, 0, func(s *pop3test.Server) { s.LoginDelay = 10 * time.Minute })
	session, err := h.dial(t.Context(), fetch.Opening{})
	if err != nil {
		t.Fatal(err)
	}
	caps := session.Capabilities()
	session.Close()
	synctest.Test(t, func(t *testing.T) {
		for _, gap := range loop(t, &fakeAccount{caps: caps}, time.Minute, 24*time.Hour) {
			if gap < 10*time.Minute {
				t.Errorf("the next login came after %v", gap)
			}
		}
	})
}

func TestRoundComesOnceWhenAllIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fetch.Scheduler{Parallel: 3, PerHost: 3}
		for i := range 3 {
			g := &fakeAccount{name: fmt.Sprint(i), fresh: i, visit: sleeping(time.Duration(i) * time.Second)}
			s.Accounts = append(s.Accounts, g.account())
		}
		begun := time.Now()
		var rounds []int
		s.Round = func(_ context.Context, delivered int) {
			rounds = append(rounds, delivered)
			if since := time.Since(begun); since != 2*time.Second {
				t.Errorf("round after %v", since)
			}
		}
		if err := s.Once(t.Context()); err != nil || !slices.Equal(rounds, []int{3}) {
			t.Errorf("rounds %v, %v", rounds, err)
		}
	})
}

func TestNoRoundWithoutDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fetch.Scheduler{Accounts: []*fetch.Account{(&fakeAccount{}).account()}, Parallel: 1, PerHost: 1}
		s.Round = func(context.Context, int) { t.Error("a round") }
		s.Once(t.Context())
	})
}

// endless is a message that does not end before ctx does.
type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, context.Cause(e.ctx)
}
