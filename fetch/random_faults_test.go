package fetch_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// chance decides what goes wrong, reproducibly for one seed as far as the
// goroutines allow. Several goroutines may use it.
type chance struct {
	mu  sync.Mutex
	r   *rand.Rand
	off bool // nothing goes wrong any more
}

// hit returns true with probability p, and never once chance is off.
func (c *chance) hit(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.off && c.r.Float64() < p
}

// n returns a number below n.
func (c *chance) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.IntN(n)
}

// yieldSometimes lets other goroutines run first now and then.
func (c *chance) yieldSometimes() {
	if c.hit(.3) {
		for range c.n(2000) {
			runtime.Gosched()
		}
	}
}

// flakyMaildrop is a state.Maildrop whose disk may break. The change that is
// being written then is stored or not.
type flakyMaildrop struct {
	state.Maildrop
	*chance
	mu     sync.Mutex
	broken bool
}

func (s *flakyMaildrop) Commit(change state.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken:
		return errDisk
	case change.Empty() || !s.hit(.03):
		return s.Maildrop.Commit(change)
	case s.hit(.5):
		s.Maildrop.Commit(change)
	}
	s.broken = true
	return errDisk
}

// flakyDestination is a destination whose calls may fail, refuse or panic, before
// or after their effect.
type flakyDestination struct {
	deliver.Destination
	*chance
	group int
}

func (d flakyDestination) Group() int { return d.group }

func (d flakyDestination) Stage(ctx context.Context, m deliver.Meta, r io.Reader) (deliver.Staged, error) {
	switch d.yieldSometimes(); {
	case d.hit(.01):
		return nil, refusal(deliver.Message, true)
	case d.hit(.005):
		return nil, refusal(deliver.Place, true)
	case d.hit(.005):
		panic("in Stage")
	}
	return d.Destination.Stage(ctx, m, r)
}

func (d flakyDestination) Prepare(ctx context.Context, group []deliver.Staged) []error {
	switch d.yieldSometimes(); {
	case d.hit(.02):
		panic("in Prepare")
	case d.hit(.03):
		return each(group, refusal(deliver.Place, true))
	}
	errs := d.Destination.Prepare(ctx, group)
	if errs == nil && d.hit(.1) {
		errs = make([]error, len(group))
		errs[d.n(len(group))] = refusal(deliver.Message, true)
	}
	return errs
}

func (d flakyDestination) Publish(ctx context.Context, group []deliver.Staged) []error {
	switch d.yieldSometimes(); {
	case d.hit(.02):
		panic("before Publish")
	case d.hit(.03):
		return each(group, refusal(deliver.Place, true))
	}
	errs := d.Destination.Publish(ctx, group)
	if d.hit(.02) {
		panic("after Publish")
	}
	return errs
}

// Server, destination and state fail at random. Once they work again, every
// message has arrived, and none twice.
func TestEverythingGoesWrongAtRandom(t *testing.T) {
	seeds := 6
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		seeds = 150
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { stress(t, uint64(seed)) })
	}
}

func stress(t *testing.T, seed uint64) {
	const messages, lives, bad = 40, 40, 25
	c := &chance{r: rand.New(rand.NewPCG(seed, 1))}
	h := newFixture(t, messages, func(s *pop3test.Server) { s.LockWait = 5 * time.Second })
	h.account.Policy.Delete = seed%2 == 0
	group := 1 + c.n(5)
	for life := range lives {
		c.off = life >= bad
		if h.options.Timeout = 300 * time.Millisecond; c.off {
			h.options.Timeout = 20 * time.Second
		}
		h.restart()
		if seed%3 != 0 {
			h.allowFallback()
		}
		h.account.Destination = func(ctx context.Context) (deliver.Destination, error) {
			d, err := h.maildir(ctx)
			return flakyDestination{d, c, group}, err
		}
		h.account.Maildrop = &flakyMaildrop{Maildrop: h.account.Maildrop, chance: c}
		h.server.SetFaults(c.faults(messages)...)
		h.account.Deadline = 0
		if c.hit(.1) {
			h.account.Deadline = time.Duration(1+c.n(60)) * time.Millisecond
		}
		ctx, cancel := context.WithCancel(t.Context())
		if c.hit(.15) {
			time.AfterFunc(time.Duration(c.n(40))*time.Millisecond, cancel)
		}
		_, err := h.account.Poll(ctx)
		cancel()
		h.server.Wait()
		if life == lives-1 && err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		// A message that is gone from the server was delivered.
		have := h.mail("new")
		if len(slices.Compact(slices.Clone(have))) != len(have) {
			t.Fatalf("seed %d, life %d: a message came twice", seed, life)
		}
		for n := 1; n <= messages; n++ {
			if h.drop.Deleted(fmt.Sprintf("u%d", n)) > 0 && !slices.Contains(have, text(n)) {
				t.Fatalf("seed %d, life %d: message %d is deleted and was not delivered", seed, life, n)
			}
		}
	}
	var all []int
	for n := range messages {
		all = append(all, n+1)
	}
	h.delivered(all...)
}

// faults returns faults of the server for one life.
func (c *chance) faults(messages int) (f []pop3test.Fault) {
	kinds := []pop3test.Kind{pop3test.Drop, pop3test.Reset, pop3test.Twice, pop3test.Stall}
	if c.hit(.5) {
		f = append(f, pop3test.Fault{At: fmt.Sprint("RETR ", 1+c.n(messages)), Do: kinds[c.n(len(kinds))], After: int64(c.n(80))})
	}
	if c.hit(.1) {
		at := []string{"AUTH", "UIDL", "LIST", "STAT", "DELE", "QUIT"}
		f = append(f, pop3test.Fault{At: at[c.n(len(at))], Do: kinds[c.n(len(kinds))], After: int64(c.n(20))})
	}
	return f
}
