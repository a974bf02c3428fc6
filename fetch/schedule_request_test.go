package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// daemon runs Loop over accounts in a synctest bubble until the test ends.
func daemon(t *testing.T, s *fetch.Scheduler, accounts ...*fakeAccount) {
	t.Helper()
	if s.Parallel == 0 {
		s.Parallel, s.PerHost = 4, 4
	}
	for _, g := range accounts {
		s.Accounts = append(s.Accounts, g.account())
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Loop(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	synctest.Wait()
}

// request polls accounts on request and returns the reports by account.
func request(t *testing.T, s *fetch.Scheduler, names ...string) map[string]error {
	t.Helper()
	reports := map[string]error{}
	if err := s.Poll(t.Context(), names, func(r fetch.Report) { reports[r.Account] = r.Err }); err != nil {
		t.Error(err)
	}
	return reports
}

func TestPollOnRequestDoesNotWaitForTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeAccount{name: "a", visit: sleeping(time.Second)}, &fakeAccount{name: "b"}
		s := &fetch.Scheduler{}
		daemon(t, s, a, b)
		time.Sleep(10 * time.Second)
		begun := time.Now()
		if got := request(t, s, "a"); len(got) != 1 || got["a"] != nil || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", got, time.Since(begun))
		}
		if a.polled() != 2 || b.polled() != 1 {
			t.Errorf("%d and %d polls", a.polled(), b.polled())
		}
		if got := request(t, s); len(got) != 2 || b.polled() != 2 {
			t.Errorf("%v, %d polls of b", got, b.polled())
		}
		time.Sleep(10 * time.Minute) // the intervals go on
		if n := b.polled(); n < 10 || n > 14 {
			t.Errorf("%d polls in 10 minutes", n)
		}
	})
}

func TestPollOnRequestJoinsAYoungPollAndNamesAnOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAccount{name: "a", visit: sleeping(3 * time.Minute)}
		s := &fetch.Scheduler{Spare: 1}
		begun := time.Now()
		daemon(t, s, a)
		time.Sleep(59 * time.Second)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if got := request(t, s, "a"); got["a"] != nil || time.Since(begun) != 3*time.Minute {
					t.Errorf("%v after %v", got, time.Since(begun))
				}
			})
		}
		time.Sleep(time.Second)
		got := request(t, s, "a")
		busy, ok := errors.AsType[*fetch.BusyError](got["a"])
		if !ok || !busy.Since.Equal(begun) || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", got, time.Since(begun))
		}
		class(t, got["a"], fetch.Temporary)
		both.Wait()
		if a.polled() != 1 {
			t.Errorf("%d polls", a.polled())
		}
	})
}

func TestPollOnRequestRefusesANameThatNoAccountHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAccount{name: "a"}
		s := &fetch.Scheduler{}
		daemon(t, s, a)
		err := s.Poll(t.Context(), []string{"a", "b"}, func(fetch.Report) { t.Error("a report") })
		if unknown, ok := errors.AsType[*fetch.UnknownAccountError](err); !ok || unknown.Account != "b" {
			t.Error(err)
		}
		synctest.Wait()
		if a.polled() != 1 {
			t.Errorf("%d polls", a.polled())
		}
	})
}

// Whether the server insists on its LOGIN-DELAY is for the poll to know.
func TestPollOnRequestDoesNotWaitForTheLoginDelay(t *testing.T) {
	h := newFixture(t, 0, func(s *pop3test.Server) { s.LoginDelay = 10 * time.Minute })
	session, err := h.dial(t.Context(), fetch.Opening{})
	if err != nil {
		t.Fatal(err)
	}
	caps := session.Capabilities()
	session.Close()
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAccount{name: "a", caps: caps}
		s := &fetch.Scheduler{}
		begun := time.Now()
		daemon(t, s, a)
		var got fetch.Report
		if err := s.Poll(t.Context(), nil, func(r fetch.Report) { got = r }); err != nil {
			t.Error(err)
		}
		if got.Err != nil || !got.TooSoon.IsZero() || a.polled() != 2 {
			t.Errorf("%v, %d polls", got, a.polled())
		}
		if st := s.Status()[0]; st.Why != fetch.ForLoginDelay || st.Next.Sub(begun) != 10*time.Minute {
			t.Errorf("%+v", st)
		}
	})
}

func TestOnceLastsUntilTheRequestsAreDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAccount{name: "a", visit: sleeping(10 * time.Second)}
		b := &fakeAccount{name: "b"}
		other := &fakeAccount{name: "other", visit: sleeping(time.Second)}
		s := &fetch.Scheduler{Parallel: 2, PerHost: 2}
		for _, g := range []*fakeAccount{a, b, other} {
			s.Accounts = append(s.Accounts, g.account())
		}
		s.Accounts[2].OnRequest = true
		begun := time.Now()
		go func() {
			time.Sleep(9500 * time.Millisecond)
			err := s.Poll(t.Context(), []string{"b", "other"}, func(r fetch.Report) {
				if r.Account == "other" {
					time.Sleep(5 * time.Second) // as a client that reads slowly
				}
			})
			if err != nil {
				t.Error(err)
			}
		}()
		if err := s.Once(t.Context()); err != nil || time.Since(begun) != 15500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		if b.polled() != 2 || other.polled() != 1 {
			t.Errorf("%d and %d polls", b.polled(), other.polled())
		}
		if err := s.Poll(t.Context(), nil, nil); err != fetch.ErrStopped {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestStopAnswersThePollsThatDoNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		slow := &fakeAccount{name: "slow", visit: sleeping(time.Minute)}
		next := &fakeAccount{name: "next"}
		s := &fetch.Scheduler{Accounts: []*fetch.Account{slow.account(), next.account()}, Parallel: 1, PerHost: 1}
		reports := map[string]error{}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			if err := s.Poll(t.Context(), nil, func(r fetch.Report) { reports[r.Account] = r.Err }); err != nil {
				t.Error(err)
			}
		}()
		go func() {
			time.Sleep(time.Second)
			stop()
		}()
		class(t, s.Once(ctx), fetch.Canceled)
		<-answered
		if len(reports) != 2 || reports["slow"] != nil || !errors.Is(reports["next"], fetch.ErrStopped) || next.polled() > 0 {
			t.Errorf("%v, %d polls", reports, next.polled())
		}
	})
}

func TestRequestThatIsGivenUpLeavesThePollAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAccount{name: "a", visit: sleeping(time.Minute)}
		s := &fetch.Scheduler{}
		daemon(t, s, a)
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := s.Poll(ctx, nil, func(fetch.Report) { t.Error("a report") }); err != context.DeadlineExceeded {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := s.Status()[0]; st.Ended.IsZero() || st.Last.Err != nil {
			t.Errorf("%+v", st)
		}
	})
}

func TestStatusTellsWhenAndWhyAnAccountIsPolledNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := &fakeAccount{name: "well"}
		ill := &fakeAccount{name: "ill", visit: func(context.Context) error { return &pop3.AuthError{Err: errors.New("no")} }}
		slow := &fakeAccount{name: "slow", visit: sleeping(30 * time.Second)}
		late := &fakeAccount{name: "late"}
		s := &fetch.Scheduler{Parallel: 1, PerHost: 1}
		begun := time.Now()
		daemon(t, s, well, ill, slow, late)
		st := s.Status()
		if w := st[0]; w.Name != "well" || !w.Ended.Equal(begun) || w.Failures != 0 || w.Why != fetch.ForInterval || w.Next.Sub(begun).Round(time.Minute) != time.Minute {
			t.Errorf("%+v", w)
		}
		if i := st[1]; i.Failures != 1 || i.Why != fetch.ForFailures || i.Next.Sub(begun) < 13*time.Minute || fetch.Classify(i.Last.Err) != fetch.Auth {
			t.Errorf("%+v", i)
		}
		if p := st[2]; !p.Begun.Equal(begun) || p.Waiting || !p.Next.IsZero() || !p.Ended.IsZero() {
			t.Errorf("%+v", p)
		}
		if l := st[3]; !l.Waiting || !l.Begun.IsZero() || !l.Next.IsZero() {
			t.Errorf("%+v", l)
		}
	})
}

func TestReloadDisturbsNoAccountThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stays, idle := slowAccount("stays", 10), &fakeAccount{name: "idle"}
		goes, added := slowAccount("goes", 10), &fakeAccount{name: "added"}
		reports := map[string]fetch.Report{}
		s := &fetch.Scheduler{Done: func(r fetch.Report) { reports[r.Account] = r }}
		daemon(t, s, stays, goes, idle)
		time.Sleep(30 * time.Second)
		s.SetAccounts([]*fetch.Account{s.Accounts[0], s.Accounts[2], added.account()})
		synctest.Wait()
		if added.polled() != 1 || idle.polled() != 1 {
			t.Errorf("%d polls of the new account, %d of the other", added.polled(), idle.polled())
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if r := reports["goes"]; r.Delivered != 1 || r.Err != nil {
			t.Errorf("the account that was removed: %+v", r)
		}
		if r := reports["stays"]; r.Delivered != 10 || r.Err != nil {
			t.Errorf("the account that stays: %+v", r)
		}
		if n := goes.polled(); n != 1 {
			t.Errorf("%d polls of the account that was removed", n)
		}
		err := s.Poll(t.Context(), []string{"goes"}, nil)
		if _, ok := errors.AsType[*fetch.UnknownAccountError](err); !ok {
			t.Error(err)
		}
	})
}

// Two polls of one maildrop at a time would deliver twice.
func TestChangedAccountWaitsForTheEndOfItsOldPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, changed := slowAccount("a", 10), &fakeAccount{name: "a"}
		var order []int
		s := &fetch.Scheduler{Done: func(r fetch.Report) { order = append(order, r.Delivered) }}
		daemon(t, s, old)
		time.Sleep(90 * time.Second)
		s.SetAccounts([]*fetch.Account{changed.account()})
		synctest.Wait()
		if changed.polled() > 0 {
			t.Error("two polls of one maildrop")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(order, []int{2, 0}) || changed.polled() != 1 {
			t.Errorf("deliveries %v, %d polls", order, changed.polled())
		}
	})
}

func TestMachineThatSleptPollsAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		step  time.Duration // of the wall clock, while the steady clock stands still
		least int           // polls within the next minute
	}{
		"slept for 8 hours": {8 * time.Hour, 1}, "set back by a year": {-365 * 24 * time.Hour, 0}, "set by a second": {time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ahead, beats atomic.Int64
				fails := &fakeAccount{name: "a", visit: func(context.Context) error { return &pop3.AuthError{Err: errors.New("no")} }}
				s := &fetch.Scheduler{Wall: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, Beat: func() { beats.Add(1) }}
				daemon(t, s, fails)
				time.Sleep(4 * time.Hour)
				polls := fails.polled()
				ahead.Store(int64(tt.step))
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := fails.polled() - polls; n != tt.least {
					t.Errorf("%d polls, want %d", n, tt.least)
				}
				now := time.Now().Add(tt.step)
				if st := s.Status()[0]; st.Next.Before(now) || st.Next.After(now.Add(25*time.Hour)) {
					t.Errorf("the next poll is shown at %v, it is %v", st.Next, now)
				}
				if n := beats.Load(); n < 480 {
					t.Errorf("%d beats in 4 hours", n)
				}
			})
		})
	}
}

func TestRequestsFromManySidesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fetch.Scheduler{Parallel: 3, PerHost: 2, Spare: 1}
		var all []*fetch.Account
		for i := range 50 {
			g := &fakeAccount{name: fmt.Sprint(i), host: fmt.Sprint(i % 5), fresh: 1, visit: sleeping(time.Second)}
			all = append(all, g.account())
		}
		s.Accounts = all
		daemon(t, s)
		var calls sync.WaitGroup
		for i := range 20 {
			calls.Go(func() {
				for range 20 {
					switch i % 4 {
					case 0:
						s.SetAccounts(all[i%10:])
					case 1:
						s.SetLimits(1+i, 2, i%3)
					case 2:
						s.Status()
					default:
						s.Poll(t.Context(), nil, func(fetch.Report) {})
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		calls.Wait()
	})
}

func TestBackOffGoesOnAfterARestart(t *testing.T) {
	for name, tt := range map[string]struct {
		next time.Duration // from the start
		want time.Duration // until the first poll
	}{
		"in 3 hours": {3 * time.Hour, 3 * time.Hour}, "over": {-time.Hour, 0}, "none": {0, 0},
		"from a clock that was wrong": {1000 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &fakeAccount{name: "a", visit: func(context.Context) error { return &pop3.AuthError{Err: errors.New("no")} }}
				a := g.account()
				a.Failures, a.Next = 4, time.Now().Add(tt.next)
				begun := time.Now()
				s := &fetch.Scheduler{Accounts: []*fetch.Account{a}}
				daemon(t, s)
				time.Sleep(tt.want)
				synctest.Wait()
				if len(g.polls) != 1 || g.polls[0].Sub(begun) != tt.want {
					t.Errorf("polls at %v", g.polls)
				}
				// The count goes on: 15 minutes, doubled 4 times.
				if st := s.Status()[0]; st.Failures != 5 || time.Until(st.Next) < 3*time.Hour {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}
