package fetch_test

import (
	"fmt"
	"slices"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
)

// progress records its calls.
type progress struct{ calls []string }

func (p *progress) Start(messages int, octets int64) {
	p.calls = append(p.calls, fmt.Sprint("start ", messages, " ", octets))
}

func (p *progress) Received(n int) { p.calls = append(p.calls, "received") }

func (p *progress) Stage(s fetch.Stage) { p.calls = append(p.calls, fmt.Sprint("stage ", s)) }

func (p *progress) Message() { p.calls = append(p.calls, "message") }

func (p *progress) End() { p.calls = append(p.calls, "end") }

func TestProgressTellsEachStage(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.account.Policy.Delete = true
	p := &progress{}
	h.account.Progress = p
	h.mustPoll()
	calls := slices.Compact(p.calls)
	want := []string{
		"stage 0", "stage 2", "stage 3", fmt.Sprint("start 2 ", 2*len(pop3test.Text(text(1)))),
		"received", "message", "received", "message", "stage 4", "end",
	}
	if !slices.Equal(calls, want) {
		t.Errorf("got %q, want %q", calls, want)
	}
	p.calls = nil
	h.mustPoll()
	if want := []string{"stage 0", "stage 2", "stage 4", "end"}; !slices.Equal(p.calls, want) {
		t.Errorf("got %q where nothing is new, want %q", p.calls, want)
	}
	p.calls = nil
	h.server.Close()
	if _, err := h.account.Poll(t.Context()); err == nil || !slices.Equal(p.calls, []string{"stage 0", "end"}) {
		t.Errorf("%v, got %q from a server that is gone", err, p.calls)
	}
	p.calls = nil
	if err := h.account.Look(t.Context(), nil); err == nil || len(p.calls) > 0 {
		t.Errorf("%v, %q for a look", err, p.calls)
	}
}
