package config

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

func TestPasswordFromTerminal(t *testing.T) {
	t.Setenv("NETRC", "/nowhere/netrc")
	keyboard, terminal := ptytest.Open(t, 80)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	k := newAsker()
	k.in, k.out = terminal, w
	a := &Account{Name: "work", Host: "pop.example.org", User: "me\x1b", ask: k}

	type answer struct {
		password string
		err      error
	}
	ask := func(ctx context.Context, a *Account) chan answer {
		c := make(chan answer, 1)
		go func() {
			p, err := a.Password(ctx)
			c <- answer{p, err}
		}()
		return c
	}
	first := ask(t.Context(), a)
	ptytest.WaitForNoEcho(t, terminal)
	second := ask(t.Context(), a) // waits for the terminal, then knows the answer
	if _, err := keyboard.WriteString("hunter2\n"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []chan answer{first, second} {
		if got := <-c; got.password != "hunter2" || got.err != nil {
			t.Errorf("got %q, %v", got.password, got.err)
		}
	}
	prompt, err := bufio.NewReader(r).ReadString('\n')
	if want := `Password for account work (me\x1b at pop.example.org): ` + "\n"; prompt != want || err != nil {
		t.Errorf("asked %q, %v", prompt, err)
	}
	if !ptytest.Echoes(t, terminal) {
		t.Error("the terminal was left without echo")
	}

	ctx, cancel := context.WithCancel(t.Context())
	third := ask(ctx, &Account{Name: "other", Host: "h", User: "u", ask: k})
	ptytest.WaitForNoEcho(t, terminal)
	cancel()
	if got := <-third; !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %q, %v", got.password, got.err)
	}
	if !ptytest.Echoes(t, terminal) {
		t.Error("the terminal was left without echo after the end")
	}
}

func TestPasswordCommandOnTerminal(t *testing.T) {
	keyboard, terminal := ptytest.Open(t, 80)
	k := newAsker()
	k.in = terminal
	if _, err := keyboard.WriteString("typed\n"); err != nil {
		t.Fatal(err)
	}
	a := &Account{PasswordCommand: []string{"sh", "-c", `test -t 0 && read -r x && echo "got $x"`}, ask: k}
	if p, err := a.Password(t.Context()); p != "got typed" || err != nil {
		t.Errorf("got %q, %v", p, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := k.lock(ctx); err != nil { // another account uses the terminal
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := a.Password(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v", err)
	}
}

// isTerminal, as seen by a process that leads the session of a terminal, and by
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
		fmt.Printf("leader %v\n%s", newAsker().isTerminal(), self("child", os.Stdin, &syscall.SysProcAttr{Setpgid: true}))
	case "child":
		fmt.Printf("child %v\n", newAsker().isTerminal())
	default:
		_, terminal := ptytest.Open(t, 80)
		out := self("leader", terminal, &syscall.SysProcAttr{Setsid: true, Setctty: true})
		if !strings.Contains(out, "leader true\n") || !strings.Contains(out, "child false\n") {
			t.Errorf("got %s", out)
		}
	}
}
