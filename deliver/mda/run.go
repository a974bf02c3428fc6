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
)

// errTimeout is why a run is stopped that takes too long.
var errTimeout = errors.New("time is up")

// run runs the program argv for the message in s and waits for its end.
func (m *MDA) run(ctx context.Context, argv, env []string, s *spool) error {
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
	// What the program creates is for its user alone. A umask belongs to the
	// process and cannot be set for a child, and everything popfetch makes
	// itself is private too, so it stays.
	syscall.Umask(0o077)
	closeOnExec()
	if err := cmd.Start(); err != nil {
		return m.notStarted(err)
	}
	stopped, err := m.attend(limited, cmd, in)
	if err != nil {
		return m.fail("wait for", deliver.Message, true, "", err)
	}
	r := result{state: cmd.ProcessState, read: in.taken(), size: s.size, out: &out}
	m.logRun(argv[0], r)
	switch {
	case stopped == nil, r.state.Success() && r.read == r.size: // it came to its end as the time ran out
		return m.ended(r)
	case errors.Is(stopped, errTimeout):
		return m.fail("run", deliver.Message, true, "mda_timeout is the time for one run", fmt.Errorf("killed after %v%s", timeout, out.said()))
	case ctx.Err() != nil:
		return m.interrupted(ctx)
	}
	return m.fail("read the spool for", deliver.Place, true, durable.Explain(stopped).Hint, stopped)
}

// attend waits for the end of cmd. Where ctx ends first, or the message cannot be
// read, it stops the program with everything that has come of it, and returns why. The
// write end of the pipe stays open until then: an end of file in the middle of the
// message would look like its end.
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
		_ = syscall.Kill(group, syscall.SIGTERM) // an error means that it has ended
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
	return stopped, nil // the state and the count of octets tell the rest
}

// notStarted is the error for a program that could not be run.
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

func (m *MDA) logRun(program string, r result) {
	if m.Log == nil {
		return
	}
	m.Log.LogAttrs(context.Background(), slog.LevelDebug, "mda ended", slog.String("program", program),
		slog.String("state", r.state.String()), slog.Int64("octets", r.read), slog.String("output", fmt.Sprintf("%q", r.out.kept)))
}
