package fetch_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/fetch"
)

func TestStopWaitsForThePollsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		first := &fakeAccount{name: "first", visit: func(context.Context) error {
			stop()
			time.Sleep(time.Minute)
			return nil
		}}
		second := &fakeAccount{name: "second"}
		s := &fetch.Scheduler{Accounts: []*fetch.Account{first.account(), second.account()}, Parallel: 1, PerHost: 1}
		reports := 0
		s.Done = func(fetch.Report) { reports++ }
		begun := time.Now()
		if err := s.Loop(ctx); err != nil {
			t.Error(err)
		}
		if time.Since(begun) != time.Minute || reports != 1 || len(second.polls) > 0 {
			t.Errorf("%v, %d reports, %d polls of the second account", time.Since(begun), reports, len(second.polls))
		}
	})
}

func TestOnceThatWasStoppedSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		first := &fakeAccount{name: "first", visit: func(context.Context) error { stop(); return nil }}
		s := &fetch.Scheduler{Accounts: []*fetch.Account{first.account(), (&fakeAccount{}).account()}, Parallel: 1, PerHost: 1}
		class(t, s.Once(ctx), fetch.Canceled)
	})
}

func TestStopWaitsForTheMessageInHandButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var life context.Context
		g := &fakeAccount{fresh: 2, visit: func(ctx context.Context) error { life = ctx; return nil }}
		g.body = func() io.Reader { return &atRead{endless{life}, stop} }
		begun := time.Now()
		_, err := g.account().Poll(ctx)
		class(t, err, fetch.Canceled)
		if took := time.Since(begun); took < time.Second || took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestDeadlineEndsThePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &fakeAccount{visit: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }}
		for deadline, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: time.Minute} {
			a := g.account()
			a.Deadline = deadline
			begun := time.Now()
			_, err := a.Poll(t.Context())
			class(t, err, fetch.Temporary)
			if took := time.Since(begun); took != want {
				t.Errorf("it took %v, want %v", took, want)
			}
		}
	})
}
