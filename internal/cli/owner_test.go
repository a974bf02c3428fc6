package cli

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/control"
	"popfetch/internal/status"
	"popfetch/state"
)

// newTestOwner returns the owner of one account, work, whose destination is opened by open,
// and a request to poll it.
func newTestOwner(t *testing.T, open func(context.Context) error) (*owner, control.Request) {
	t.Helper()
	store, err := state.File{Path: filepath.Join(t.TempDir(), "state.db")}.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	a := &config.Account{Name: "work"}
	var current atomic.Pointer[house]
	current.Store(&house{selection: &selection{config: &config.Config{Accounts: []*config.Account{a}}}})
	o := &owner{
		house: &current, signals: new(signals), known: make(map[string]bool), info: control.Info{PID: 7, Command: commandDaemon},
		scheduler: &fetch.Scheduler{Parallel: 1, PerHost: 1, Accounts: []*fetch.Account{{
			Name: "work", Log: slog.New(slog.DiscardHandler), Maildrop: store.Maildrop("work"),
			Destination: func(ctx context.Context) (deliver.Destination, error) { return nil, open(ctx) },
		}}},
	}
	return o, control.Request{Do: doPoll, Accounts: []control.Account{{Name: "work", Settings: a.Digest()}}}
}

// SIGHUP ends a daemon that runs in a terminal.
func TestDaemonInATerminalIsNotToBeSentAHangup(t *testing.T) {
	o, r := newTestOwner(t, nil)
	r.Accounts[0].Settings = "other"
	for reload, want := range map[bool]string{true: "kill -HUP 7 reloads it", false: "end it in its terminal and start it again"} {
		o.signals.reload.Store(reload)
		var hint string
		if err := o.Do(t.Context(), r, func(a control.Answer) { hint = a.Reasons[0].Hint }); err != nil || !strings.HasSuffix(hint, want) {
			t.Errorf("with SIGHUP reloading %v the hint is %q, %v; want %q", reload, hint, err, want)
		}
	}
}

// A client gets no answer for a poll that ended with its owner, and so polls the account
// itself.
func TestPollThatEndsWithTheOwnerIsLeftToTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		o, r := newTestOwner(t, func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		var all sync.WaitGroup
		all.Go(func() {
			if err := o.scheduler.Loop(ctx); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			err := o.Do(t.Context(), r, func(a control.Answer) { t.Errorf("the client gets the answer %+v", a) })
			if err != nil {
				t.Errorf("the client gets %v", err)
			}
		})
		synctest.Wait() // the request has joined the poll
		stop()
		all.Wait()
	})
}

func TestOwnerThatDoesNotDoItsPartIsTemporaryAndTheHintSaysWhatHelps(t *testing.T) {
	for err, want := range map[error]string{
		control.ErrSilent:       "hangs or is suspended",
		control.ErrNobody:       "try again",
		&control.VersionError{}: "restart the running popfetch",
	} {
		got := ownerError(state.File{Path: "state.db"}, err)
		if code, text := exitCodeOf(got), hint(got, false); code != exitTemporary || !strings.Contains(text, want) {
			t.Errorf("%v: exit code %d, hint %q, want %q", err, code, text, want)
		}
	}
}

// The last poll of the old maildrop ends after a reload that has given the account another.
func TestStatusOfAChangedAccountIsNotThatOfItsOldMaildrop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	a := &config.Account{Name: "work"}
	a.User, a.Host = "new", "pop.example.org"
	var current atomic.Pointer[house]
	current.Store(&house{selection: &selection{config: &config.Config{Accounts: []*config.Account{a}}}, log: slog.New(slog.DiscardHandler)})
	o := &owner{house: &current, known: make(map[string]bool), book: status.Open(path)}
	o.note(fetch.Report{Account: "work", Key: state.Key("new", "pop.example.org"), Delivered: 1}, false)
	o.note(fetch.Report{Account: "work", Key: state.Key("old", "pop.example.org"), Delivered: 2}, false)
	if last, ok := o.book.Last("work", state.Key("new", "pop.example.org")); !ok || last.Delivered != 1 {
		t.Errorf("the last poll is %+v, %v", last, ok)
	}
}

func TestErrorKeepsItsClassOnTheWayToTheClient(t *testing.T) {
	for _, class := range []fetch.Class{fetch.Temporary, fetch.Config, fetch.Protocol, fetch.Auth, fetch.Delivery, fetch.Lost, fetch.State} {
		report := fetch.Report{Account: "work", Delivered: 3, Err: &fetch.AccountError{Account: "work", Errs: []error{&fetch.RelayedError{Class: class, Text: "no"}}}}
		got := reportOf(answerOf(report))
		if fetch.Classify(got.Err) != class || got.Delivered != 3 || got.Err.Error() != report.Err.Error() {
			t.Errorf("%v becomes %v, %v", class, fetch.Classify(got.Err), got.Err)
		}
	}
}

// The last polls before a long interval are kept, too, should the daemon be killed in it.
func TestLastPollsAreSavedWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state.db")
		a := &config.Account{Name: "work"}
		a.User, a.Host = "me", "pop.example.org"
		var current atomic.Pointer[house]
		current.Store(&house{selection: &selection{config: &config.Config{Accounts: []*config.Account{a}}}, log: slog.New(slog.DiscardHandler)})
		d := &daemon{pollRun: &pollRun{program: new(program)}, exporter: new(exporter)}
		d.owner = &owner{house: &current, known: make(map[string]bool), book: status.Open(path)}
		d.exporter.owner = d.owner
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		go d.obey(ctx)
		for delivered := range 3 {
			d.owner.note(fetch.Report{Account: "work", Key: maildropKey(a), Delivered: delivered}, false)
		}
		time.Sleep(time.Minute + exportEvery)
		synctest.Wait()
		if last, ok := status.Open(path).Last("work", maildropKey(a)); !ok || last.Delivered != 2 {
			t.Errorf("what is kept is %+v, %v", last, ok)
		}
	})
}
