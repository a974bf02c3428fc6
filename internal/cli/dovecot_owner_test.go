//go:build linux

package cli_test

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testBesideDaemon runs each command beside a daemon, beside one that hangs, and after one
// that was killed.
func testBesideDaemon(t *testing.T, bin executable) {
	d := startDovecot(t, true)
	d.fill(t, alice, 3)
	d.fill(t, "bob", 2)
	h := newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", `interval = "1h"`), d.account("home", "bob", "starttls", "keep = false", `interval = "1h"`))

	daemon := h.command()
	var log bytes.Buffer
	daemon.Stdout, daemon.Stderr = &log, &log
	must(t, daemon.Start())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	t.Cleanup(func() { daemon.Process.Kill() })
	for len(newIn(h.maildir("work"))) < 3 || len(newIn(h.maildir("home"))) < 2 {
		select {
		case err := <-ended:
			t.Fatalf("the daemon ends: %v\n%s", err, &log)
		case <-time.After(10 * time.Millisecond):
		}
	}

	says := func(code int, want string, args ...string) {
		t.Helper()
		cmd := h.command(args...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), want) {
			t.Errorf("popfetch %s exits %d, want %d with %q:\n%s", strings.Join(args, " "), got, code, want, out)
		}
	}
	must(t, d.Deliver("bob", "later", []byte("Subject: later\n\nlater\n")))
	says(0, `"account":"home"`, "--once", "--json", "home")
	if n := len(newIn(h.maildir("home"))); n != 3 {
		t.Errorf("%d messages of bob have arrived", n)
	}
	says(0, "", "--once", "--keep")
	says(0, "work: 3 messages", "list", "work")
	says(0, "state file    ok", "check", "work")
	says(0, "work: 3 messages", "--dry-run", "work")
	says(0, "the daemon is running", "status")
	says(0, "unique-ids", "state", "check")
	says(0, "0 messages to be tried again", "state", "retry", "work")
	says(0, "marked 0 messages", "state", "seed", "work")
	says(0, "forgot 3 unique-ids", "state", "forget", "work")
	says(0, "work", "--once", "--json", "work")
	if n := len(newIn(h.maildir("work"))); n != 6 {
		t.Errorf("%d messages are there after popfetch state forget, want each twice", n)
	}
	for _, command := range []string{"restore", "compact", "rebuild"} {
		says(75, "stop it (systemctl --user stop popfetch, or kill", "state", command)
	}
	says(75, "popfetch --once has it poll now")

	must(t, daemon.Process.Signal(syscall.SIGSTOP))
	says(75, "in use by another popfetch", "--once")
	says(75, "in use by another popfetch", "list")
	says(75, "  work ", "status") // what is known without it
	must(t, daemon.Process.Signal(syscall.SIGCONT))
	says(0, "", "--once")

	must(t, daemon.Process.Kill())
	<-ended
	if _, err := os.Lstat(h.state() + ".sock"); err != nil {
		t.Errorf("a killed daemon leaves no socket: %v", err)
	}
	says(0, "no daemon is running", "status")
	says(0, "", "--once")
	says(0, "work: 3 messages", "list", "work")
	if _, err := os.Lstat(h.state() + ".sock"); err == nil {
		t.Error("the socket of the killed daemon is still there")
	}
}

// newIn returns the names in new/ of a Maildir.
func newIn(maildir string) []os.DirEntry {
	entries, _ := os.ReadDir(maildir + "/new")
	return entries
}
