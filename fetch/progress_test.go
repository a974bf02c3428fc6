package fetch_test

import (
	"fmt"
	"slices"
	"testing"

	"popfetch/fetch/pop3/pop3test"
)

// progress records its calls.
type progress struct{ calls []string }

func (p *progress) Start(messages int, octets int64) {
	p.calls = append(p.calls, fmt.Sprint("start ", messages, " ", octets))
}

func (p *progress) Received(n int) { p.calls = append(p.calls, "received") }

func (p *progress) End() { p.calls = append(p.calls, "end") }

func TestProgress(t *testing.T) {
	h := newFixture(t, 2, nil)
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
