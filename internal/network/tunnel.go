package network

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// lastWords is how long a program whose output has ended may take to exit, so that
	// an error can tell its exit status.
	lastWords = time.Second
	// closing is how long a program may take to end by itself once its input is closed,
	// and again after SIGTERM.
	closing = 500 * time.Millisecond
	// maxStderr bounds what is kept of the standard error of a program, in octets.
	maxStderr = 1 << 10
)

// tunnel is a connection over the standard input and output of a program, which runs in
// a process group of its own. Deadlines are those of the two pipes.
type tunnel struct {
	name   string // of the program
	cmd    *exec.Cmd
	in     *os.File // the program reads what is written here
	out    *os.File // what the program writes
	stderr *stderr
	exited chan struct{} // closed when the program has ended
	once   sync.Once
}

// dialTunnel starts the program.
func (w *Way) dialTunnel() (net.Conn, error) {
	t := &tunnel{
		name: filepath.Base(w.Tunnel[0]), cmd: exec.Command(w.Tunnel[0], w.Tunnel[1:]...),
		stderr: &stderr{log: w.Log}, exited: make(chan struct{}),
	}
	fail := func(err error, lasting bool, hint string) (net.Conn, error) {
		return nil, &Error{What: t.what(), Lasting: lasting, Hint: hint, Err: err}
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return fail(err, false, "")
	}
	defer theirIn.Close()
	out, theirOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return fail(err, false, "")
	}
	defer theirOut.Close()
	t.in, t.out = in, out
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = theirIn, theirOut, t.stderr
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal ends the session in order first
	t.cmd.WaitDelay = lastWords                             // for a grandchild that keeps standard error open
	if err := t.cmd.Start(); err != nil {
		in.Close()
		out.Close()
		var named *exec.Error
		var path *os.PathError
		switch {
		case errors.As(err, &named):
			err = named.Err
		case errors.As(err, &path):
			err = path.Err
		}
		switch {
		case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
			return fail(err, true, "is the program of tunnel installed, and in the PATH?")
		case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.ENOEXEC):
			return fail(err, true, "is the program of tunnel executable, and does it begin with #! where it is a script?")
		}
		return fail(err, false, "")
	}
	go func() {
		defer close(t.exited)
		_ = t.cmd.Wait() // ProcessState has the outcome
		t.stderr.flush()
	}()
	return t, nil
}

func (t *tunnel) what() string { return fmt.Sprintf("tunnel %q", t.name) }

// Read reads what the program writes. At its end the error says how the program ended.
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.out.Read(p)
	if err == io.EOF {
		err = t.ended()
	}
	return n, err
}

// Write writes to the program. If it no longer reads, the error says how it ended.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.in.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		err = t.ended()
	}
	return n, err
}

// ended returns why the connection is over. The error wraps io.ErrUnexpectedEOF.
func (t *tunnel) ended() error {
	e := &Error{What: t.what(), Err: &endError{state: "closed the connection", stderr: t.stderr}}
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-t.exited:
		if state := t.cmd.ProcessState; state != nil {
			e.Err = &endError{state: "ended with " + state.String(), stderr: t.stderr}
		}
	case <-timer.C:
	}
	return e
}

// endError is how a tunnel ended.
type endError struct {
	state  string
	stderr *stderr
}

func (e *endError) Error() string {
	if last := e.stderr.last(); last != "" {
		return fmt.Sprintf("%s: %q", e.state, last)
	}
	return e.state
}

// Unwrap makes it the end of a connection.
func (e *endError) Unwrap() error { return io.ErrUnexpectedEOF }

// Close ends the program: it closes its standard input, which ends most programs, then
// sends SIGTERM to the process group, and then SIGKILL.
func (t *tunnel) Close() error {
	t.once.Do(func() {
		t.in.Close()
		t.out.Close()
		if t.awaitExit() {
			return
		}
		group := -t.cmd.Process.Pid
		_ = syscall.Kill(group, syscall.SIGTERM) // an error means that the group has ended
		_ = syscall.Kill(group, syscall.SIGCONT) // it may have stopped for a terminal
		if !t.awaitExit() {
			_ = syscall.Kill(group, syscall.SIGKILL)
			<-t.exited
		}
	})
	return nil
}

// awaitExit waits a little for the end of the program and reports whether it has come.
func (t *tunnel) awaitExit() bool {
	timer := time.NewTimer(closing)
	defer timer.Stop()
	select {
	case <-t.exited:
		return true
	case <-timer.C:
		return false
	}
}

// tunnelAddr names the program in place of an address.
type tunnelAddr string

// Network is "tunnel".
func (tunnelAddr) Network() string { return "tunnel" }

func (a tunnelAddr) String() string { return string(a) }

// LocalAddr is RemoteAddr.
func (t *tunnel) LocalAddr() net.Addr { return tunnelAddr("the program " + t.name) }

// RemoteAddr names the program.
func (t *tunnel) RemoteAddr() net.Addr { return tunnelAddr("the program " + t.name) }

// SetDeadline sets both deadlines.
func (t *tunnel) SetDeadline(d time.Time) error {
	return errors.Join(t.SetReadDeadline(d), t.SetWriteDeadline(d))
}

// SetReadDeadline bounds Read.
func (t *tunnel) SetReadDeadline(d time.Time) error { return t.out.SetReadDeadline(d) }

// SetWriteDeadline bounds Write.
func (t *tunnel) SetWriteDeadline(d time.Time) error { return t.in.SetWriteDeadline(d) }

// stderr logs the lines that a program writes to its standard error and keeps the last ones.
type stderr struct {
	log  *slog.Logger // nil = none
	mu   sync.Mutex
	line []byte   // the beginning of the next line
	kept []string // the last lines, at most maxStderr octets
}

func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range bytes.SplitAfter(p, []byte("\n")) {
		s.line = append(s.line, part[:min(len(part), maxStderr-len(s.line))]...)
		if bytes.HasSuffix(part, []byte("\n")) {
			s.end()
		}
	}
	return len(p), nil
}

// end ends a line.
func (s *stderr) end() {
	text := strings.TrimSpace(string(s.line))
	s.line = s.line[:0]
	if text == "" {
		return
	}
	if s.log != nil {
		s.log.Debug("tunnel said", "stderr", text)
	}
	s.kept = append(s.kept, text)
	for len(s.kept) > 1 && len(strings.Join(s.kept, "\n")) > maxStderr {
		s.kept = s.kept[1:]
	}
}

// flush ends a last line without a line end.
func (s *stderr) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// last returns the last lines that were written.
func (s *stderr) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.kept, "\n")
}
