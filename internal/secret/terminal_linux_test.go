package secret

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"popfetch/internal/ptytest"
)

func TestPasswordIsAskedForOnce(t *testing.T) {
	t.Setenv("NETRC", "/nowhere/netrc")
	keyboard, terminal := ptytest.Open(t, 80)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	tty := NewTerminal(terminal, w)
	s := &Source{Account: "work", Host: "pop.example.org", User: "CORP\\me\x1b\"", Terminal: tty}

	type answer struct {
		password string
		err      error
	}
	ask := func(ctx context.Context, s *Source) chan answer {
		c := make(chan answer, 1)
		go func() {
			p, err := s.Secret(ctx)
			c <- answer{p, err}
		}()
		return c
	}
	first := ask(t.Context(), s)
	ptytest.WaitForNoEcho(t, terminal)
	second := ask(t.Context(), s) // waits for the terminal, then knows the answer
	if _, err := keyboard.WriteString("hunter2\n"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []chan answer{first, second} {
		if got := <-c; got.password != "hunter2" || got.err != nil {
			t.Errorf("got %q, %v", got.password, got.err)
		}
	}
	prompt, err := bufio.NewReader(r).ReadString('\n')
	if want := "Password for account work (CORP\\me\ufffd\" at pop.example.org): \n"; prompt != want || err != nil {
		t.Errorf("asked %q, %v", prompt, err)
	}
	if !ptytest.Echoes(t, terminal) {
		t.Error("the terminal was left without echo")
	}

	s.Doubtful() // a broken connection: nobody is asked again
	if got := s.known().Reveal(); got != "hunter2" {
		t.Fatalf("after a failed login: got %q", got)
	}
	s.Refused()
	again := ask(t.Context(), s)
	ptytest.WaitForNoEcho(t, terminal)
	if _, err := keyboard.WriteString("hunter3\n"); err != nil {
		t.Fatal(err)
	}
	if got := <-again; got.password != "hunter3" || got.err != nil {
		t.Errorf("after a refused login: got %q, %v", got.password, got.err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	third := ask(ctx, &Source{Account: "other", Host: "h", User: "u", Terminal: tty})
	ptytest.WaitForNoEcho(t, terminal)
	cancel()
	if got := <-third; !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %q, %v", got.password, got.err)
	}
	if !ptytest.Echoes(t, terminal) {
		t.Error("the terminal was left without echo after the end")
	}
}

func TestPasswordCommandMayUseTheTerminal(t *testing.T) {
	keyboard, terminal := ptytest.Open(t, 80)
	tty := NewTerminal(terminal, os.Stderr)
	if _, err := keyboard.WriteString("typed\n"); err != nil {
		t.Fatal(err)
	}
	s := &Source{Command: []string{"sh", "-c", `test -t 0 && read -r x && echo "got $x"`}, Terminal: tty}
	if p, err := s.Secret(t.Context()); p != "got typed" || err != nil {
		t.Errorf("got %q, %v", p, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.Refused()                           // so that the program has to run again
	if err := tty.lock(ctx); err != nil { // another account uses the terminal
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Secret(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v", err)
	}
}

// attended, as seen by a process that leads the session of a terminal, and by
// its child in a group of the background.
func TestOnlyTheForegroundIsAsked(t *testing.T) {
	const role = "POPFETCH_TEST_ROLE"
	self := func(role2 string, in *os.File, attr *syscall.SysProcAttr) string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestOnlyTheForegroundIsAsked$")
		cmd.Env = append(os.Environ(), role+"="+role2)
		cmd.Stdin, cmd.SysProcAttr = in, attr
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	switch os.Getenv(role) {
	case "leader":
		fmt.Printf("leader %v\n%s", NewTerminal(os.Stdin, os.Stderr).Attended(), self("child", os.Stdin, &syscall.SysProcAttr{Setpgid: true}))
	case "child":
		fmt.Printf("child %v\n", NewTerminal(os.Stdin, os.Stderr).Attended())
	default:
		_, terminal := ptytest.Open(t, 80)
		out := self("leader", terminal, &syscall.SysProcAttr{Setsid: true, Setctty: true})
		if !strings.Contains(out, "leader true\n") || !strings.Contains(out, "child false\n") {
			t.Errorf("got %s", out)
		}
	}
}
