package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/control"
	"popfetch/internal/status"
)

// statusAt is the time of the tests of the status.
var statusAt = time.Date(2026, 11, 26, 18, 0, 0, 0, time.UTC)

// fiftyLines are accounts in every condition.
func fiftyLines() (lines []statusLine) {
	ago := func(d time.Duration) time.Time { return statusAt.Add(-d) }
	for i := range 50 {
		l := statusLine{
			Account: fmt.Sprintf("account-%02d@mail.example.org", i), LastPoll: ago(time.Duration(i) * time.Minute), LastSuccess: ago(time.Duration(i) * time.Minute),
			LastMail: ago(time.Duration(i*i) * time.Hour), NextPoll: statusAt.Add(time.Duration(i) * 7 * time.Second), NextBecause: "interval",
		}
		switch i % 10 {
		case 1:
			l.Delivered = i * 100
		case 2:
			l.Class, l.Error, l.Failures = "temporary", `server said "-ERR [SYS/TEMP] `+strings.Repeat("come back later ", 10)+`"`, 3
			l.NextBecause = "back-off after 3 failures"
		case 3:
			l.Polling, l.NextPoll = ago(95*time.Second), time.Time{}
		case 4:
			l.Waiting, l.SetAside = 12, 3
		case 5:
			l = statusLine{Account: l.Account}
		case 6:
			l.Certificate = statusAt.Add(5 * 24 * time.Hour)
		case 7:
			l.Queued, l.NextPoll = true, time.Time{}
		}
		lines = append(lines, l)
	}
	return lines
}

func TestStatusIsReadableOnNarrowTerminals(t *testing.T) {
	for _, width := range []int{80, 40} {
		var text strings.Builder
		if err := statusTable(&text, width, fiftyLines(), statusAt); err != nil {
			t.Fatal(err)
		}
		t.Logf("at %d columns:\n%s", width, strings.Join(strings.SplitAfter(text.String(), "\n")[:16], ""))
		accounts := 0
		for line := range strings.Lines(text.String()) {
			line = strings.TrimSuffix(line, "\n")
			if w := runewidth.StringWidth(line); w > width {
				t.Errorf("at %d columns a line has %d: %s", width, w, line)
			}
			if strings.HasPrefix(strings.TrimSpace(line), "account-") {
				accounts++
			}
		}
		if accounts != 50 {
			t.Errorf("at %d columns %d of 50 accounts have a line", width, accounts)
		}
	}
}

// A daemon with 2,000 accounts answers popfetch status while a person does not notice
// that it waits.
// A certificate that nobody vouches for is of the class of the protocol, and is understood.
func TestStatusSaysInShortHowAPollFailed(t *testing.T) {
	for class, want := range map[fetch.Class]string{
		fetch.Protocol: "protocol or TLS", fetch.Auth: "login refused", fetch.Lost: "no state", fetch.Temporary: "failed",
	} {
		l := statusLine{Account: "work", LastPoll: statusAt, Class: class.String()}
		if got := l.result(statusAt); got != want {
			t.Errorf("%v: %q, not %q", class, got, want)
		}
	}
}

// A second configuration with the same state file may give another maildrop the same name.
func TestStatusOfAMaildropIsNotThatOfAnotherUnderTheSameName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	of := func(user string) *config.Config {
		a := &config.Account{Name: "work", Enabled: true}
		a.User, a.Host = user, "pop.example.org"
		return &config.Config{State: path, Accounts: []*config.Account{a}}
	}
	book := status.Open(path)
	book.Note(status.Poll{Account: "work", Maildrop: "theirs@pop.example.org", Time: statusAt, Class: "authentication", Error: "wrong"})
	o := &owner{house: new(atomic.Pointer[house]), book: book, info: control.Info{PID: 7, Command: commandDaemon}}
	o.house.Store(&house{selection: &selection{config: of("theirs")}})
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server := control.Start(l, o.info, o)
	defer server.Close()
	for user, want := range map[string]struct{ class, note string }{
		"theirs": {"authentication", "wrong"},
		"mine":   {"", "process 7 has another maildrop under this name"},
	} {
		cfg := of(user)
		lines := map[string]statusLine{"work": {Account: "work"}}
		if _, err := statusOfOwner(t.Context(), &selection{config: cfg, chosen: cfg.Accounts}, lines); err != nil {
			t.Fatal(err)
		}
		if l := lines["work"]; l.Class != want.class || l.note(statusAt) != want.note || (l.Owner == 7) != (user == "theirs") {
			t.Errorf("%s: %+v, %q", user, l, l.note(statusAt))
		}
	}
}

func TestStatusOfTwoThousandAccountsComesAtOnce(t *testing.T) {
	const n = 2000
	path := filepath.Join(t.TempDir(), "state.db")
	cfg := &config.Config{State: path}
	scheduler := &fetch.Scheduler{Parallel: 1, PerHost: 1}
	book := status.Open(path)
	for i := range n {
		a := &config.Account{Name: fmt.Sprintf("account-%d", i), Enabled: true}
		a.User, a.Host = fmt.Sprintf("user%d", i), "pop.example.org"
		cfg.Accounts = append(cfg.Accounts, a)
		scheduler.Accounts = append(scheduler.Accounts, &fetch.Account{Name: a.Name})
		book.Note(status.Poll{Account: a.Name, Maildrop: a.User + "@" + a.Host, Time: statusAt, Class: "temporary", Error: strings.Repeat("no ", 100), Expires: statusAt})
	}
	o := &owner{house: new(atomic.Pointer[house]), scheduler: scheduler, book: book, info: control.Info{PID: 7, Command: commandDaemon}}
	o.house.Store(&house{selection: &selection{config: cfg}})
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server := control.Start(l, o.info, o)
	defer server.Close()

	best := time.Hour // of some, since other tests run meanwhile
	for range 10 {
		begun := time.Now()
		lines := make(map[string]statusLine, n)
		owner, err := statusOfOwner(context.Background(), &selection{config: cfg, chosen: cfg.Accounts}, lines)
		if err != nil || owner.PID != 7 || len(lines) != n {
			t.Fatalf("%d lines of %+v, %v", len(lines), owner, err)
		}
		if l := lines["account-1999"]; l.Class != "temporary" || !l.Queued || !l.Certificate.Equal(statusAt) {
			t.Fatalf("%+v", l)
		}
		best = min(best, time.Since(begun))
	}
	t.Logf("%v for %d accounts", best, n)
	// The promise is 100 ms; the race detector and a busy machine take several times as long.
	if best > time.Second {
		t.Errorf("the status of %d accounts takes %v", n, best)
	}
}
