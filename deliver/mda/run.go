package mda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"popfetch/deliver"
	"popfetch/internal/durable"
	"popfetch/internal/spool"
)

// errTimeout is the cause of the context of a run that takes longer than Timeout.
var errTimeout = errors.New("time is up")

// run runs the program argv for the message in s and waits for its end.
func (m *MDA) run(ctx context.Context, argv, env []string, s *spool.Spool) error {
	timeout := cmp.Or(m.Timeout, defaultTimeout)
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()

	in, err := newInput(s)
	if err != nil {
		return m.fail("make a pipe for", deliver.Place, true, durable.Explain(err).Hint, err)
	}
	defer in.close()
	var out output
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, workDir(env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in.r, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = cmp.Or(m.grace, defaultGrace)

	if err := in.preload(limited); err != nil {
		return m.fail("read the spool for", deliver.Place, true, "", err)
	}
	// The files of the program are private. A umask cannot be set for a child alone.
	// It stays set, since all files of popfetch are private too.
	syscall.Umask(0o077)
	closeOnExec()
	if err := cmd.Start(); err != nil {
		return m.notStarted(err)
	}
	stopped, err := m.attend(limited, cmd, in)
	if err != nil {
		return m.fail("wait for", deliver.Message, true, "", err)
	}
	r := result{state: cmd.ProcessState, read: in.taken(), size: s.Size(), out: &out}
	m.logRun(argv[0], r)
	switch {
	case stopped == nil, r.state.Success() && r.read == r.size: // it ended just before it was stopped
		return m.ended(r)
	case errors.Is(stopped, errTimeout):
		return m.killed(r, "mda_timeout is the time for one run", fmt.Errorf("killed after %v%s", timeout, out.said()))
	case ctx.Err() != nil:
		return m.interrupted(ctx)
	}
	return m.fail("read the spool for", deliver.Place, true, durable.Explain(stopped).Hint, stopped)
}

// attend waits for the end of cmd. If ctx ends first, or the message cannot be read, it kills
// the process group of the program and returns why. Until then the write end of the pipe
// stays open: the program must not see an end of file in the middle of the message.
func (m *MDA) attend(ctx context.Context, cmd *exec.Cmd, in *input) (stopped, err error) {
	done := make(chan struct{})
	var waited error
	go func() {
		defer close(done)
		waited = cmd.Wait()
	}()
	group := -cmd.Process.Pid
	select {
	case <-done:
	case stopped = <-in.broken:
	case <-ctx.Done():
		stopped = context.Cause(ctx)
		_ = syscall.Kill(group, syscall.SIGTERM) // an error means that the group has ended
		grace := time.NewTimer(cmp.Or(m.grace, defaultGrace))
		defer grace.Stop()
		select {
		case <-done:
		case <-grace.C:
		}
	}
	if stopped != nil {
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-done
	}
	if cmd.ProcessState == nil {
		return stopped, waited
	}
	return stopped, nil // ProcessState has the rest
}

// notStarted returns the error for a program that could not be started.
func (m *MDA) notStarted(err error) error {
	cause := durable.Explain(err)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		cause = durable.Cause{Hint: "is the program installed, and in the PATH?"}
	}
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOEXEC) {
		cause = durable.Cause{Hint: "is the program executable, and does it begin with #! where it is a script?"}
	}
	var named *exec.Error
	if errors.As(err, &named) {
		err = named.Err
	}
	return m.fail("run", deliver.Place, cause.Temporary, cause.Hint, err)
}

// logRun logs how a run ended and what the program printed.
func (m *MDA) logRun(program string, r result) {
	if m.Log == nil {
		return
	}
	m.Log.LogAttrs(context.Background(), slog.LevelDebug, "mda ended", slog.String("program", program),
		slog.String("state", r.state.String()), slog.Int64("octets", r.read), slog.String("output", fmt.Sprintf("%q", r.out.kept)))
}
