package fetch_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/maildir"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// leave leaves message n in a Maildir as a crash before Publish would: prepared, with
// its intent recorded.
func (h *fixture) leave(n int, mail string) {
	h.t.Helper()
	ctx := context.Background()
	m := &maildir.Maildir{Path: filepath.Join(h.dir, mail), Owner: "0123456789abcdef", Host: "here"}
	if err := m.Open(); err != nil {
		h.t.Fatal(err)
	}
	defer m.Close()
	msg := message(n)
	staged, err := m.Stage(ctx, deliver.Meta{ID: msg.UID, UID: msg.UID, Time: time.Now()}, strings.NewReader(text(n)))
	if err != nil {
		h.t.Fatal(err)
	}
	if errs := m.Prepare(ctx, []deliver.Staged{staged}); errs != nil {
		h.t.Fatal(errs)
	}
	intent := state.Intent(staged.Intent())
	entry := state.Entry{ID: msg.UID, Record: state.Record{Delivered: time.Now(), Octets: int64(len(msg.Raw))}, Intent: &intent}
	if err := h.account.Maildrop.Commit(state.Change{Put: []state.Entry{entry}}); err != nil {
		h.t.Fatal(err)
	}
}

// makeUnreadable makes a Maildir unreadable for recovery, and returns the function
// that undoes it.
func (h *fixture) makeUnreadable(mail string) (restore func()) {
	h.t.Helper()
	part := filepath.Join(h.dir, mail, "cur")
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	must(os.Rename(part, part+".away"))
	must(os.WriteFile(part, nil, 0o600))
	return func() {
		must(os.Remove(part))
		must(os.Rename(part+".away", part))
	}
}

// remove removes a Maildir.
func (h *fixture) remove(mail string) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.dir, mail)); err != nil {
		h.t.Fatal(err)
	}
}

// open checks that exactly the intents of these ids are open.
func (h *fixture) open(want ...string) {
	h.t.Helper()
	all, err := h.account.Maildrop.Intents()
	if err != nil {
		h.t.Fatal(err)
	}
	var got []string
	for _, o := range all {
		got = append(got, o.ID)
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("intents of %q are open, want %q", got, want)
	}
}

func setAside() state.Record {
	return state.Record{Octets: 100, Failures: plan.MaxFailures, Tried: time.Now(), Reason: "it is broken"}
}

// Stopping `state retry` must not lead to mail being fetched again.
func TestRetryThatWasStoppedForgetsNothing(t *testing.T) {
	for name, prepare := range map[string]func(h *fixture){
		"message set aside":        func(h *fixture) {},
		"delivery not finished":    func(h *fixture) { h.leave(1, "mail") },
		"Maildir that is not here": func(h *fixture) { h.leave(1, "gone"); h.remove("gone") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, nil)
			h.put("u3", setAside())
			prepare(h)
			ctx, stop := context.WithCancel(context.Background())
			stop()
			h.untouched(func() {
				n, err := h.account.Retry(ctx)
				class(t, err, fetch.Canceled)
				if n != 0 {
					t.Errorf("%d messages are tried again", n)
				}
			})
		})
	}
}

func TestRetryFinishesAnIntent(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.leave(1, "mail")
	if n, err := h.account.Retry(context.Background()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	h.delivered(1)
	h.open()
	if r := h.known()["u1"]; !r.Seen() {
		t.Errorf("%+v", r)
	}
	h.mustPoll()
	h.delivered(1, 2)
	h.commands(1, []string{"RETR"}, "RETR 2")
}

func TestRetryForgetsOnlyIntentsWhosePlaceIsGone(t *testing.T) {
	h := newFixture(t, 4, nil)
	h.leave(1, "mail")
	h.leave(2, "gone")
	h.leave(3, "gone")
	h.leave(4, "unreadable")
	h.remove("gone")
	restore := h.makeUnreadable("unreadable")
	_, err := h.account.Retry(context.Background())
	class(t, err, fetch.Delivery)
	h.open("u4")
	known := h.known()
	if len(known) != 2 || !known["u1"].Seen() || !known["u4"].Seen() {
		t.Errorf("%+v", known)
	}
	h.delivered(1)
	restore()
	r := h.mustPoll()
	h.delivered(1, 2, 3)
	h.commands(1, []string{"RETR"}, "RETR 2", "RETR 3")
	if r.Delivered != 3 { // with what waited in the other Maildir
		t.Errorf("%+v", r)
	}
}

func TestRetryCountsWhatItForgets(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.leave(1, "gone")
	h.leave(2, "mail")
	h.remove("gone")
	h.put("u3", setAside())
	if n, err := h.account.Retry(context.Background()); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	h.mustPoll()
	h.delivered(1, 2, 3)
}

// `state retry` ignores a message that is too big: it is not set aside.
func TestRetryLeavesWhatIsTooBig(t *testing.T) {
	h := newFixture(t, 2, nil)
	big := message(3)
	big.Raw = append(big.Raw, bytes.Repeat([]byte("big\r\n"), 300)...)
	h.drop.Add(big)
	h.put("u2", setAside())
	h.account.Policy.MaxOctets = 1000
	if r := h.mustPoll(); r.Delivered != 1 || r.SetAside != 1 || r.Skipped != 2 {
		t.Errorf("%+v", r)
	}
	before := h.known()["u3"]
	if n, err := h.account.Retry(context.Background()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got := h.known()["u3"]; got != before || got.Reason == "" {
		t.Errorf("%+v, it was %+v", got, before)
	}
	h.mustPoll()
	h.delivered(1, 2)
	h.onServer("u1", "u2", "u3")
}

// A finished intent is recorded although a later one cannot be finished:
// otherwise an MDA would get the message again.
func TestFinishedIntentIsClosedBeforeOneThatIsHeld(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.leave(1, "mail")
	h.leave(2, "unreadable")
	restore := h.makeUnreadable("unreadable")
	r, err := h.poll()
	class(t, err, fetch.Delivery)
	if r.Delivered != 1 || h.server.Sessions() != 0 {
		t.Errorf("%+v, %d sessions", r, h.server.Sessions())
	}
	h.open("u2")
	h.delivered(1)
	restore()
	if r := h.mustPoll(); r.Delivered != 1 {
		t.Errorf("%+v", r)
	}
	h.open()
}

// Each run that ends during a message counts as a failure of that message.
func TestMessageThatEndsEveryRunIsSetAside(t *testing.T) {
	h := newFixture(t, 2, nil)
	var attempts []int
	broken := true
	life := func() (fetch.Report, error) {
		h.restart()
		h.account.Policy.Delete = true
		h.account.Recover = func(context.Context, deliver.Intent) (deliver.Outcome, error) { return deliver.Again, nil }
		staged := make(chan string, 2)
		h.through(hookedDestination{group: 1, stage: func(_ context.Context, m deliver.Meta, _ io.Reader) error {
			if staged <- m.UID; m.UID == "u1" {
				attempts = append(attempts, m.Attempt)
			}
			return nil
		}, publish: func([]deliver.Staged) []error {
			if <-staged == "u1" && broken {
				panic("the process ends here")
			}
			return nil
		}})
		return h.poll()
	}
	for range plan.MaxFailures {
		if _, err := life(); err == nil {
			t.Fatal("the process did not end")
		}
		h.open("u1")
	}
	if want := []int{1, 2, 3, 4, 5}; !slices.Equal(attempts, want) {
		t.Errorf("attempts %v, want %v", attempts, want)
	}
	r, err := life()
	if err != nil || r.SetAside != 1 || len(attempts) != plan.MaxFailures {
		t.Errorf("%+v, attempts %v", r, attempts)
	}
	h.onServer("u1") // the other one was not held up
	h.delivered(2)
	if got := h.known()["u1"]; got.Seen() || got.Failures != plan.MaxFailures {
		t.Errorf("%+v", got)
	}
	broken = false
	if n, err := h.account.Retry(context.Background()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := life(); err != nil {
		t.Error(err)
	}
	h.delivered(1, 2)
	h.onServer()
}

// A message that turned out larger than announced is too big although the poll asks for
// no sizes.
func TestWarningOfATooBigMessageHasItsSize(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.mustPoll()
	h.drop.Add(message(3))
	h.put("u3", state.Record{Fingerprint: plan.Fingerprint{1}, Octets: 5000, Reason: "larger than announced"})
	h.account.Policy.MaxOctets = 1000
	var log strings.Builder
	h.account.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.mustPoll()
	if !strings.Contains(log.String(), "octets=5000 max_size=1000") {
		t.Errorf("%s", log.String())
	}
}
