package fetch_test

import (
	"context"
	"io"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

func TestStopFinishesTheMessageInHand(t *testing.T) {
	// Messages that were asked for are still received and delivered, so that the
	// session stays in step and can delete.
	const window, all = 256, 270
	for name, tt := range map[string]struct {
		pipelining pop3.Pipelining
		delivered  int
	}{"one by one": {pop3.PipelineOff, 2}, "pipelined": {pop3.PipelineAuto, window}} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, all, nil)
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
	h := newFixture(t, 2, nil)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	_, err := h.account.Poll(ctx)
	class(t, err, fetch.Canceled)
	h.delivered()
}

// The connection ends while a message comes that has failed before, but because the
// user stops popfetch: that says nothing about the message.
func TestStopDuringAMessageDoesNotCountAgainstIt(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 1, faults(pop3test.Fault{At: "RETR 1", Do: pop3test.Drop, After: 40}))
			h.options.Pipelining = p
			before := state.Record{Failures: plan.MaxFailures - 1, Reason: "cut before"}
			h.put("u1", before)
			ctx, stop := context.WithCancel(t.Context())
			h.watch(watched{body: func(_ int, r io.Reader) io.Reader { return &atRead{r, stop} }})
			h.account.Poll(ctx)
			h.server.Wait()
			if got := h.known()["u1"]; got != before {
				t.Errorf("%+v, want %+v", got, before)
			}
		})
	}
}
