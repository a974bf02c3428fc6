package settle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// record is a destination and a maildrop that records the order of their calls.
// prepare and publish are their errors; commit, unless nil, gets the number of
// the transaction, from 1, and returns its error.
type record struct {
	calls       []string
	group       int
	recoverable bool
	prepare     error
	publish     error
	commit      func(n int) error
	commits     int
}

func (r *record) note(format string, args ...any) {
	r.calls = append(r.calls, fmt.Sprintf(format, args...))
}

func (r *record) Group() int        { return r.group }
func (r *record) Recoverable() bool { return r.recoverable }
func (r *record) Close() error      { return nil }

func (r *record) Stage(context.Context, deliver.Meta, io.Reader) (deliver.Staged, error) {
	return nil, errors.ErrUnsupported
}

func (r *record) Prepare(_ context.Context, group []deliver.Staged) []error {
	r.note("prepare %d", len(group))
	return each(group, r.prepare)
}

func (r *record) Publish(_ context.Context, group []deliver.Staged) []error {
	r.note("publish %d", len(group))
	return each(group, r.publish)
}

func each(group []deliver.Staged, err error) []error {
	if err == nil {
		return nil
	}
	return slices.Repeat([]error{err}, len(group))
}

func (r *record) Commit(c state.Change) error {
	r.commits++
	intents := 0
	for _, e := range c.Put {
		if e.Intent != nil {
			intents++
		}
	}
	r.note("commit %d intents, %d done", intents, len(c.Done))
	if r.commit != nil {
		return r.commit(r.commits)
	}
	return nil
}

type staged struct{ r *record }

func (s staged) Intent() deliver.Intent { return deliver.Intent{Kind: "test"} }
func (s staged) Abort() error           { s.r.note("abort"); return nil }

// deliverAll settles n messages and commits once more, as a poll does. It returns
// the first error.
func (r *record) deliverAll(n int) (*settle.Settler, error) {
	ledger := settle.NewLedger(r, slog.New(slog.DiscardHandler), time.Now)
	s := settle.New(ledger, settle.Options{
		Destination: r, Context: context.Background(), Delete: true, Temporary: func(error) bool { return false },
	})
	for i := range n {
		item := plan.Item{Listed: plan.Listed{Num: i + 1, ID: fmt.Sprint("u", i+1)}}
		s.Add(settle.Member{Item: item, Staged: staged{r}, Seq: i + 1})
	}
	if err := s.SettleRest(); err != nil {
		return s, err
	}
	if err := s.Wait(); err != nil {
		return s, err
	}
	return s, ledger.Commit()
}

var (
	refused = &deliver.Error{Op: "write", Path: "mail", Scope: deliver.Message, Err: errors.New("no")}
	full    = &deliver.Error{Op: "write", Path: "mail", Scope: deliver.Place, Err: errors.New("no space")}
	errDisk = errors.New("input/output error")
)

func TestOrderOfSafety(t *testing.T) {
	failAt := func(n int) func(int) error {
		return func(i int) error {
			if i == n {
				return errDisk
			}
			return nil
		}
	}
	for name, tt := range map[string]struct {
		record    record
		want      []string
		err       error
		removable int
		failed    int
	}{
		"all well": {
			record:    record{group: 2, recoverable: true},
			want:      []string{"prepare 2", "commit 2 intents, 0 done", "publish 2", "prepare 1", "commit 1 intents, 2 done", "publish 1", "commit 0 intents, 1 done"},
			removable: 3,
		},
		"a kind that cannot tell after a crash": {
			record: record{group: 1},
			want: []string{
				"prepare 1", "commit 1 intents, 0 done", "publish 1",
				"prepare 1", "commit 1 intents, 1 done", "publish 1", // the one before is recorded first
				"prepare 1", "commit 1 intents, 1 done", "publish 1", "commit 0 intents, 1 done",
				"commit 0 intents, 0 done",
			},
			removable: 3,
		},
		"messages that cannot be made durable": {
			record: record{group: 3, recoverable: true, prepare: refused},
			want:   []string{"prepare 3", "abort", "abort", "abort", "commit 0 intents, 0 done"},
			failed: 3,
		},
		"intents that are not recorded": {
			record: record{group: 2, recoverable: true, commit: failAt(1)},
			want:   []string{"prepare 2", "commit 2 intents, 0 done", "abort"}, // the third message alone
			err:    errDisk,
		},
		"messages that are refused": {
			record: record{group: 3, recoverable: true, publish: refused},
			want:   []string{"prepare 3", "commit 3 intents, 0 done", "publish 3", "commit 0 intents, 3 done", "abort", "abort", "abort"},
			failed: 3,
		},
		"messages that are refused, and not recorded": {
			record: record{group: 3, recoverable: true, publish: refused, commit: failAt(2)},
			want:   []string{"prepare 3", "commit 3 intents, 0 done", "publish 3", "commit 0 intents, 3 done"},
			err:    errDisk,
			failed: 3,
		},
		"a place that is full": {
			record: record{group: 2, recoverable: true, publish: full},
			want:   []string{"prepare 2", "commit 2 intents, 0 done", "publish 2", "abort"}, // the intents stay open
			err:    full,
			failed: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &tt.record
			s, err := r.deliverAll(3)
			if diff := cmp.Diff(tt.want, r.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v", err, tt.err)
			}
			if len(s.Removable) != tt.removable || s.Failed() != tt.failed || s.Delivered() != tt.removable {
				t.Errorf("%d removable, %d failed, %d delivered", len(s.Removable), s.Failed(), s.Delivered())
			}
			if s.Unsure() != errors.Is(err, errDisk) {
				t.Errorf("unsure %v after %v", s.Unsure(), err)
			}
		})
	}
}

// From a doubtful message on nothing is settled before Trust.
func TestDoubtfulMessageHoldsBackWhatFollows(t *testing.T) {
	r := &record{group: 10, recoverable: true}
	s := settle.New(settle.NewLedger(r, slog.New(slog.DiscardHandler), time.Now), settle.Options{
		Destination: r, Context: t.Context(), Temporary: func(error) bool { return false },
	})
	for seq := 1; seq <= 4; seq++ {
		s.Add(settle.Member{Item: plan.Item{Listed: plan.Listed{Num: seq}}, Staged: staged{r}, Seq: seq, Doubtful: seq == 2 || seq == 3})
	}
	if s.AllSure(4) || !s.InDoubt() {
		t.Error("no doubt")
	}
	if m, ok := s.GiveUp(4); !ok || m.Num != 2 {
		t.Errorf("the first doubtful message is %d, %v", m.Num, ok)
	}
	if diff := cmp.Diff([]string{"abort", "abort", "abort"}, r.calls); diff != "" {
		t.Error(diff)
	}
	if !s.AllSure(4) || s.InDoubt() {
		t.Error("still in doubt")
	}
}

// changes keeps what was committed.
type changes []state.Change

func (c *changes) Commit(change state.Change) error {
	*c = append(*c, change)
	return nil
}

// A receiver that takes each message and never says so would get the message with each
// poll, again and again.
func TestMessageThatMayHaveArrivedIsSetAsideAtLast(t *testing.T) {
	for _, unclear := range []bool{false, true} {
		why := &deliver.Error{Op: "deliver to", Path: "server", Scope: deliver.Message, Temporary: true, Unclear: unclear, Err: errors.New("cut")}
		made := new(changes)
		r := &record{group: 1, publish: why}
		ledger := settle.NewLedger(made, slog.New(slog.DiscardHandler), time.Now)
		s := settle.New(ledger, settle.Options{Destination: r, Context: t.Context(), Temporary: func(error) bool { return true }})
		s.Add(settle.Member{Item: plan.Item{Listed: plan.Listed{Num: 1, ID: "u"}}, Staged: staged{r}, Seq: 1})
		if err := errors.Join(s.SettleRest(), s.Wait(), ledger.Commit()); err != nil {
			t.Fatal(err)
		}
		failures := -1
		for _, c := range *made {
			for _, e := range c.Put {
				failures = e.Record.Failures
			}
		}
		if want := map[bool]int{true: 1, false: 0}[unclear]; failures != want {
			t.Errorf("unclear %v: %d failures count against the message, want %d", unclear, failures, want)
		}
	}
}

// slow is a destination whose first Publish ends when the test says so.
type slow struct {
	*record
	begun, end chan struct{}
}

func (d slow) Publish(ctx context.Context, group []deliver.Staged) []error {
	select {
	case <-d.begun:
	default:
		close(d.begun)
		<-d.end
	}
	return d.record.Publish(ctx, group)
}

// Messages that arrive while a program or a server is busy with one gather, up to 20. Each then
// shares its transaction with the one before: not two a message, but little more than one. And
// still each is recorded before the next one is sent, and the last one at once.
func TestMessagesOfASlowDestinationShareTransactions(t *testing.T) {
	const n = 20
	r := &record{group: 1}
	d := slow{r, make(chan struct{}), make(chan struct{})}
	ledger := settle.NewLedger(r, slog.New(slog.DiscardHandler), time.Now)
	s := settle.New(ledger, settle.Options{Destination: d, Context: t.Context(), Temporary: func(error) bool { return false }})
	for i := range n {
		item := plan.Item{Listed: plan.Listed{Num: i + 1, ID: fmt.Sprint("u", i+1)}}
		s.Add(settle.Member{Item: item, Staged: staged{r}, Seq: i + 1, Octets: 10_000})
		if err := s.SettleFull(i + 1); err != nil {
			t.Fatal(err)
		}
		<-d.begun
	}
	close(d.end)
	if err := errors.Join(s.SettleRest(), s.Wait()); err != nil {
		t.Fatal(err)
	}
	want := []string{"prepare 1", "commit 1 intents, 0 done", "publish 1", "commit 0 intents, 1 done"}
	for i := range n - 1 {
		want = append(want, "prepare 1", fmt.Sprintf("commit 1 intents, %d done", min(i, 1)), "publish 1")
	}
	want = append(want, "commit 0 intents, 1 done")
	if diff := cmp.Diff(want, r.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if r.commits != n+2 {
		t.Errorf("%d transactions for %d messages", r.commits, n)
	}
}
