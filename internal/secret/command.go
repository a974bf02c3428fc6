package secret

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"popfetch/internal/config"
)

const (
	// commandLimit is how long a password command may run.
	commandLimit = 30 * time.Second
	// typingLimit is the same if somebody may have to type a passphrase.
	typingLimit = 2 * time.Minute
	// maxStderr bounds what an error shows of the standard error of a program,
	// in octets.
	maxStderr = 1 << 10
)

// runCommand runs argv and returns the first line of its output. Where tty is
// not nil, the program may talk to the user on it and stays in the foreground
// process group. Otherwise its standard input is empty, and limit or the end of
// ctx kills its whole process group.
func runCommand(ctx context.Context, source string, argv []string, limit time.Duration, tty *os.File) (string, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	stdout, stderr := &limitedBuffer{max: maxSecret}, &limitedBuffer{max: maxStderr, truncate: true}
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
		return "", &Error{Source: source, Msg: "not finished after " + config.Duration(limit).String() + stderr.quoted(), Retry: true, Err: limited.Err()}
	case errors.Is(stdout.err, errTooLong):
		return "", &Error{Source: source, Msg: "printed more than " + config.Size(maxSecret).String(), Err: stdout.err}
	case err != nil && cmd.Process == nil:
		return "", notStarted(source, err)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", &Error{Source: source, Msg: err.Error() + stderr.quoted(), Retry: true, Err: err}
	}
	password, err := firstLine(source, stdout.buf.Bytes())
	if e, ok := errors.AsType[*Error](err); ok {
		e.Msg = "output: " + e.Msg + stderr.quoted()
		e.Hint = cmp.Or(e.Hint, "run the command by hand: it has to print the secret on its first line, and ask for nothing")
	}
	return password, err
}

// notStarted is the error for a program that did not start. Source names it.
func notStarted(source string, err error) error {
	e := &Error{Source: source, Msg: config.WithoutPath(err).Error(), Err: err}
	if failed, ok := errors.AsType[*exec.Error](err); ok {
		e.Msg = failed.Err.Error()
	}
	if errors.Is(err, exec.ErrNotFound) {
		e.Hint = "is the program installed, and in the PATH?"
	}
	return e
}

var errTooLong = errors.New("output is too long")

// limitedBuffer keeps the first max octets that are written to it. Further ones
// are dropped without an error if truncate is set; otherwise Write fails.
type limitedBuffer struct {
	max      int
	truncate bool
	err      error
	buf      bytes.Buffer // not embedded: its ReadFrom would take everything
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := min(len(p), b.max-b.buf.Len())
	b.buf.Write(p[:room])
	if room < len(p) && !b.truncate {
		b.err = errTooLong
		return room, b.err
	}
	return len(p), nil
}

// quoted is what was written, to be appended to a message; "" for nothing.
func (b *limitedBuffer) quoted() string {
	if s := strings.TrimSpace(b.buf.String()); s != "" {
		return fmt.Sprintf(": %q", s)
	}
	return ""
}
