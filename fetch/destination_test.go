package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

func TestDestinationRefusesOneMessage(t *testing.T) {
	for _, temporary := range []bool{false, true} {
		t.Run(fmt.Sprint("temporary ", temporary), func(t *testing.T) {
			h := newFixture(t, 4, nil)
			h.account.Policy.Delete = true
			h.through(hookedDestination{stage: func(_ context.Context, m deliver.Meta, _ io.Reader) error {
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
			h := newFixture(t, 3, nil)
			h.account.Policy.Delete = true
			h.account.Destination = func(ctx context.Context) (deliver.Destination, error) {
				d, err := h.maildir(ctx)
				return refusesSecond{d, step}, err
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
			h.through(hookedDestination{})
			h.mustPoll()
			h.delivered(1, 2, 3)
			h.onServer()
		})
	}
}

// refusesSecond refuses the second message of a group in one step.
type refusesSecond struct {
	deliver.Destination
	step string
}

func (f refusesSecond) Prepare(ctx context.Context, group []deliver.Staged) []error {
	return f.allBut("Prepare", f.Destination.Prepare, ctx, group)
}

func (f refusesSecond) Publish(ctx context.Context, group []deliver.Staged) []error {
	return f.allBut("Publish", f.Destination.Publish, ctx, group)
}

func (f refusesSecond) allBut(step string, do func(context.Context, []deliver.Staged) []error, ctx context.Context, group []deliver.Staged) []error {
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
			h := newFixture(t, 5, nil)
			h.options.Pipelining = p
			h.account.Policy.Delete = true
			h.through(hookedDestination{stage: func(_ context.Context, m deliver.Meta, _ io.Reader) error {
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
			h.through(hookedDestination{})
			h.mustPoll()
			h.delivered(1, 2, 3, 4, 5)
			h.onServer()
		})
	}
}

func TestPlaceThatFailsAtPrepare(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.account.Policy.Delete = true
	h.through(hookedDestination{prepare: func(g []deliver.Staged) []error { return each(g, refusal(deliver.Place, true)) }})
	_, err := h.poll()
	class(t, err, fetch.Delivery)
	h.delivered()
	h.onServer("u1", "u2", "u3")
	h.through(hookedDestination{})
	h.mustPoll()
	h.delivered(1, 2, 3)
	h.onServer()
}

func TestPlaceThatFailsAtPublish(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.account.Policy.Delete = true
	h.through(hookedDestination{publish: func(g []deliver.Staged) []error { return each(g, refusal(deliver.Place, true)) }})
	_, err := h.poll()
	class(t, err, fetch.Delivery)
	h.onServer("u1", "u2", "u3")
	h.through(hookedDestination{})
	r := h.mustPoll() // recovered, without a download
	h.delivered(1, 2, 3)
	h.onServer()
	h.commands(2, []string{"RETR"})
	if r.Delivered != 3 {
		t.Errorf("%+v", r)
	}
}

// Recovery takes a missing file for a delivered message, so the intent must be
// closed before anything else happens.
func TestStagedMessageThatIsGoneIsFetchedAgain(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.account.Policy.Delete = true
	gone := &deliver.Error{Op: "rename", Path: "mail", Scope: deliver.Message, Temporary: true, Err: deliver.ErrGone}
	h.through(hookedDestination{group: 1, publish: func(g []deliver.Staged) []error {
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

// refusingMDA refuses every message and counts the aborted ones.
type refusingMDA struct {
	*fakeMDA
	aborted atomic.Int32
}

type counted struct {
	mdaMessage
	a *refusingMDA
}

func (a *refusingMDA) Stage(ctx context.Context, m deliver.Meta, r io.Reader) (deliver.Staged, error) {
	s, err := a.fakeMDA.Stage(ctx, m, r)
	if err != nil && m.UID == "u2" {
		return counted{mdaMessage{"half", m.ID}, a}, nil // takes half a message for a whole one
	}
	if err != nil {
		return nil, err
	}
	return counted{s.(mdaMessage), a}, nil
}

func (c counted) Abort() error { c.a.aborted.Add(1); return nil }

func (a *refusingMDA) Publish(ctx context.Context, g []deliver.Staged) []error {
	return each(g, refusal(deliver.Message, true))
}

func TestRefusedMessagesAreGivenUpOnceTheirIntentsAreClosed(t *testing.T) {
	h := newFixture(t, 2, faults(pop3test.Fault{At: "RETR 2", Do: pop3test.Drop, After: 40}))
	a := &refusingMDA{fakeMDA: newFakeMDA()}
	h.account.Destination = func(context.Context) (deliver.Destination, error) { return a, nil }
	h.poll()
	if n := a.aborted.Load(); n != 2 {
		t.Errorf("%d of 2 given up", n)
	}
	if open, err := h.account.Maildrop.Intents(); len(open) > 0 || err != nil {
		t.Errorf("%v %v", open, err)
	}
}

// The destination refuses a group after its intents are recorded, and the state
// fails before it records that: after a restart the intents are still open, and the
// staged files must be there to finish them.
func TestRefusedGroupIsKeptUntilItsIntentsAreClosed(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.through(hookedDestination{publish: func(g []deliver.Staged) []error { return each(g, refusal(deliver.Message, true)) }})
	h.account.Maildrop = &failingMaildrop{Maildrop: h.account.Maildrop, commits: 1, err: errDisk}
	_, err := h.poll()
	class(t, err, fetch.State)
	h.restart()
	h.mustPoll()
	h.delivered(1, 2, 3)
}
