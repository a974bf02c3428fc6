package fetch_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
)

// waitLimit is how long a test waits for an event.
const waitLimit = 2 * time.Minute

// waitFor waits until c is closed, at most waitLimit.
func waitFor(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(waitLimit):
		t.Errorf("%s did not happen", what)
	}
}

// A group is received while the one before is made durable, and the other way
// round.
func TestReceivingAndSettlingOverlap(t *testing.T) {
	h := newFixture(t, 6, nil)
	received, prepared := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.through(hookedDestination{
		group: 2,
		stage: func(_ context.Context, m deliver.Meta, _ io.Reader) error {
			switch m.UID {
			case "u3":
				close(received)
			case "u4": // the group before is made durable while this one is on its way
				waitFor(t, prepared, "Prepare beside Stage")
			}
			return nil
		},
		prepare: func([]deliver.Staged) []error {
			waitFor(t, received, "Stage beside Prepare")
			once.Do(func() { close(prepared) })
			return nil
		},
	})
	h.mustPoll()
	h.delivered(1, 2, 3, 4, 5, 6)
}

// Only one group is settled at a time and only one waits, so that a slow disk
// does not fill the memory.
func TestOneGroupAtATime(t *testing.T) {
	h := newFixture(t, 12, nil)
	var mu sync.Mutex
	staged, settled, busy := 0, 0, false
	h.through(hookedDestination{
		group: 2,
		stage: func(context.Context, deliver.Meta, io.Reader) error {
			mu.Lock()
			defer mu.Unlock()
			if staged++; staged-settled > 4 {
				t.Errorf("%d are staged and %d settled", staged, settled)
			}
			return nil
		},
		prepare: func([]deliver.Staged) []error {
			mu.Lock()
			defer mu.Unlock()
			if busy {
				t.Error("a group is prepared before the last one is published")
			}
			busy = true
			return nil
		},
		publish: func(g []deliver.Staged) []error {
			mu.Lock()
			defer mu.Unlock()
			busy = false
			settled += len(g)
			return nil
		},
	})
	h.mustPoll()
	if staged != 12 || settled != 12 {
		t.Errorf("%d staged, %d settled", staged, settled)
	}
}

// Received messages do not wait for one that comes slowly.
func TestMailDoesNotWaitForASlowMessage(t *testing.T) {
	clocked(t, 1, nil, func(t *testing.T, h *fixture) {
		body := strings.Repeat(strings.Repeat("x", 70)+"\n", 20)
		h.drop.Add(pop3test.Message{UID: "slow", Raw: pop3test.Text("From: a@b\n\n" + body)})
		h.server.SetFaults(pop3test.Fault{At: "RETR 2", Do: pop3test.Slow, N: 100, Delay: 400 * time.Millisecond})
		published := make(chan struct{})
		var once sync.Once
		h.through(hookedDestination{group: 100, publish: func(g []deliver.Staged) []error {
			once.Do(func() {
				if len(g) == 1 {
					close(published)
				}
			})
			return nil
		}})
		h.mustPoll()
		waitFor(t, published, "the first message alone")
	})
}

// A panic in the goroutine that settles fails this account only, and nothing is
// deleted.
func TestPanicWhileAGroupIsSettled(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.account.Policy.Delete = true
	h.through(hookedDestination{group: 1, publish: func([]deliver.Staged) []error { panic("a defect") }})
	r, err := h.poll()
	if err == nil || !strings.Contains(fmt.Sprint(err), "a defect") || r.Deleted != 0 {
		t.Errorf("%+v", r)
	}
	h.onServer("u1", "u2", "u3")
	class(t, err, fetch.Temporary)
	h.commands(1, []string{"DELE", "QUIT"})
}
