package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/mda"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

// clock is the time of an account, which only the test moves.
type clock struct{ now time.Time }

func (h *fixture) clock() *clock {
	c := &clock{time.Now().Truncate(time.Second)}
	h.account.Now = func() time.Time { return c.now }
	return c
}

func TestMessageThatIsSetAsideIsTriedAgainByItself(t *testing.T) {
	h := newFixture(t, 2, faults(pop3test.Fault{At: "RETR 2", Do: pop3test.Err, Text: "not now"}))
	c := h.clock()
	tries := func() (n int) {
		for i := range h.drop.Sessions() {
			n += len(slices.DeleteFunc(h.sent(i+1, "RETR"), func(line string) bool { return line != "RETR 2" }))
		}
		return n
	}
	for range 10 {
		h.poll()
	}
	if n := tries(); n != plan.MaxFailures {
		t.Fatalf("tried %d times at first", n)
	}
	var days []int
	for day := 1; day <= 30; day++ {
		c.now = c.now.Add(24 * time.Hour)
		before := tries()
		for range 3 {
			h.poll()
		}
		if n := tries() - before; n > 1 {
			t.Errorf("tried %d times on one day", n)
		} else if n == 1 {
			days = append(days, day)
		}
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 14, 21, 28}; !slices.Equal(days, want) {
		t.Errorf("tried on the days %v, want %v", days, want)
	}
	h.server.SetFaults()
	c.now = c.now.Add(7 * 24 * time.Hour)
	h.mustPoll()
	h.delivered(1, 2)
}

func TestUserIsRemindedOnceADayOfWhatIsSetAside(t *testing.T) {
	h := newFixture(t, 1, nil)
	c := h.clock()
	aside := setAside()
	aside.Failures, aside.Tried = 20, c.now.Add(-24*time.Hour)
	h.put("u1", aside)
	var log bytes.Buffer
	h.account.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	for day := range 5 {
		log.Reset()
		for range 3 {
			if r := h.mustPoll(); r.SetAside != 1 {
				t.Errorf("%+v", r)
			}
		}
		if n := strings.Count(log.String(), "set aside"); n != 1 || !strings.Contains(log.String(), aside.Reason) {
			t.Errorf("day %d: said %d times: %s", day, n, &log)
		}
		c.now = c.now.Add(24*time.Hour - time.Minute)
	}
}

// A program that is missing, or finds its own configuration wrong, has not refused any
// message.
func TestProgramThatDoesNotWorkSetsNothingAside(t *testing.T) {
	for name, script := range map[string]string{"missing": "", "exit 127": "exit 127", "exit 78": "exit 78", "exit 64": "cat >/dev/null; exit 64"} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 2, nil)
			h.account.Policy.Delete = true
			program := filepath.Join(h.dir, "program")
			write := func(script string) {
				os.Remove(program)
				if script == "" {
					return
				}
				if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			m := &mda.MDA{Argv: []string{program}, Spool: h.dir, Env: os.Environ()}
			h.account.Destination = func(context.Context) (deliver.Destination, error) { return m, nil }
			h.account.Recover = func(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
				return mda.Recover(ctx, i, time.Now())
			}
			write(script)
			for range plan.MaxFailures + 2 {
				_, err := h.poll()
				class(t, err, fetch.Delivery)
				if open, err := h.account.Maildrop.Intents(); len(open) > 0 || err != nil {
					t.Errorf("%d intents are open, %v", len(open), err)
				}
			}
			for id, r := range h.known() {
				if r.Failures != 0 || r.Seen() {
					t.Errorf("%s: %+v", id, r)
				}
			}
			h.onServer("u1", "u2")
			write(fmt.Sprintf("cat >> %s/got", h.dir))
			if r := h.mustPoll(); r.Delivered != 2 || r.Deleted != 2 {
				t.Errorf("%+v", r)
			}
			got, err := os.ReadFile(filepath.Join(h.dir, "got"))
			if err != nil || len(got) != len(text(1))+len(text(2)) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// While the program does not work, a poll downloads one message to see whether it works
// again, and not a window of them.
func TestProgramThatDoesNotWorkCostsOneDownloadInEachPoll(t *testing.T) {
	h := newFixture(t, 20, nil)
	program := filepath.Join(h.dir, "program")
	write := func(script string) {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m := &mda.MDA{Argv: []string{program}, Spool: h.dir, Env: os.Environ()}
	h.account.Destination = func(context.Context) (deliver.Destination, error) { return m, nil }
	h.account.Recover = func(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
		return mda.Recover(ctx, i, time.Now())
	}
	retrieved := func() (n int) {
		for _, line := range h.server.SessionCommands(h.server.Sessions()) {
			if strings.HasPrefix(line, "RETR ") {
				n++
			}
		}
		return n
	}
	write("exit 127")
	_, err := h.poll()
	class(t, err, fetch.Delivery)
	for range 3 {
		_, err := h.poll()
		class(t, err, fetch.Delivery)
		if n := retrieved(); n != 1 {
			t.Errorf("%d messages were downloaded", n)
		}
	}
	write("cat >/dev/null")
	for _, want := range []int{20, 0} {
		if r := h.mustPoll(); r.Delivered != want {
			t.Errorf("%+v", r)
		}
	}
}
