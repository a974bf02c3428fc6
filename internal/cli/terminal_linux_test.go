package cli_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/ptytest"
)

// watched is a run of popfetch with a terminal for its output.
type watched struct {
	*exec.Cmd
	user *os.File
}

// onTerminal prepares a run that the caller starts.
func onTerminal(t *testing.T, home string, args ...string) (w *watched, start func()) {
	t.Helper()
	user, terminal := ptytest.Open(t, 100)
	path, err := exec.LookPath("popfetch")
	if err != nil {
		t.Fatal(err)
	}
	w = &watched{exec.Command(path, args...), user}
	w.Dir, w.Stdout, w.Stderr = home, terminal, terminal
	w.Env = []string{"HOME=" + home, "TERM=xterm", "PATH=" + os.Getenv("PATH")}
	return w, func() {
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		terminal.Close() // the program alone holds it now: the screen ends with the program
	}
}

// end waits for the end of the run and returns what the terminal shows, and
// the exit code.
func (w *watched) end() (screen string, code int) {
	text, _ := io.ReadAll(w.user)
	w.Wait()
	return string(text), w.ProcessState.ExitCode()
}

// trickle listens in front of a server. What comes from that, 50,000 octets aside, it passes
// on slowly until shown is closed. It returns its address.
func trickle(t *testing.T, server string, shown <-chan struct{}) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	pass := func(client net.Conn) {
		defer client.Close()
		far, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		go func() {
			defer far.Close()
			io.Copy(far, client)
		}()
		io.CopyN(client, far, 50_000)
		for slow := true; slow; {
			select {
			case <-shown:
				slow = false
			case <-time.After(10 * time.Millisecond):
				_, err := io.CopyN(client, far, 10)
				slow = err == nil
			}
		}
		io.Copy(client, far)
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go pass(client)
		}
	}()
	return l.Addr().String()
}

// watch runs popfetch with a terminal for its output, and returns what is
// on the terminal and the exit code.
func watch(t *testing.T, home string, args ...string) (screen string, code int) {
	t.Helper()
	w, start := onTerminal(t, home, args...)
	start()
	return w.end()
}

// watchedHome is the home of a user with an account of alice's mail.
func watchedHome(t *testing.T, s *pop3test.Server) string {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, ".config", "popfetch")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[account.work]\nserver = %q\nuser = \"alice\"\npassword = %q\ntls = \"none\"\nmaildir = \"~/Mail\"\n", s.Addr(), secret)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

func clearServer(t *testing.T, messages ...pop3test.Message) *pop3test.Server {
	t.Helper()
	s := &pop3test.Server{
		Security: pop3test.ClearText,
		Users:    map[string]*pop3test.User{"alice": {Password: secret, Maildrop: pop3test.NewMaildrop(messages...)}},
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// On a terminal there is progress while a message arrives, and a closing line.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	big := pop3test.Text("Subject: big\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 2000))
	s := clearServer(t, pop3test.Message{Raw: big}, pop3test.Message{Raw: pop3test.Text("Subject: small\n\nHello.\n")})
	home := watchedHome(t, s)

	line := regexp.MustCompile(`work  \[=+> *\] +0/2 +[0-9.]+ of 140\.[0-9] KiB +[0-9]+% +[0-9.]+ (KiB|B)/s`)
	shown := make(chan struct{})
	through := trickle(t, s.Addr(), shown)
	config := filepath.Join(home, ".config", "popfetch", "config.toml")
	text, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, []byte(strings.Replace(string(text), s.Addr(), through, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w, start := onTerminal(t, home, "--once")
	start()
	before := w.untilMatch(t, line)
	close(shown)
	rest, code := w.end()
	screen := before + rest
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	last := expect(t, screen, line.String(), `popfetch: work: 2 delivered \(140\.[0-9] KiB\)\r?\n`)
	if regexp.MustCompile(`\x1b\[[0-9;]*m`).MatchString(screen) {
		t.Errorf("there is a colour in %q", screen)
	}
	if rest := screen[last:]; visible(rest) != "" {
		t.Errorf("behind the closing line there is %q", rest)
	}

	screen, code = watch(t, home, "-1")
	if code != 0 || visible(screen) != "popfetch: work: no new mail, 2 seen before" {
		t.Errorf("exit code %d, screen %q", code, screen)
	}
	for _, args := range [][]string{{"-1q"}, {"-1", "--quiet"}} {
		if screen, code := watch(t, home, args...); code != 0 || screen != "" {
			t.Errorf("%q: exit code %d, screen %q", args, code, screen)
		}
	}
	if screen, _ := watch(t, home, "-1", "--json"); strings.Count(screen, "\n") != 1 || !strings.HasPrefix(screen, `{"account":"work",`) {
		t.Errorf("--json: screen %q", screen)
	}
	screen, _ = watch(t, home, "-1v")
	expect(t, screen, `popfetch: work: planned plan=`, `popfetch: work: no new mail, 2 seen before\r\n$`)
}

// The lines of many accounts have scrolled away: the last one counts them.
func TestLastLineOnATerminalCountsAllAccounts(t *testing.T) {
	t.Parallel()
	s := clearServer(t, small(2)...)
	home := watchedHome(t, s)
	more := fmt.Sprintf("[account.gone]\nserver = \"127.0.0.1:1\"\nuser = \"x\"\npassword = %q\ntls = \"none\"\nmaildir = \"~/gone\"\n", secret)
	config := filepath.Join(home, ".config", "popfetch", "config.toml")
	text, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, append(text, more...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	screen, code := watch(t, home, "--once")
	if code != 75 {
		t.Errorf("exit code %d", code)
	}
	expect(t, screen, `popfetch: 2 accounts: 2 delivered \([0-9.]+ .*B\); 1 account failed\r\n$`)
	screen, _ = watch(t, home, "--once")
	expect(t, screen, `popfetch: 2 accounts: nothing delivered; 1 account failed\r\n$`)
	screen, _ = watch(t, home, "--once", "work")
	expect(t, screen, `popfetch: work: no new mail, 2 seen before\r\n$`)
}

// A terminal that cannot move its cursor, as in an editor, gets lines.
func TestProgressOnADumbTerminal(t *testing.T) {
	t.Parallel()
	s := clearServer(t, small(2)...)
	w, start := onTerminal(t, watchedHome(t, s), "--once")
	w.Env = append(w.Env, "TERM=dumb")
	start()
	screen, code := w.end()
	if code != 0 || strings.Contains(screen, "\x1b") {
		t.Errorf("exit code %d, screen %q", code, screen)
	}
	expect(t, screen, `^popfetch: work: receiving 2 messages \([0-9.]+ .*B\)\r\npopfetch: work: 2 delivered \([0-9.]+ .*B\)\r\n$`)
}

// An error is printed on a terminal as it is elsewhere, and the progress of a
// message that was cut off does not stay.
func TestErrorOnATerminal(t *testing.T) {
	t.Parallel()
	s := clearServer(t, pop3test.Message{Raw: pop3test.Text("Subject: cut\n\nHello.\n")})
	s.SetFaults(pop3test.Fault{At: "RETR", Do: pop3test.Drop, After: 30})
	home := watchedHome(t, s)
	screen, code := watch(t, home, "-1")
	if code != 75 {
		t.Errorf("exit code %d", code)
	}
	expect(t, screen, `popfetch: work: .*nothing delivered\r?\n`, `popfetch: work: RETR 1 after [0-9]+ octets.*connection closed by the server`)
}

// A warning after the last poll is shown too, when the progress is gone.
func TestWarningBehindTheProgressIsShown(t *testing.T) {
	t.Parallel()
	s := clearServer(t, pop3test.Message{Raw: pop3test.Text("Subject: x\n\nHello.\n")})
	home := watchedHome(t, s)
	if screen, code := watch(t, home, "state", "retry"); code != 0 { // creates the state file
		t.Fatalf("exit code %d, screen %q", code, screen)
	}
	// The snapshot cannot be made.
	if err := os.MkdirAll(filepath.Join(home, ".local", "state", "popfetch", "state.db.bak", "in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	screen, code := watch(t, home, "--once")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	expect(t, screen, `popfetch: work: 1 delivered `, `popfetch: warn: the state file has no snapshot of today`)
}

// Ctrl-C on a terminal is acknowledged at once: the message in hand is finished
// only later, and the closing line counts it.
func TestInterruptIsAcknowledgedAtOnceAndTheClosingLineCounts(t *testing.T) {
	t.Parallel()
	message := pop3test.Message{Raw: pop3test.Text("Subject: x\n\nHello.\n")}
	s := clearServer(t, message, message, message)
	home := watchedHome(t, s)
	config, err := os.OpenFile(filepath.Join(home, ".config", "popfetch", "config.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = config.WriteString("pipelining = \"off\"\n") // otherwise all three are in hand
	}
	if err != nil {
		t.Fatal(err)
	}
	config.Close()
	for _, args := range [][]string{{"--once"}, {"--once", "-v"}, nil} {
		w, start := onTerminal(t, home, args...)
		started, acknowledged := make(chan struct{}), make(chan struct{})
		// The rest of the message comes only after the acknowledgement.
		s.SetFaults(pop3test.Fault{At: "RETR 1", Times: 1, Hook: func() {
			<-started
			w.Process.Signal(os.Interrupt)
			<-acknowledged
		}})
		start()
		close(started)
		var screen strings.Builder
		buffer := make([]byte, 4096)
		for !strings.Contains(screen.String(), "\rpopfetch: finishing the message in hand; press Ctrl-C again to stop now\r\n") {
			n, err := w.user.Read(buffer)
			screen.Write(buffer[:n])
			if err != nil {
				t.Fatalf("%q: %v; the screen shows %q", args, err, screen.String())
			}
		}
		close(acknowledged)
		rest, code := w.end()
		if want := map[bool]int{true: 130, false: 0}[args != nil]; code != want {
			t.Errorf("%q: exit code %d, want %d", args, code, want)
		}
		expect(t, rest, `popfetch: work: 1 delivered \(`)
		s.Wait()
		if err := os.RemoveAll(filepath.Join(home, "Mail")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(home, ".local")); err != nil {
			t.Fatal(err)
		}
	}
}

// expect fails the test unless the patterns match one after the other, and
// returns where the last one ends.
func expect(t *testing.T, screen string, patterns ...string) int {
	t.Helper()
	end := 0
	for _, p := range patterns {
		at := regexp.MustCompile(p).FindStringIndex(screen[end:])
		if at == nil {
			t.Fatalf("%q is not in %q", p, screen[end:])
		}
		end += at[1]
	}
	return end
}

// visible returns what remains of a text on the screen: it removes lines that the
// cursor went back up to and erased, and the sequences that move the cursor.
func visible(s string) string {
	s = regexp.MustCompile(`[^\n]*\r?\n\r\x1b\[1A\x1b\[J`).ReplaceAllString(s, "")
	return strings.TrimSpace(regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`).ReplaceAllString(s, ""))
}
