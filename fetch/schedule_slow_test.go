package fetch_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
)

// untilTheEnd is a login that lasts until the poll ends.
func untilTheEnd(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// minuteReader is a message that arrives after a minute.
type minuteReader struct{ text io.Reader }

func (m *minuteReader) Read(p []byte) (int, error) {
	if m.text == nil {
		time.Sleep(time.Minute)
		m.text = strings.NewReader("Subject: slow\r\n\r\n")
	}
	return m.text.Read(p)
}

// slowAccount is an account with n messages that take a minute each.
func slowAccount(name string, n int) *fakeAccount {
	return &fakeAccount{name: name, fresh: n, body: func() io.Reader { return new(minuteReader) }}
}

// loopFor polls accounts in a loop for some time.
func loopFor(t *testing.T, s *fetch.Scheduler, d time.Duration, accounts ...*fakeAccount) {
	t.Helper()
	for _, g := range accounts {
		s.Accounts = append(s.Accounts, g.account())
	}
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	if err := s.Loop(ctx); err != nil {
		t.Error(err)
	}
}

func TestSlowPollGivesItsPlaceToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fakeAccount{name: "slow", host: "a", visit: untilTheEnd}
		other := &fakeAccount{name: "other", host: "a"}
		loopFor(t, &fetch.Scheduler{Parallel: 1, PerHost: 1, Spare: 1}, 30*time.Minute, slow, other)
		if n := len(other.polls); n < 26 || n > 33 {
			t.Errorf("%d polls in half an hour", n)
		}
	})
}

func TestMoreSlowPollsThanSparePlacesTakeTurns(t *testing.T) {
	for _, spare := range []int{0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			accounts := []*fakeAccount{{name: "quick"}}
			for _, name := range []string{"a", "b", "c", "d"} {
				accounts = append(accounts, slowAccount(name, 1000))
			}
			loopFor(t, &fetch.Scheduler{Parallel: 1, PerHost: 1, Spare: spare}, 5*time.Hour, accounts...)
			for _, g := range accounts {
				if n := len(g.polls); n < 6 {
					t.Errorf("%d spare places: account %s had %d polls in 5 hours", spare, g.name, n)
				}
			}
		})
	}
}

func TestSparePlacesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &pollCounter{now: map[string]int{}, most: map[string]int{}}
		s := &fetch.Scheduler{Parallel: 2, PerHost: 2, Spare: 3}
		var accounts []*fakeAccount
		for range 10 {
			accounts = append(accounts, &fakeAccount{visit: func(ctx context.Context) error {
				c.add("a", 1)
				defer c.add("a", -1)
				return untilTheEnd(ctx)
			}})
		}
		loopFor(t, s, 30*time.Minute, accounts...)
		if c.most[""] != 5 {
			t.Errorf("%d polls at once, want 5", c.most[""])
		}
	})
}

func TestRoundDoesNotWaitForASlowPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fakeAccount{name: "slow", visit: sleeping(20 * time.Minute)}
		other := &fakeAccount{name: "other", fresh: 1}
		s := &fetch.Scheduler{Accounts: []*fetch.Account{slow.account(), other.account()}, Parallel: 2, PerHost: 2, Spare: 2}
		begun := time.Now()
		var rounds []time.Duration
		s.Round = func(context.Context, int) { rounds = append(rounds, time.Since(begun)) }
		if err := s.Once(t.Context()); err != nil || !slices.Equal(rounds, []time.Duration{time.Minute}) {
			t.Errorf("rounds after %v, %v", rounds, err)
		}
	})
}

func TestRoundDoesNotWaitForPollsWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fetch.Scheduler{Parallel: 2, PerHost: 2}
		rounds := 0
		s.Round = func(context.Context, int) { rounds++ }
		var accounts []*fakeAccount
		for range 10 {
			accounts = append(accounts, &fakeAccount{fresh: 1, visit: sleeping(50 * time.Second)})
		}
		loopFor(t, s, time.Hour, accounts...)
		if rounds < 25 || rounds > 65 {
			t.Errorf("%d rounds in an hour", rounds)
		}
	})
}

func TestBriefRunEndsASlowPollBetweenTwoMessages(t *testing.T) {
	for _, brief := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := &fetch.Scheduler{Parallel: 1, PerHost: 1, Spare: 1, Brief: brief}
			for _, g := range []*fakeAccount{slowAccount("slow", 50), {name: "other", fresh: 1}} {
				s.Accounts = append(s.Accounts, g.account())
			}
			delivered := map[string]int{}
			s.Done = func(r fetch.Report) { delivered[r.Account] = r.Delivered }
			begun := time.Now()
			err := s.Once(t.Context())
			want, most := 50, time.Hour
			if brief {
				want, most = 5, 6*time.Minute
			}
			if took := time.Since(begun); err != nil || took > most || delivered["other"] != 1 || delivered["slow"] < want || delivered["slow"] > want+1 {
				t.Errorf("brief %v: %v delivered after %v, %v", brief, delivered, took, err)
			}
		})
	}
}

// dripping is an account of a slow server. It is made in a synctest bubble.
func dripping(t *testing.T, minRate int64, s slowServer) *fetch.Account {
	t.Helper()
	var servers sync.WaitGroup
	t.Cleanup(servers.Wait)
	return &fetch.Account{
		Name: "drip", Key: "k", Maildrop: &fakeMaildrop{records: records{}}, Policy: plan.Policy{Delete: true}, MinRate: minRate,
		Destination: func(context.Context) (deliver.Destination, error) { return newFakeMDA(), nil },
		Open: func(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
			near, far := net.Pipe()
			servers.Go(func() { s.serve(far) })
			c, err := pop3.NewClient(ctx, near, "h", &pop3.Options{Security: pop3.ClearText, Waited: how.Waited})
			if err != nil {
				return nil, err
			}
			if _, err := c.Login(pop3.Credentials{User: "me", Password: "secret"}); err != nil {
				c.Close()
				return nil, err
			}
			return c, nil
		},
	}
}

// Each octet comes in time for the timeout, and all of them would take hours.
func TestDripOfTwentyOctetsASecondEndsThePoll(t *testing.T) {
	for _, phase := range []string{"UIDL", "LIST", "TOP", "RETR", "body"} {
		t.Run(phase, func(t *testing.T) {
			for _, minRate := range []int64{128, 0} {
				synctest.Test(t, func(t *testing.T) {
					s := slowServer{at: phase, octets: 1 << 20, lines: 1 << 13, pause: 50 * time.Millisecond}
					switch phase {
					case "body":
						s.lines = 2
					case "TOP":
						s.without = "UIDL"
					case "RETR": // the replies alone
						s.octets = 100
					}
					begun := time.Now()
					r, err := dripping(t, minRate, s).Poll(t.Context())
					class(t, err, fetch.Temporary)
					least, most := 5*time.Minute, 10*time.Minute
					if minRate == 0 {
						least, most = time.Hour, time.Hour
					}
					if took := time.Since(begun); took < least || took > most || strings.Contains(err.Error(), "min_rate") != (minRate > 0) {
						t.Errorf("floor %d: %v after %v", minRate, err, took)
					}
					if r.Delivered > 0 && phase != "RETR" {
						t.Errorf("%+v", r)
					}
				})
			}
		})
	}
}

func TestDrippingAccountOfABriefRunIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slowServer{at: "body", octets: 10 << 20, lines: 2, pause: time.Millisecond}
		other := &fakeAccount{name: "other", fresh: 1}
		var drip error
		schedule := &fetch.Scheduler{
			Accounts: []*fetch.Account{dripping(t, 128, s), other.account()},
			Parallel: 1, PerHost: 1, Spare: 1, Brief: true,
			Done: func(r fetch.Report) {
				if r.Account == "drip" {
					drip = r.Err
				}
			},
		}
		begun := time.Now()
		err := schedule.Once(t.Context())
		class(t, err, fetch.Temporary)
		if took := time.Since(begun); took < 5*time.Minute || took > 6*time.Minute || len(other.polls) != 1 {
			t.Errorf("%d polls of the other account, the end after %v", len(other.polls), took)
		}
		if drip == nil || !strings.Contains(drip.Error(), "other accounts need not wait") {
			t.Errorf("%v", drip)
		}
	})
}

func TestPollThatEndsForSlownessBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slowServer{at: "UIDL", lines: 1 << 13, pause: 50 * time.Millisecond}
		a := dripping(t, 128, s)
		a.Interval = time.Minute
		var begun []time.Time
		open := a.Open
		a.Open = func(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
			begun = append(begun, time.Now())
			return open(ctx, how)
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Hour)
		defer stop()
		(&fetch.Scheduler{Accounts: []*fetch.Account{a}, Parallel: 1, PerHost: 1}).Loop(ctx)
		if n := len(begun); n < 6 || n > 16 {
			t.Errorf("%d polls in 10 hours", n)
		}
	})
}

// A message that comes fast is not cut off because its poll is to end.
func TestFastMessageSurvivesTheEndOfABriefRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slowServer{at: "body", octets: 3_000_000, lines: 2, pause: time.Second, chunk: 5000}
		schedule := &fetch.Scheduler{
			Accounts: []*fetch.Account{dripping(t, 128, s), (&fakeAccount{}).account()},
			Parallel: 1, PerHost: 1, Spare: 1, Brief: true,
		}
		var got fetch.Report
		schedule.Done = func(r fetch.Report) {
			if r.Account == "drip" {
				got = r
			}
		}
		if err := schedule.Once(t.Context()); err != nil || got.Delivered != 1 || got.Deleted != 1 {
			t.Errorf("%+v, %v", got, errors.Unwrap(err))
		}
	})
}

func TestBusyServerIsAskedSoonAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locked := &pop3.AuthError{Err: &pop3.ResponseError{Command: "PASS", Text: "unable to lock maildrop"}}
		g := &fakeAccount{visit: func(context.Context) error { return locked }}
		wantGaps(t, loop(t, g, 10*time.Second, time.Hour)[:3], time.Minute, 2*time.Minute, 4*time.Minute)
	})
}
