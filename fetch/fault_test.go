package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

func TestDestinationRefusesOneMessage(t *testing.T) {
	for _, temporary := range []bool{false, true} {
		t.Run(fmt.Sprint("temporary ", temporary), func(t *testing.T) {
			h := newHouse(t, 4, nil)
			h.account.Policy.Delete = true
			h.through(picky{stage: func(_ context.Context, m deliver.Meta, _ io.Reader) error {
				if m.UID == "u2" {
					return refusal(deliver.Message, temporary)
				}
				return nil
			}})
			r, err := h.poll()
			var one *fetch.MessageError
			if !errors.As(err, &one) || one.UID != "u2" || r.Failed != 1 || r.Delivered != 3 || r.Deleted != 3 {
				t.Errorf("%+v", r)
			}
			h.delivered(1, 3, 4)
			h.onServer("u2")
			if got, want := h.known()["u2"].Failures, 1; got != want && !temporary || got != 0 && temporary {
				t.Errorf("%d failures are counted", got)
			}
		})
	}
}

func TestDestinationRefusesOneMessageOfAGroup(t *testing.T) {
	for _, step := range []string{"Prepare", "Publish"} {
		t.Run(step, func(t *testing.T) {
			h := newHouse(t, 3, nil)
			h.account.Policy.Delete = true
			h.account.Destination = func(ctx context.Context) (deliver.Destination, error) {
				d, err := h.maildir(ctx)
				return fussy{d, step}, err
			}
			r, err := h.poll()
			class(t, err, fetch.Delivery)
			if r.Delivered != 2 || r.Deleted != 2 || r.Failed != 1 {
				t.Errorf("%+v", r)
			}
			h.delivered(1, 3)
			h.onServer("u2")
			if got := h.known()["u2"]; got.Seen() || got.Failures != 1 {
				t.Errorf("%+v", got)
			}
			h.through(picky{})
			h.mustPoll()
			h.delivered(1, 2, 3)
			h.onServer()
		})
	}
}

// fussy refuses the second message of a group at one step.
type fussy struct {
	deliver.Destination
	step string
}

func (f fussy) Prepare(ctx context.Context, group []deliver.Staged) []error {
	return f.allBut("Prepare", f.Destination.Prepare, ctx, group)
}

func (f fussy) Publish(ctx context.Context, group []deliver.Staged) []error {
	return f.allBut("Publish", f.Destination.Publish, ctx, group)
}

func (f fussy) allBut(step string, do func(context.Context, []deliver.Staged) []error, ctx context.Context, group []deliver.Staged) []error {
	if f.step != step || len(group) < 2 {
		return do(ctx, group)
	}
	errs := make([]error, len(group))
	if others := do(ctx, slices.Delete(slices.Clone(group), 1, 2)); others != nil {
		return others
	}
	errs[1] = refusal(deliver.Message, false)
	return errs
}

func TestPlaceThatFailsStopsTheAccount(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 5, nil)
			h.options.Pipelining = p
			h.account.Policy.Delete = true
			h.through(picky{stage: func(_ context.Context, m deliver.Meta, _ io.Reader) error {
				if m.UID == "u3" {
					return refusal(deliver.Place, true)
				}
				return nil
			}})
			r, err := h.poll()
			class(t, err, fetch.Delivery)
			h.delivered(1, 2)
			if r.Delivered != 2 || r.Failed != 0 {
				t.Errorf("%+v", r)
			}
			if p == pop3.PipelineOff {
				h.commands(1, []string{"RETR", "DELE", "QUIT"}, "RETR 1", "RETR 2", "RETR 3", "DELE 1", "DELE 2", "QUIT")
				h.onServer("u3", "u4", "u5")
			}
			h.through(picky{})
			h.mustPoll()
			h.delivered(1, 2, 3, 4, 5)
			h.onServer()
		})
	}
}

func TestPlaceThatFailsAtPrepare(t *testing.T) {
	h := newHouse(t, 3, nil)
	h.account.Policy.Delete = true
	h.through(picky{prepare: func(g []deliver.Staged) []error { return each(g, refusal(deliver.Place, true)) }})
	_, err := h.poll()
	class(t, err, fetch.Delivery)
	h.delivered()
	h.onServer("u1", "u2", "u3")
	h.through(picky{})
	h.mustPoll()
	h.delivered(1, 2, 3)
	h.onServer()
}

func TestPlaceThatFailsAtPublish(t *testing.T) {
	h := newHouse(t, 3, nil)
	h.account.Policy.Delete = true
	h.through(picky{publish: func(g []deliver.Staged) []error { return each(g, refusal(deliver.Place, true)) }})
	_, err := h.poll()
	class(t, err, fetch.Delivery)
	h.onServer("u1", "u2", "u3")
	h.through(picky{})
	r := h.mustPoll() // recovered, without a download
	h.delivered(1, 2, 3)
	h.onServer()
	h.commands(2, []string{"RETR"})
	if r.Delivered != 3 {
		t.Errorf("%+v", r)
	}
}

// Recover takes a file that is gone for a delivered one, so the intent must be
// closed before anything else can happen.
func TestStagedMessageThatIsGoneIsFetchedAgain(t *testing.T) {
	h := newHouse(t, 2, nil)
	h.account.Policy.Delete = true
	gone := &deliver.Error{Op: "rename", Path: "mail", Scope: deliver.Message, Temporary: true, Err: deliver.ErrGone}
	h.through(picky{group: 1, publish: func(g []deliver.Staged) []error {
		for _, s := range g {
			s.Abort() // somebody cleans tmp/
		}
		return each(g, gone)
	}, stage: func(_ context.Context, m deliver.Meta, _ io.Reader) error {
		if m.UID == "u2" {
			panic("the process ends here")
		}
		return nil
	}})
	h.poll()
	h.delivered()
	h.restart()
	h.mustPoll()
	h.delivered(1, 2)
	h.onServer()
}

// abortable refuses everything and counts what is given up.
type abortable struct {
	*box
	aborted atomic.Int32
}

type counted struct {
	boxed
	a *abortable
}

func (a *abortable) Stage(ctx context.Context, m deliver.Meta, r io.Reader) (deliver.Staged, error) {
	s, err := a.box.Stage(ctx, m, r)
	if err != nil && m.UID == "u2" {
		return counted{boxed{"half", m.ID}, a}, nil // takes half a message for a whole one
	}
	if err != nil {
		return nil, err
	}
	return counted{s.(boxed), a}, nil
}

func (c counted) Abort() error { c.a.aborted.Add(1); return nil }

func (a *abortable) Publish(ctx context.Context, g []deliver.Staged) []error {
	return each(g, refusal(deliver.Message, true))
}

func TestRefusedMessagesAreGivenUpOnceTheirIntentsAreClosed(t *testing.T) {
	h := newHouse(t, 2, faults(pop3test.Fault{At: "RETR 2", Do: pop3test.Drop, After: 40}))
	a := &abortable{box: newBox()}
	h.account.Destination = func(context.Context) (deliver.Destination, error) { return a, nil }
	h.poll()
	if n := a.aborted.Load(); n != 2 {
		t.Errorf("%d of 2 given up", n)
	}
	if open, err := h.account.Maildrop.Intents(); len(open) > 0 || err != nil {
		t.Errorf("%v %v", open, err)
	}
}

func TestStateThatFailsStopsBeforeAnyDelete(t *testing.T) {
	for n := range 2 {
		h := newHouse(t, 4, nil)
		h.account.Policy.Delete = true
		h.through(picky{group: 2})
		h.account.Maildrop = &forgetful{Maildrop: h.account.Maildrop, commits: n, err: errDisk}
		_, err := h.poll()
		class(t, err, fetch.State)
		h.commands(1, []string{"DELE", "QUIT"})
		h.onServer("u1", "u2", "u3", "u4")
		if got := len(h.mail("new")); got != 2*n {
			t.Errorf("%d messages are in new/, %d are recorded", got, 2*n)
		}
		h.restart()
		h.mustPoll()
		h.delivered(1, 2, 3, 4)
		h.onServer()
	}
}

func TestStateThatCannotBeRead(t *testing.T) {
	for name, f := range map[string]forgetful{"Scan": {scan: errDisk}, "Intents": {intents: errDisk}} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 1, nil)
			f.Maildrop = h.account.Maildrop
			h.account.Maildrop = &f
			_, err := h.poll()
			class(t, err, fetch.State)
			if !errors.Is(err, errDisk) {
				t.Errorf("%v", err)
			}
			h.delivered()
		})
	}
}

func TestAccountIsHeldWhereRecoverCannotTell(t *testing.T) {
	h := newHouse(t, 1, nil)
	h.put("u1", state.Record{Delivered: time.Now(), Octets: 1})
	err := h.account.Maildrop.Commit(state.Change{Put: []state.Entry{{ID: "u1", Record: h.known()["u1"], Intent: &state.Intent{Kind: "maildir", Note: "{}"}}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.poll()
	class(t, err, fetch.Delivery)
	if h.server.Sessions() != 0 {
		t.Error("it went to the server")
	}
	if open, _ := h.account.Maildrop.Intents(); len(open) != 1 {
		t.Error("the intent is closed")
	}
}

func TestPanicBecomesAnError(t *testing.T) {
	for name, p := range map[string]picky{
		"Stage":   {stage: func(context.Context, deliver.Meta, io.Reader) error { panic("ouch") }},
		"Publish": {publish: func([]deliver.Staged) []error { panic("ouch") }},
		"Close":   {close: func() { panic("ouch") }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 2, nil)
			h.account.Policy.Delete = true
			h.through(p)
			_, err := h.poll()
			class(t, err, fetch.Temporary)
			if err == nil || !strings.Contains(err.Error(), "ouch") {
				t.Errorf("%v", err)
			}
			if name != "Close" {
				h.commands(1, []string{"DELE", "QUIT"})
			}
			h.through(picky{})
			h.mustPoll()
			h.delivered(1, 2)
		})
	}
}

func TestStopFinishesTheMessageInHand(t *testing.T) {
	// What has been asked for is received and delivered too, so that the
	// deletions can be done.
	const window, all = 1 + 256, 270
	for name, tt := range map[string]struct {
		pipelining pop3.Pipelining
		delivered  int
	}{"one by one": {pop3.PipelineOff, 2}, "pipelined": {pop3.PipelineAuto, window}} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, all, nil)
			h.options.Pipelining = tt.pipelining
			h.account.Policy.Delete = true
			ctx, stop := context.WithCancel(context.Background())
			h.watch(watched{body: func(num int, r io.Reader) io.Reader {
				if num == 2 {
					return &atRead{r, stop}
				}
				return r
			}})
			_, err := h.account.Poll(ctx)
			h.server.Wait()
			h.delivered(upTo(tt.delivered)...)
			class(t, err, fetch.Canceled)
			if left := len(h.drop.Messages()); left != all-tt.delivered {
				t.Errorf("%d messages are left on the server", left)
			}
			h.mustPoll()
			h.delivered(upTo(all)...)
			h.onServer()
		})
	}
}

func TestStopBeforeTheFirstMessage(t *testing.T) {
	h := newHouse(t, 2, nil)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	_, err := h.account.Poll(ctx)
	class(t, err, fetch.Canceled)
	h.delivered()
}

// progress notes what it is told.
type progress struct{ calls []string }

func (p *progress) Start(messages int, octets int64) {
	p.calls = append(p.calls, fmt.Sprint("start ", messages, " ", octets))
}
func (p *progress) Received(n int) { p.calls = append(p.calls, "received") }
func (p *progress) End()           { p.calls = append(p.calls, "end") }

func TestProgress(t *testing.T) {
	h := newHouse(t, 2, nil)
	p := &progress{}
	h.account.Progress = p
	h.mustPoll()
	want := fmt.Sprint("start 2 ", 2*len(pop3test.Text(text(1))))
	if len(p.calls) < 3 || p.calls[0] != want || p.calls[len(p.calls)-1] != "end" || !slices.Contains(p.calls, "received") {
		t.Errorf("%q, want %q first", p.calls, want)
	}
	p.calls = nil
	h.mustPoll()
	if len(p.calls) > 0 {
		t.Errorf("%q where nothing is new", p.calls)
	}
}

// upTo is 1 to n.
func upTo(n int) []int {
	nums := make([]int, n)
	for i := range nums {
		nums[i] = i + 1
	}
	return nums
}
