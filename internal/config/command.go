package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// commandLimit is how long a password command may run.
	commandLimit = 30 * time.Second
	// typingLimit is the same where somebody may have to type a passphrase.
	typingLimit = 2 * time.Minute
	// maxComplaint bounds what an error shows of stderr, in octets.
	maxComplaint = 1 << 10
)

// runCommand runs argv and returns the first line of what it prints. Where tty
// is not nil the command may talk to the user on it and stays in the group of
// the foreground; otherwise stdin is empty, and the deadline kills the whole
// process group.
func runCommand(ctx context.Context, source string, argv []string, limit time.Duration, tty *os.File) (string, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	stdout, stderr := &bounded{max: maxSecret}, &bounded{max: maxComplaint, drop: true}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = time.Second // for a grandchild that keeps the pipes open
	if tty != nil {
		cmd.Stdin, cmd.Stderr = tty, io.MultiWriter(os.Stderr, stderr)
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s: %w", source, ctx.Err())
	case limited.Err() != nil:
		return "", &SecretError{Source: source, Msg: "not finished after " + Duration(limit).String() + stderr.complaint(), Retry: true, Err: limited.Err()}
	case errors.Is(stdout.err, errTooLong):
		return "", &SecretError{Source: source, Msg: "printed more than " + Size(maxSecret).String(), Err: stdout.err}
	case err != nil && cmd.Process == nil:
		return "", &SecretError{Source: source, Msg: startProblem(err), Err: err}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", &SecretError{Source: source, Msg: err.Error() + stderr.complaint(), Retry: true, Err: err}
	}
	password, err := firstLine(source, stdout.buf.Bytes())
	if e, ok := errors.AsType[*SecretError](err); ok {
		e.Msg = "output: " + e.Msg + stderr.complaint()
	}
	return password, err
}

// startProblem says why a program did not start, without its name.
func startProblem(err error) string {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err.Error()
	}
	return bare(err).Error()
}

var errTooLong = errors.New("output is too long")

// bounded keeps the first max octets that are written to it. What comes after
// them is dropped or refused.
type bounded struct {
	max  int
	drop bool
	buf  bytes.Buffer
	err  error
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.max-b.buf.Len())
	b.buf.Write(p[:keep])
	if keep < len(p) && !b.drop {
		b.err = errTooLong
		return keep, b.err
	}
	return len(p), nil
}

// complaint is what the program said on stderr, to be put behind a message.
func (b *bounded) complaint() string {
	if s := strings.TrimSpace(b.buf.String()); s != "" {
		return fmt.Sprintf(": %q", s)
	}
	return ""
}
