package fetch_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

func TestPollDeliversOnceAndThenWritesNothing(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 40, nil)
			h.options.Pipelining = p
			var all []int
			for n := range 40 {
				all = append(all, n+1)
			}
			r := h.mustPoll()
			h.delivered(all...)
			if r.Listed != 40 || r.Delivered != 40 || r.Seen != 0 || r.Octets == 0 || r.Account != "test" {
				t.Errorf("%+v", r)
			}
			h.mustPoll() // records that the last intents are done, where the first did not
			h.untouched(func() {
				r := h.mustPoll()
				if r.Delivered != 0 || r.Seen != 40 || r.Octets != 0 {
					t.Errorf("%+v", r)
				}
			})
			h.commands(2, effects, "QUIT")
			h.delivered(all...)
			h.restart()
			h.mustPoll()
			h.delivered(all...)
		})
	}
}

func TestPollTakesOneTransactionMore(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.mustPoll()
	if open, err := h.account.Maildrop.Intents(); err != nil || len(open) > 0 {
		t.Errorf("%d intents are open after the poll: %v", len(open), err)
	}
	h.untouched(func() { h.mustPoll() })
}

func TestPollKeepsOrDeletes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy plan.Policy
		want   []string
	}{
		{"keep", plan.Policy{}, []string{"QUIT"}},
		{"delete", plan.Policy{Delete: true}, []string{"DELE 1", "DELE 2", "QUIT"}},
		{"delete later", plan.Policy{Delete: true, After: time.Hour}, []string{"QUIT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newFixture(t, 2, nil)
			h.account.Policy = tt.policy
			r := h.mustPoll()
			h.delivered(1, 2)
			h.commands(1, []string{"DELE", "QUIT"}, tt.want...)
			left := []string{"u1", "u2"}
			if len(tt.want) > 1 {
				left = nil
			}
			h.onServer(left...)
			if r.Deleted != 2-len(left) {
				t.Errorf("%d deleted", r.Deleted)
			}
		})
	}
}

func TestPollDeletesWhatWasDeliveredLongAgo(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.mustPoll()
	old := h.known()["u2"]
	old.Observed -= 25 * time.Hour
	h.put("u2", old)
	h.account.Policy = plan.Policy{Delete: true, After: 24 * time.Hour}
	r := h.mustPoll()
	h.onServer("u1", "u3")
	h.delivered(1, 2, 3)
	if r.Deleted != 1 || r.Seen != 3 || r.Delivered != 0 {
		t.Errorf("%+v", r)
	}
}

func TestSwitchFromKeepToDeleteTouchesOnlyWhatWasDelivered(t *testing.T) {
	h := newFixture(t, 3, faults(pop3test.Fault{At: "RETR 3", Do: pop3test.Err, Text: "no"}))
	h.drop.Add(pop3test.Message{UID: "big", Raw: pop3test.Text(text(4) + text(4) + text(4))})
	h.account.Policy = plan.Policy{MaxOctets: int64(len(text(1)) * 2)}
	h.poll()
	h.delivered(1, 2)
	h.account.Policy.Delete = true
	h.poll()
	h.commands(2, []string{"DELE"}, "DELE 1", "DELE 2")
	h.onServer("u3", "big")
	h.delivered(1, 2)
}

func TestDeleteComesAfterTheDelivery(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.account.Policy.Delete = true
	called := false
	h.watch(watched{dele: func(nums []int) {
		called = true
		if diff := cmp.Diff([]int{1, 2, 3}, nums); diff != "" {
			t.Error(diff)
		}
		h.delivered(1, 2, 3)
		if known := h.known(); len(known) != 3 {
			t.Errorf("%d messages are recorded", len(known))
		}
	}})
	h.mustPoll()
	h.onServer()
	if !called {
		t.Error("nothing was deleted")
	}
}

func TestCutInABodyIsMadeGoodByTheNextPoll(t *testing.T) {
	for _, after := range []int64{0, 1, pop3test.AfterStatus, 40, 60} {
		h := newFixture(t, 3, faults(pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Drop, After: after}))
		h.account.Policy.Delete = true
		_, err := h.poll()
		class(t, err, fetch.Temporary)
		h.delivered(1)
		h.commands(1, []string{"DELE", "QUIT"})
		h.onServer("u1", "u2", "u3")
		r := h.mustPoll()
		h.delivered(1, 2, 3)
		h.commands(2, []string{"RETR"}, "RETR 3", "RETR 2")
		h.onServer()
		if r.Delivered != 2 || r.Deleted != 3 {
			t.Errorf("%+v", r)
		}
	}
}

func TestMessageThatCutsEveryConnectionHoldsUpNoOther(t *testing.T) {
	h := newFixture(t, 4, faults(pop3test.Fault{At: "RETR 1", Do: pop3test.Reset, After: 30}))
	h.poll()
	h.delivered()
	_, err := h.poll()
	class(t, err, fetch.Temporary)
	h.delivered(2, 3, 4)
	h.drop.Add(message(5))
	h.poll()
	h.delivered(2, 3, 4, 5)
}

func TestMessageThatOutlivesTheDeadlineHoldsUpNoOther(t *testing.T) {
	clocked(t, 3, faults(pop3test.Fault{At: "RETR 1", Do: pop3test.Stall, After: 30}), func(t *testing.T, h *fixture) {
		h.account.Deadline = time.Second
		_, err := h.poll()
		class(t, err, fetch.Temporary)
		h.delivered()
		h.commands(1, []string{"DELE", "QUIT"})
		h.poll()
		h.delivered(2, 3)
	})
}

func TestDeadlineBetweenTwoMessagesIsAnError(t *testing.T) {
	clocked(t, 3, nil, func(t *testing.T, h *fixture) {
		h.account.Deadline = 500 * time.Millisecond
		life := make(chan context.Context, 3)
		h.through(hookedDestination{group: 1, stage: func(ctx context.Context, _ deliver.Meta, _ io.Reader) error {
			life <- ctx
			return nil
		}, publish: func([]deliver.Staged) []error {
			<-(<-life).Done()
			return nil
		}})
		_, err := h.poll()
		if err == nil {
			t.Fatal("no error though a message was not fetched")
		}
		class(t, err, fetch.Temporary)
		h.delivered(1, 2) // the second was received while the first was published
		h.commands(1, []string{"DELE", "QUIT"})
	})
}

func TestServerRefusesOneMessage(t *testing.T) {
	h := newFixture(t, 3, faults(pop3test.Fault{At: "RETR 2", Do: pop3test.Err, Text: "it is broken"}))
	h.account.Policy.Delete = true
	for n := range plan.MaxFailures {
		r, err := h.poll()
		if err == nil || r.Failed != 1 || r.SetAside != 0 {
			t.Fatalf("poll %d: %+v", n+1, r)
		}
		h.server.SetFaults(pop3test.Fault{At: "RETR 1", Do: pop3test.Err, Text: "it is broken"})
	}
	h.delivered(1, 3)
	h.onServer("u2")
	r := h.mustPoll()
	if r.SetAside != 1 || r.Skipped != 1 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	if got := h.known()["u2"]; got.Failures != plan.MaxFailures || got.Seen() || got.Reason == "" {
		t.Errorf("%+v", got)
	}
}

func TestRefusalForTheMomentDoesNotCount(t *testing.T) {
	h := newFixture(t, 1, faults(pop3test.Fault{At: "RETR", Do: pop3test.Err, Text: "[SYS/TEMP] later"}))
	for range plan.MaxFailures + 1 {
		h.poll()
	}
	h.server.SetFaults()
	h.mustPoll()
	h.delivered(1)
}

func TestMaxSizeByTheListing(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.drop.Add(pop3test.Message{UID: "big", Raw: pop3test.Text(text(4) + text(4) + text(4))})
	h.account.Policy = plan.Policy{MaxOctets: int64(len(text(1)) * 2), Delete: true}
	r := h.mustPoll()
	h.delivered(1, 2)
	h.onServer("big")
	if r.Skipped != 1 || r.Delivered != 2 {
		t.Errorf("%+v", r)
	}
	h.mustPoll()
	h.untouched(func() { h.mustPoll() }) // it is said and recorded once
	h.account.Policy.MaxOctets = 0
	h.mustPoll()
	h.onServer()
}

func TestMaxSizeByWhatComes(t *testing.T) {
	h := newFixture(t, 1, faults(pop3test.Fault{At: "", Do: pop3test.WrongOctets, N: 10}))
	h.drop.Add(pop3test.Message{UID: "big", Raw: bigText(300 << 10)}, message(3))
	h.account.Policy = plan.Policy{MaxOctets: 1000, Delete: true}
	r, err := h.poll()
	if err == nil || r.Failed != 1 {
		t.Errorf("%+v", r)
	}
	h.delivered(1)
	h.commands(1, []string{"DELE", "QUIT"})
	h.mustPoll()
	h.delivered(1, 3)
	h.onServer("big")
	if n := h.drop.Retrieved("big"); n != 1 {
		t.Errorf("it was retrieved %d times", n)
	}
}

func bigText(octets int) []byte {
	return slices.Repeat([]byte("Subject: big\r\n"), octets/14)
}

func TestMaxMessages(t *testing.T) {
	h := newFixture(t, 5, nil)
	h.account.Policy.MaxMessages = 2
	r := h.mustPoll()
	h.delivered(1, 2)
	if r.Skipped != 3 {
		t.Errorf("%+v", r)
	}
	h.mustPoll()
	h.mustPoll()
	h.delivered(1, 2, 3, 4, 5)
}

func TestReaderTakesMailBetweenThePolls(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.mustPoll()
	if err := os.RemoveAll(filepath.Join(h.dir, "mail", "new")); err != nil {
		t.Fatal(err)
	}
	h.drop.Add(message(3))
	h.mustPoll()
	h.delivered(3)
}

func TestLookChangesNothing(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.mustPoll()
	h.drop.Add(message(4))
	h.account.Policy.Delete = true
	h.untouched(func() {
		err := h.account.Look(context.Background(), func(s fetch.Session, listing *plan.Listing, todo plan.Plan) error {
			want := []plan.Verdict{plan.Due, plan.Due, plan.Due, plan.Fresh}
			if diff := cmp.Diff(want, todo.Verdicts); diff != "" || listing.Len() != 4 || listing.At(3).Octets < 0 {
				t.Errorf("%d messages %s", listing.Len(), diff)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	h.server.Wait()
	h.commands(2, []string{"RETR", "DELE", "QUIT"}, "QUIT")
	h.onServer("u1", "u2", "u3", "u4")
}

func TestMessagesOfAllShapes(t *testing.T) {
	h := newFixture(t, 0, nil)
	var want []string
	for _, octets := range []string{
		"", "\r\n", ".\r\n", "..\r\n.\r\n", "no header\r\n", "\r\nno header\r\n\r\nat all\r\n",
		"A: b\r\n\r\n\x00\xff\r\rlone\nlone\r\r\n\r\n", strings.Repeat("x", 200_000) + "\r\n",
		"From here\r\n+OK\r\n-ERR\r\n.\n\n.\n\r\n",
	} {
		h.drop.Add(pop3test.Message{Raw: []byte(octets)})
		want = append(want, strings.ReplaceAll(octets, "\r\n", "\n"))
	}
	h.account.Policy.Delete = true
	h.mustPoll()
	h.deliveredTexts(want...)
	h.onServer()
}

func TestStampStandsInFront(t *testing.T) {
	h := newFixture(t, 1, nil)
	var meta deliver.Meta
	h.account.Stamp = func(m deliver.Meta) string {
		meta = m
		return "Received: x\n"
	}
	h.mustPoll()
	h.deliveredTexts("Received: x\n" + text(1))
	if meta.UID != "u1" || meta.Account != "test" || meta.User != "me" || meta.Attempt != 1 || len(meta.ID) != 32 || meta.Time.IsZero() {
		t.Errorf("%+v", meta)
	}
}

func TestPanicBecomesAnError(t *testing.T) {
	for name, p := range map[string]hookedDestination{
		"Stage":   {stage: func(context.Context, deliver.Meta, io.Reader) error { panic("ouch") }},
		"Publish": {publish: func([]deliver.Staged) []error { panic("ouch") }},
		"Close":   {close: func() { panic("ouch") }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 2, nil)
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
			h.through(hookedDestination{})
			h.mustPoll()
			h.delivered(1, 2)
		})
	}
}
