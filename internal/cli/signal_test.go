//go:build linux

package cli_test

import (
	"bytes"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// The server falls silent at one stage of a session, and popfetch gets a signal: it
// ends within seconds with the code of the signal, and the next run leaves each
// message delivered once.
func TestSignalAtAnyStageEndsTheRunAndLosesNothing(t *testing.T) {
	t.Parallel()
	restoreSignals()
	var runs []*halted
	for stage, f := range map[string]pop3test.Fault{
		"connect": {At: "connect"}, "greeting": {At: "greeting", After: 3}, "CAPA": {At: "CAPA", After: 3}, "login": {At: "AUTH"},
		"UIDL": {At: "UIDL", After: 7}, "RETR": {At: "RETR 2"}, "body": {At: "RETR 2", After: 40}, "DELE": {At: "DELE 2"}, "QUIT": {At: "QUIT"},
	} {
		runs = append(runs, halt(t, stage, f, syscall.SIGTERM, 143))
	}
	runs = append(runs, halt(t, "login", pop3test.Fault{At: "AUTH"}, syscall.SIGINT, 130),
		halt(t, "RETR", pop3test.Fault{At: "RETR 1"}, syscall.SIGHUP, 129))
	for _, h := range runs {
		<-h.ended                    // all of them go on side by side
		if h.took > 30*time.Second { // 5 s, on a machine that has other things to do; the timeout is a minute
			t.Errorf("%s: it ended after %v", h.stage, h.took)
		}
		if got := h.cmd.ProcessState.ExitCode(); got != h.code {
			t.Errorf("%s: exit code %d, want %d", h.stage, got, h.code)
		}
		h.home.converges(h.server, 4)
	}
}

// halted is a run of popfetch that gets a signal at one stage of its session.
type halted struct {
	stage  string
	code   int // that it has to end with
	server *pop3test.Server
	home   *userHome
	cmd    *exec.Cmd
	took   time.Duration // from the signal to the end
	ended  chan struct{}
}

// halt sends the signal once the server has fallen silent as f says.
func halt(t *testing.T, stage string, f pop3test.Fault, signal syscall.Signal, code int) *halted {
	t.Helper()
	s := clearServer(t, small(4)...)
	there, once := make(chan struct{}), new(sync.Once)
	f.Do, f.Hook = pop3test.Stall, func() { once.Do(func() { close(there) }) }
	s.SetFaults(f)
	r := newUserHome(t, account("work", s, "keep = false"))
	h := &halted{stage: stage, code: code, server: s, home: r, cmd: r.command("exec popfetch --once"), ended: make(chan struct{})}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-there
	start := time.Now()
	h.cmd.Process.Signal(signal)
	go func() {
		defer close(h.ended)
		h.cmd.Wait()
		h.took = time.Since(start)
	}()
	return h
}

// converges fails the test unless one run without faults leaves one copy of each of
// n messages, and none on the server.
func (r *userHome) converges(s *pop3test.Server, n int) {
	r.t.Helper()
	s.SetFaults()
	s.Wait()
	r.exits(0, "exec popfetch --once")
	s.Wait()
	if got, left := r.mail("work", "new"), len(s.Users["alice"].Maildrop.Messages()); got != n || left != 0 || r.mail("work", "tmp") != 0 {
		r.t.Errorf("%d messages delivered, %d left on the server, %d files in tmp/", got, left, r.mail("work", "tmp"))
	}
}

// Among them are SIGPIPE, and SIGHUP under nohup.
func TestSignalsThatDoNotEndTheRun(t *testing.T) {
	t.Parallel()
	restoreSignals()
	for name, x := range map[string]struct {
		shell  string
		signal syscall.Signal
	}{
		"SIGPIPE":             {"exec popfetch --once", syscall.SIGPIPE},
		"SIGHUP under nohup":  {`trap "" HUP; exec popfetch --once`, syscall.SIGHUP},
		"SIGWINCH":            {"exec popfetch --once", syscall.SIGWINCH},
		"SIGCONT":             {"exec popfetch --once", syscall.SIGCONT},
		"SIGTSTP and SIGCONT": {"exec popfetch --once", syscall.SIGSTOP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := clearServer(t, small(3)...)
			r := newUserHome(t, account("work", s, "keep = false"))
			cmd := r.command(x.shell)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			struck := make(chan struct{})
			// The server goes on when the signal is on its way.
			s.SetFaults(pop3test.Fault{At: "RETR 2", Times: 1, Hook: func() {
				<-struck
				cmd.Process.Signal(x.signal)
				cmd.Process.Signal(syscall.SIGCONT)
			}})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			close(struck)
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 0 || said.Len() > 0 {
				t.Errorf("exit code %d, it says %q", code, said.String())
			}
			s.Wait()
			if !slices.Contains(s.SessionCommands(1), "DELE 3") || r.mail("work", "new") != 3 {
				t.Errorf("%d messages, commands %q", r.mail("work", "new"), s.SessionCommands(1))
			}
		})
	}
}
