package fetch_test

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/mda"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// into delivers the mail of the account through p to the fake MDA.
func (h *fixture) into(b *fakeMDA, p hookedDestination) {
	p.Destination = b
	h.account.Destination = func(context.Context) (deliver.Destination, error) { return p, nil }
	h.account.Recover = func(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
		return mda.Recover(ctx, i, time.Now())
	}
}

// Messages of the wrong size wait until no reply is due. Then they must go to the
// program one by one: a crash may leave one intent open, not those of all.
func TestCrashAfterDoubtRepeatsOneMessageOnly(t *testing.T) {
	const all, most = 12, 5
	for _, step := range []string{"Stage", "Prepare", "before Publish", "after Publish", "none"} {
		t.Run(step, func(t *testing.T) {
			h := newFixture(t, all, nil)
			h.options.Pipelining = pop3.PipelineAuto
			h.account.Policy.Delete = true
			h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.WrongOctets, N: 1 << 20})
			b := newFakeMDA()
			calls := 0
			dies := func(at string) {
				if at != step {
					return
				}
				if calls++; calls == most {
					panic("the process ends here")
				}
			}
			h.into(b, hookedDestination{
				stage: func(context.Context, deliver.Meta, io.Reader) error { dies("Stage"); return nil },
				prepare: func(g []deliver.Staged) []error {
					if len(g) != 1 {
						t.Errorf("a group of %d is prepared", len(g))
					}
					dies("Prepare")
					return nil
				},
				publish: func(g []deliver.Staged) []error {
					if len(g) != 1 {
						t.Errorf("a group of %d is published", len(g))
					}
					dies("before Publish")
					b.Publish(context.Background(), g)
					dies("after Publish")
					return make([]error, len(g)) // the box has them: not once more
				},
			})
			if _, err := h.poll(); (err == nil) != (step == "none") {
				t.Errorf("%v", err)
			}
			h.restart()
			h.account.Policy.Delete = true
			h.into(b, hookedDestination{})
			h.mustPoll()
			extra := -all
			for n := range all {
				if b.taken[text(n+1)] == 0 {
					t.Errorf("message %d is lost", n+1)
				}
				extra += b.taken[text(n+1)]
			}
			want := 0
			if step == "after Publish" {
				want = 1 // the one in hand
			}
			if extra != want || b.other {
				t.Errorf("%d repeated, want %d; with another delivery id: %v", extra, want, b.other)
			}
			h.onServer()
		})
	}
}

// That the program has taken a message is recorded before the next one is
// received.
func TestCrashBetweenTwoMessagesRepeatsNone(t *testing.T) {
	h := newFixture(t, 3, nil)
	b := newFakeMDA()
	h.into(b, hookedDestination{stage: func(_ context.Context, m deliver.Meta, _ io.Reader) error {
		if m.UID == "u2" {
			panic("the process ends here")
		}
		return nil
	}})
	h.poll()
	h.open()
	h.restart()
	h.into(b, hookedDestination{})
	h.mustPoll()
	for n := range 3 {
		if got := b.taken[text(n+1)]; got != 1 {
			t.Errorf("message %d was taken %d times", n+1, got)
		}
	}
}

// A destination that puts off several messages in a row is unlikely to take the next
// one: the poll ends instead of downloading all of them.
func TestMessagesPutOffInARowEndThePoll(t *testing.T) {
	const all = 12
	for name, tt := range map[string]struct {
		puts  func(nth int) bool
		tried int // how many are published; one more may have been fetched by then
	}{
		"everything":          {func(int) bool { return true }, 5},
		"all but the first":   {func(n int) bool { return n > 1 }, 6},
		"every second":        {func(n int) bool { return n%2 == 0 }, all},
		"four of five":        {func(n int) bool { return n%5 != 0 }, all},
		"none, but the place": {nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, all, nil)
			h.account.Policy.Delete = true
			nth, refused := 0, 0
			h.through(hookedDestination{group: 1, publish: func(g []deliver.Staged) []error {
				nth++
				switch {
				case tt.puts == nil:
					return each(g, refusal(deliver.Place, true))
				case tt.puts(nth):
					refused++
					return each(g, refusal(deliver.Message, true))
				}
				return nil
			}})
			r, err := h.poll()
			if tt.puts != nil {
				class(t, err, fetch.Temporary)
			}
			if got := len(h.sent(1, "RETR")); got > tt.tried+1 || nth != tt.tried {
				t.Errorf("%d are fetched and %d published, want %d", got, nth, tt.tried)
			}
			if delivered := nth - refused; tt.puts != nil && (r.Delivered != delivered || r.Deleted != delivered || r.Failed != refused) {
				t.Errorf("%+v, %d of %d were put off", r, refused, nth)
			}
			if got := slices.Equal(h.sent(1, "QUIT"), []string{"QUIT"}); !got {
				t.Error("the session was not ended in good order")
			}
			for id, r := range h.known() {
				if r.Failures != 0 {
					t.Errorf("%s: %+v", id, r)
				}
			}
			h.through(hookedDestination{})
			h.mustPoll()
			h.delivered(upTo(all)...)
			h.onServer()
		})
	}
}

// fakeMDA is a destination like an MDA: it counts the messages it takes, has
// groups of 1, and cannot tell after a crash what it has taken.
type fakeMDA struct {
	taken map[string]int
	ids   map[string]string // delivery ids
	other bool              // a repeat had another delivery id
}

func newFakeMDA() *fakeMDA { return &fakeMDA{taken: map[string]int{}, ids: map[string]string{}} }

type mdaMessage struct{ text, id string }

func (b *fakeMDA) Group() int { return 1 }

func (b *fakeMDA) Recoverable() bool { return false }

func (b *fakeMDA) Stage(_ context.Context, m deliver.Meta, r io.Reader) (deliver.Staged, error) {
	octets, err := io.ReadAll(deliver.NewLFReader(r))
	if err != nil {
		return nil, err
	}
	return mdaMessage{string(octets), m.ID}, nil
}

func (b *fakeMDA) Prepare(context.Context, []deliver.Staged) []error { return nil }

func (b *fakeMDA) Publish(_ context.Context, group []deliver.Staged) []error {
	for _, s := range group {
		m := s.(mdaMessage)
		b.taken[m.text]++
		b.other = b.other || b.ids[m.text] != "" && b.ids[m.text] != m.id
		b.ids[m.text] = m.id
	}
	return nil
}

func (b *fakeMDA) Close() error { return nil }

func (s mdaMessage) Intent() deliver.Intent { return deliver.Intent{Kind: mda.Kind, Note: s.id} }

func (s mdaMessage) Abort() error { return nil }
