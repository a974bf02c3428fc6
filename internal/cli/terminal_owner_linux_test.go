package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// until reads what the terminal shows until it has text.
func (w *watched) until(t *testing.T, text string) (screen string) {
	t.Helper()
	return w.untilMatch(t, regexp.MustCompile(regexp.QuoteMeta(text)))
}

// untilMatch reads what the terminal shows until a pattern matches.
func (w *watched) untilMatch(t *testing.T, want *regexp.Regexp) (screen string) {
	t.Helper()
	var all strings.Builder
	buffer := make([]byte, 4096)
	for !want.MatchString(all.String()) {
		n, err := w.user.Read(buffer)
		all.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%v; the screen shows %q and not %q", err, all.String(), want)
		}
	}
	return all.String()
}

// daemonIn starts a daemon that ends with the test, and returns when it serves its socket.
func daemonIn(t *testing.T, home string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("popfetch")
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(path)
	daemon.Dir, daemon.Env = home, []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	var log strings.Builder
	daemon.Stderr = &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
		if t.Failed() {
			t.Logf("the daemon says\n%s", &log)
		}
	})
	for range time.Tick(10 * time.Millisecond) {
		if _, err := os.Lstat(filepath.Join(home, ".local", "state", "popfetch", "state.db.sock")); err == nil {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("the daemon makes no socket")
		}
	}
	return daemon
}

// pollAs has the daemon poll, without a terminal.
func pollAs(t *testing.T, daemon *exec.Cmd) {
	t.Helper()
	run := exec.Command(daemon.Path, "--once")
	run.Dir, run.Env = daemon.Dir, daemon.Env
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("popfetch --once: %v\n%s", err, out)
	}
}

// The daemon polls, and the terminal shows it as a run of its own.
func TestProgressOfAPollThatTheDaemonMakes(t *testing.T) {
	t.Parallel()
	s := clearServer(t)
	home := watchedHome(t, s)
	daemon := daemonIn(t, home)
	pollAs(t, daemon)

	mail := s.Users["alice"].Maildrop
	mail.Add(small(2)...)
	shown := make(chan struct{})
	s.SetFaults(pop3test.Fault{At: "RETR", Times: 1, Hook: func() { <-shown }})
	w, start := onTerminal(t, home, "--once", "-v")
	start()
	screen := w.until(t, "0/2")
	expect(t, screen, fmt.Sprintf(`popfetch: the running popfetch \(process %d\) polls\r\n`, daemon.Process.Pid), `popfetch: work: planned plan=`, `work +(\[> +\] +)?0/2`)
	close(shown)
	screen, code := w.end()
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	last := expect(t, screen, `popfetch: work: 2 delivered \([0-9.]+ .*B\)\r\n`)
	if rest := visible(screen[last:]); rest != "" {
		t.Errorf("behind the closing line there is %q", rest)
	}

	// Ctrl-C ends the client, and not the poll.
	mail.Add(small(1)...)
	stopped := make(chan struct{})
	s.SetFaults(pop3test.Fault{At: "RETR", Times: 1, Hook: func() { <-stopped }})
	w, start = onTerminal(t, home, "--once")
	start()
	w.until(t, "0/1")
	if err := w.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	screen, code = w.end()
	close(stopped)
	if code != 130 {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
	expect(t, screen, fmt.Sprintf(`\rpopfetch: the running popfetch \(process %d\) goes on polling; popfetch status shows how it goes\r\n$`, daemon.Process.Pid))
	pollAs(t, daemon) // joins the poll
	if n := len(newIn(filepath.Join(home, "Mail"))); n != 3 {
		t.Errorf("%d messages have arrived", n)
	}
}

// The last line counts the accounts that the daemon has polled, too.
func TestLastLineCountsWhatTheDaemonHasPolled(t *testing.T) {
	t.Parallel()
	s := clearServer(t)
	s.Users["bob"] = &pop3test.User{Password: secret, Maildrop: pop3test.NewMaildrop()}
	home := watchedHome(t, s)
	config, err := os.OpenFile(filepath.Join(home, ".config", "popfetch", "config.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(config, "[account.home]\nserver = %q\nuser = \"bob\"\npassword = %q\ntls = \"none\"\nmaildir = \"~/home\"\n", s.Addr(), secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	config.Close()
	pollAs(t, daemonIn(t, home))
	s.Users["alice"].Maildrop.Add(small(2)...)
	s.Users["bob"].Maildrop.Add(small(1)...)
	screen, code := watch(t, home, "--once")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	expect(t, screen, `popfetch: 2 accounts: 3 delivered \([0-9.]+ .*B\)\r\n$`)
}
