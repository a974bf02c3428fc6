package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/fetch"
	"popfetch/internal/control"
)

// watchedConsole is the console of an owner that logs to w as without -v.
func watchedConsole(w io.Writer) *console {
	clients := new(watches)
	log := slog.New(&watchedLog{Handler: newLog(w, logStyle{}, slog.LevelWarn).Handler(), watches: clients})
	return &console{err: w, log: log, watches: clients, progress: new(progress)}
}

// A client with -v sees what the owner, without it, does not log.
func TestLinesOfTheLogGoToThoseWhoWatchTheAccount(t *testing.T) {
	var own, theirs, quiet strings.Builder
	owner := watchedConsole(&own)
	client := &console{log: newLog(&theirs, logStyle{}, slog.LevelDebug), progress: new(progress)}
	errorsOnly := &console{log: newLog(&quiet, logStyle{}, slog.LevelError), progress: new(progress)}
	work, home := owner.log.With("account", "work", "attempt", 2), owner.log.With("account", "home")
	work.Debug("before anybody watches")
	var stops []func()
	for _, con := range []*console{client, errorsOnly} {
		level := slog.LevelDebug
		if con == errorsOnly {
			level = slog.LevelError
		}
		shown := newSpectator(con)
		_, stop := owner.show(&control.Watch{Level: int(level)}, []string{"work"}, func(a control.Answer) { shown.show(a.Watched) })
		stops = append(stops, stop)
	}
	work.Debug("planned", "plan", "1 to fetch")
	work.Warn("slow", "octets", 1<<20)
	home.Warn("of another account")
	owner.log.Warn("of none")
	for _, stop := range stops {
		stop()
	}
	work.Debug("after all have gone")
	if want := "popfetch: work: planned attempt=2 plan=\"1 to fetch\"\npopfetch: work: warn: slow attempt=2 octets=1048576\n"; theirs.String() != want {
		t.Errorf("the client shows\n%swant\n%s", &theirs, want)
	}
	if quiet.Len() > 0 {
		t.Errorf("a client that wants errors shows\n%s", &quiet)
	}
	if want := "popfetch: work: warn: slow attempt=2 octets=1048576\npopfetch: home: warn: of another account\npopfetch: warn: of none\n"; own.String() != want {
		t.Errorf("the owner logs\n%swant\n%s", &own, want)
	}
}

// A poll does not wait for a client that does not read, and does not fill the memory for it.
func TestClientThatDoesNotReadLosesLinesAndHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner := watchedConsole(io.Discard)
		var lines strings.Builder
		client := newSpectator(&console{log: newLog(&lines, logStyle{}, slog.LevelDebug), progress: new(progress)})
		reads := make(chan struct{})
		inOrder, stop := owner.show(&control.Watch{Level: int(slog.LevelDebug)}, []string{"work"}, func(a control.Answer) {
			<-reads
			if a.Watched != nil {
				client.show(a.Watched)
			}
		})
		work := owner.log.With("account", "work")
		for n := range 3 * mostWatchedLines {
			work.Debug("line", "n", n)
			if n == 0 {
				time.Sleep(time.Second) // it is being sent
			}
		}
		close(reads)
		inOrder(control.Answer{Account: "work"})
		stop()
		const dropped = 2*mostWatchedLines - 1
		text := lines.String()
		if n := strings.Count(text, "\n"); n != 1+1+mostWatchedLines {
			t.Errorf("%d lines arrive", n)
		}
		for _, want := range []string{
			"popfetch: work: line n=0\n", fmt.Sprintf("popfetch: work: line n=%d\n", 3*mostWatchedLines-1),
			fmt.Sprintf("popfetch: warn: lines of the log of the running popfetch are missing here, because they came too fast lines=%d\n", dropped),
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing", want)
			}
		}
	})
}

func TestProgressOfAnotherProcessIsShownAsIfItWereThisOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, client := watchedConsole(io.Discard), &console{log: slog.New(slog.DiscardHandler), progress: new(progress)}
		client.progress.expect(2)
		shown := newSpectator(client)
		inOrder, stop := owner.show(&control.Watch{Progress: true}, []string{"work", "home"}, func(a control.Answer) {
			if a.Watched != nil {
				shown.show(a.Watched)
				return
			}
			shown.end(a.Account)
		})
		lines := func() string { return strings.Join(client.progress.show(80, 24), "\n") }
		wants := func(want string) {
			t.Helper()
			time.Sleep(time.Second)
			if got := lines(); got != want {
				t.Errorf("the client shows\n%s\nwant\n%s", got, want)
			}
		}
		work, home, other := owner.progress.of("work"), owner.progress.of("home"), owner.progress.of("other")
		other.Stage(fetch.Connecting)
		wants("")
		work.Stage(fetch.Connecting)
		wants("work  connecting\n0 of 2 done, 1 account being polled")
		work.Stage(fetch.LoggingIn)
		work.Stage(fetch.Receiving)
		work.Start(40, 0)
		work.Received(1 << 20)
		work.Message()
		home.Stage(fetch.Listing)
		for range 10 {
			time.Sleep(time.Second)
			lines() // as a terminal is drawn
		}
		wants("work     1/40    1.0 MiB  nothing for 10 s\nhome  listing the messages, for 10 s\n0 of 2 done, 2 accounts being polled")
		work.End() // and again, for another who has asked
		work.Stage(fetch.Connecting)
		wants("work  connecting\nhome  listing the messages, for 11 s\n0 of 2 done, 2 accounts being polled")
		work.End()
		inOrder(control.Answer{Account: "work"})
		wants("home  listing the messages, for 12 s\n1 of 2 done, 1 account being polled")
		stop()
		shown.close()
		if got := lines(); got != "" {
			t.Errorf("after the end the client shows %s", got)
		}
	})
}

// A newer popfetch may have stages that this one does not know.
func TestUnknownStageLeavesTheLineAsItIs(t *testing.T) {
	client := &console{log: slog.New(slog.DiscardHandler), progress: new(progress)}
	shown := newSpectator(client)
	shown.show(&control.Watched{Progress: []control.Progress{{Account: "work", Stage: "login"}}})
	shown.show(&control.Watched{Progress: []control.Progress{{Account: "work", Stage: "dreaming"}}})
	if got := client.progress.show(80, 24); len(got) != 1 || got[0] != "work  logging in" {
		t.Errorf("the client shows %q", got)
	}
}

func TestEveryStageHasAName(t *testing.T) {
	for stage := fetch.Connecting; stage <= fetch.Finishing; stage++ {
		if got, ok := stageNamed(stageNames[stage]); !ok || got != stage {
			t.Errorf("stage %d is %q, which is stage %d", stage, stageNames[stage], got)
		}
	}
}
