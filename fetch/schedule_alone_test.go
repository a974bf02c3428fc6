package fetch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/fetch"
)

// state retry and the like beside a daemon must not meet a poll of the same maildrop.
func TestAccountIsNotPolledWhileACommandWorksOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAccount{name: "a", visit: sleeping(time.Second)}
		s := &fetch.Scheduler{}
		daemon(t, s, a)
		before := 0
		err := s.Alone(t.Context(), "a", func(context.Context, *fetch.Account) error {
			before = a.polled()
			var alone *fetch.AloneError
			if err := s.Alone(t.Context(), "a", nil); !errors.As(err, &alone) {
				t.Errorf("a second command gets %v", err)
			}
			time.Sleep(time.Hour) // its interval is a minute
			if n := a.polled(); n != before {
				t.Errorf("polled %d times meanwhile", n-before)
			}
			return errors.New("mine")
		})
		if err == nil || err.Error() != "mine" || before != 1 {
			t.Errorf("Alone returns %v, after %d polls", err, before)
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if a.polled() != before+1 {
			t.Errorf("%d polls after the command, want the one that was due", a.polled()-before)
		}
	})
}

func TestCommandDoesNotWaitForALongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fetch.Scheduler{}
		daemon(t, s, &fakeAccount{name: "a", visit: sleeping(10 * time.Minute)})
		begun := time.Now()
		var busy *fetch.BusyError
		err := s.Alone(t.Context(), "a", func(context.Context, *fetch.Account) error {
			t.Error("it ran beside a poll")
			return nil
		})
		if !errors.As(err, &busy) || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// Otherwise the state would be closed under the command.
func TestLoopThatIsStoppedWaitsForACommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fetch.Scheduler{Parallel: 1, PerHost: 1, Accounts: []*fetch.Account{(&fakeAccount{name: "a"}).account()}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			err := s.Alone(t.Context(), "a", func(ctx context.Context, _ *fetch.Account) error {
				stop()
				<-ctx.Done()
				time.Sleep(time.Second)
				close(ended)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
		if err := s.Loop(ctx); err != nil {
			t.Error(err)
		}
		select {
		case <-ended:
		default:
			t.Error("Loop has returned before the command")
		}
	})
}

// Two runs of cron overlap: the second polls its accounts through the first.
func TestOnceReturnsErrorsOfItsOwnAccountsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := func(name string) *fakeAccount {
			return &fakeAccount{name: name, visit: func(context.Context) error {
				time.Sleep(time.Second)
				return errors.New("broken " + name)
			}}
		}
		mine, other := failing("mine").account(), failing("other").account()
		other.OnRequest = true
		s := &fetch.Scheduler{Parallel: 2, PerHost: 2, Accounts: []*fetch.Account{mine, other}}
		var asked []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 2 { // the second poll of mine is not one of Once either
				if err := s.Poll(t.Context(), []string{"mine", "other"}, func(r fetch.Report) { asked = append(asked, r.Account+": "+r.Err.Error()) }); err != nil {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		err := s.Once(t.Context())
		<-done
		if err == nil || strings.Count(err.Error(), "broken") != 1 || !strings.Contains(err.Error(), "broken mine") {
			t.Errorf("Once returns %v", err)
		}
		slices.Sort(asked)
		if len(asked) != 4 || !strings.Contains(asked[3], "broken other") {
			t.Errorf("the other run learns %q", asked)
		}
	})
}

func TestKeepTravelsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAccount{name: "a", visit: sleeping(time.Second)}
		a := f.account()
		a.Policy.Delete = true
		s := &fetch.Scheduler{Parallel: 1, PerHost: 1, Accounts: []*fetch.Account{a}}
		daemon(t, s)
		var busy *fetch.BusyError
		var report fetch.Report
		note := func(r fetch.Report) { report = r }
		if err := s.PollKeeping(t.Context(), nil, note); err != nil || !errors.As(report.Err, &busy) {
			t.Errorf("a poll that may delete was joined: %v, %v", report.Err, err)
		}
		time.Sleep(10 * time.Second)
		report = fetch.Report{}
		if err := s.PollKeeping(t.Context(), nil, note); err != nil || report.Err != nil {
			t.Errorf("%v, %v", report.Err, err)
		}
		if !a.Policy.Delete {
			t.Error("the account keeps for ever")
		}
	})
}
