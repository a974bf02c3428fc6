package fetch_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/mda"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// inCrash is how many messages the server has in the crash tests.
const inCrash = 5

// crash is a kind of account that has to survive a crash.
type crash struct {
	name   string
	delete bool
	group  int // 0 = the destination's own
	mda    bool
	pipe   bool // commands are pipelined
	errors bool // calls fail too
	// outer and drop put something between the poll and the tap.
	outer func(deliver.Destination) deliver.Destination
	drop  func(state.Maildrop) state.Maildrop
}

var crashes = []crash{
	{name: "Maildir, keep", group: 2},
	{name: "Maildir, delete, one by one", delete: true, group: 1},
	{name: "Maildir, delete, groups of two", delete: true, group: 2, errors: true},
	{name: "Maildir, delete, all at once", delete: true},
	{name: "Maildir, delete, pipelined", delete: true, group: 2, pipe: true},
	{name: "MDA, keep", mda: true},
	{name: "MDA, delete", mda: true, delete: true, errors: true},
}

// trial is one fixture that goes through several lives of the process.
type trial struct {
	*fixture
	crash
	*tap
	box *fakeMDA
}

func newTrial(t *testing.T, c crash) *trial {
	t.Helper()
	o := &trial{newFixture(t, inCrash, nil), c, newTap(), newFakeMDA()}
	o.account.Policy.Delete = c.delete
	if c.pipe {
		o.options.Pipelining = pop3.PipelineAuto
	}
	return o
}

// live polls in a new process. The call with number at fails, 0 = none.
func (o *trial) live(at int, w way) (fetch.Report, error) {
	o.t.Helper()
	o.restart()
	if o.mda {
		o.account.Destination = func(context.Context) (deliver.Destination, error) { return o.box, nil }
		o.account.Recover = func(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
			return mda.Recover(ctx, i, time.Now())
		}
	}
	o.life(at, w)
	o.install(o.account, o.outer, o.crash.group)
	if o.crash.drop != nil {
		o.account.Maildrop = o.crash.drop(o.account.Maildrop)
	}
	return o.poll()
}

// check returns what is wrong at the end, given how often the process died.
func (o *trial) check(deaths int) []string {
	wrong := slices.Clone(o.wrong)
	copies := map[string]int{}
	if o.mda {
		maps.Copy(copies, o.box.taken)
	} else {
		for _, m := range o.mail("new") {
			copies[m]++
		}
		if left := o.mail("tmp"); len(left) > 0 {
			wrong = append(wrong, fmt.Sprintf("%d files are left in tmp/", len(left)))
		}
	}
	if o.box.other {
		wrong = append(wrong, "a repeat has another delivery id")
	}
	extra := 0
	for n := 1; n <= inCrash; n++ {
		have := copies[text(n)]
		delete(copies, text(n))
		if have == 0 {
			wrong = append(wrong, fmt.Sprintf("message %d is lost", n))
		}
		extra += max(have, 1) - 1
	}
	if len(copies) > 0 {
		wrong = append(wrong, fmt.Sprintf("mail that nobody sent: %q", slices.Collect(maps.Keys(copies))))
	}
	if extra > deaths || extra > 0 && !o.mda {
		wrong = append(wrong, fmt.Sprintf("%d repeated", extra))
	}
	if open, err := o.store.Maildrop(o.account.Key).Intents(); err != nil || len(open) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d intents are left open: %v", len(open), err))
	}
	left := len(o.fixture.drop.Messages())
	switch {
	case o.delete && left > 0:
		wrong = append(wrong, fmt.Sprintf("%d messages are left on the server", left))
	case !o.delete && (left != inCrash || o.deles > 0):
		wrong = append(wrong, fmt.Sprintf("%d messages on the server, %d DELE", left, o.deles))
	}
	return wrong
}

// failurePoint is a call of a life, from 1, and how it fails.
type failurePoint struct {
	at  int
	way way
}

// liveThrough runs one life for each failure point and then one without. It
// returns what is wrong after that, at which call the last failure was, and
// whether that call was reached.
func liveThrough(t *testing.T, c crash, fates ...failurePoint) (wrong []string, where string, met bool) {
	t.Helper()
	o := newTrial(t, c)
	deaths := 0
	for _, f := range fates {
		_, err := o.live(f.at, f.way)
		met = o.where != ""
		where += fmt.Sprintf("%v %s (call %d); ", f.way, o.where, f.at)
		if met {
			deaths++
		}
		if met && err == nil && o.where != "QUIT" {
			wrong = append(wrong, "no error was reported")
		}
	}
	if _, err := o.live(0, 0); err != nil {
		wrong = append(wrong, fmt.Sprintf("the poll after it: %v", err))
	}
	return append(wrong, o.check(deaths)...), where, met
}

// everywhere makes a trial for each call of a life and each of the ways to fail. It
// returns how many trials there were and how many of them found something wrong.
func everywhere(t *testing.T, c crash, try func(failurePoint) (wrong []string, where string, met bool), all ...way) (trials, failed int) {
	t.Helper()
	for _, w := range all {
		for at := 1; ; at++ {
			var wrong []string
			met := false
			t.Run(fmt.Sprintf("%v-%d", w, at), func(t *testing.T) {
				var where string
				wrong, where, met = try(failurePoint{at, w})
				if len(wrong) > 0 && c.outer == nil && c.drop == nil {
					t.Errorf("%s%s", where, strings.Join(wrong, "; "))
				}
			})
			if !met {
				break
			}
			trials++
			if len(wrong) > 0 {
				failed++
			}
		}
	}
	return trials, failed
}

// The process dies, or a call fails, at every call that a poll makes over its
// boundaries: no message is lost and none comes twice.
func TestCrash(t *testing.T) {
	for _, c := range crashes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := []way{dieBefore, dieAfter}
			if c.errors {
				all = append(all, failBefore, failAfter, refuseOne)
			}
			trials, _ := everywhere(t, c, func(f failurePoint) ([]string, string, bool) { return liveThrough(t, c, f) }, all...)
			t.Logf("%d trials", trials)
			if trials < 80 {
				t.Errorf("only %d trials: the taps are not in place", trials)
			}
		})
	}
}

// The process dies at any call of a poll, and again at any call of the next life.
func TestCrashInTheRecoveryFromACrash(t *testing.T) {
	for _, c := range []crash{crashes[2], crashes[6]} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at += 6 { // the first death: one in each step of a message
				first := failurePoint{at, dieAfter}
				if _, _, met := liveThrough(t, c, first); !met {
					break
				}
				everywhere(t, c, func(f failurePoint) ([]string, string, bool) { return liveThrough(t, c, first, f) }, dieAfter)
			}
		})
	}
}

// publishesInPrepare publishes too early.
type publishesInPrepare struct{ deliver.Destination }

func (h publishesInPrepare) Prepare(ctx context.Context, group []deliver.Staged) []error {
	if errs := h.Destination.Prepare(ctx, group); errs != nil {
		return errs
	}
	return h.Destination.Publish(ctx, group)
}

func (h publishesInPrepare) Publish(context.Context, []deliver.Staged) []error { return nil }

// preparesInPublish makes messages durable too late.
type preparesInPublish struct{ deliver.Destination }

func (l preparesInPublish) Prepare(context.Context, []deliver.Staged) []error { return nil }

func (l preparesInPublish) Publish(ctx context.Context, group []deliver.Staged) []error {
	if errs := l.Destination.Prepare(ctx, group); errs != nil {
		return errs
	}
	return l.Destination.Publish(ctx, group)
}

// recordsOneCommitLate records each intent one transaction too late.
type recordsOneCommitLate struct {
	state.Maildrop
	late []state.Entry
}

func (s *recordsOneCommitLate) Commit(c state.Change) error {
	now := s.late
	s.late = nil
	for _, e := range c.Put {
		if e.Intent == nil {
			now = append(now, e)
			continue
		}
		e.Intent = nil
		s.late = append(s.late, e)
	}
	c.Put = now
	return s.Maildrop.Commit(c)
}

// The tests above must find an order of steps that is not safe.
func TestUnsafeOrdersAreFoundByTheCrashTests(t *testing.T) {
	for _, tt := range []struct {
		crash
		want string
	}{
		{crash{name: "published before it is recorded", group: 2, outer: func(d deliver.Destination) deliver.Destination { return publishesInPrepare{d} }}, "repeated"},
		{crash{name: "recorded before it is durable", group: 2, outer: func(d deliver.Destination) deliver.Destination { return preparesInPublish{d} }}, "before it is durable"},
		{crash{name: "recorded after it is published", group: 2, drop: func(m state.Maildrop) state.Maildrop { return &recordsOneCommitLate{Maildrop: m} }}, "repeated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := false
			everywhere(t, tt.crash, func(f failurePoint) ([]string, string, bool) {
				wrong, where, met := liveThrough(t, tt.crash, f)
				seen = seen || strings.Contains(strings.Join(wrong, "; "), tt.want)
				return wrong, where, met
			}, dieAfter)
			if !seen {
				t.Errorf("no checker said %q", tt.want)
			}
		})
	}
}
