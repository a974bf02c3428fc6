package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

// One copy in the Maildir cannot stand for two messages: one of them is recorded
// already.
func TestOneCopyInTheMaildirStandsForOneMessage(t *testing.T) {
	one, err := plan.Inspect(bytes.NewReader(pop3test.Text(text(1))))
	if err != nil {
		t.Fatal(err)
	}
	one.Time = time.Now()
	for copies, want := range map[int]int{1: 0, 2: 1} {
		t.Run(fmt.Sprint("copies ", copies), func(t *testing.T) {
			h := newFixture(t, 1, nil)
			twin := message(1)
			twin.UID = "twin"
			h.drop.Add(twin)
			h.account.Policy.MaxMessages = 1
			h.mustPoll()
			have := []plan.Stored{one, one}[:copies]
			found, err := h.account.Relearn(context.Background(), have)
			if found.Learned != want || found.Unknown != 1-want || err != nil {
				t.Errorf("%+v, %v", found, err)
			}
			h.server.Wait()
			if got := h.known()["twin"].Seen(); got != (want == 1) {
				t.Errorf("recorded as delivered: %v", got)
			}
			if r := h.mustPoll(); r.Delivered != 1-want {
				t.Errorf("%+v", r)
			}
		})
	}
}
