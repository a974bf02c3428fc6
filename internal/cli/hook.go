package cli

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// hookTimeout is how long the program of on_new_mail or on_failure may run.
	hookTimeout = 5 * time.Minute
	// hookGrace is how long these programs may go on after a signal has stopped popfetch.
	hookGrace = 30 * time.Second
	// maxHookOutput is how many octets of the output of such a program are kept, and
	// printed if it fails.
	maxHookOutput = 4 << 10
	// maxHookLines is how many lines of it are printed at most.
	maxHookLines = 20
)

var (
	errHookSlow = fmt.Errorf("killed after %v", hookTimeout)
	errHookLate = fmt.Errorf("killed, because popfetch stops and waits %v at most", hookGrace)
)

// runHook runs the program of the key on_new_mail or on_failure with more variables in
// its environment. Its failure is printed, with its output, and has no other effect.
// When ctx ends the program is killed with its children. A signal for popfetch does not
// reach it: the mail that it indexes or announces is there.
func (con *console) runHook(ctx context.Context, key string, argv []string, env ...string) {
	ctx, cancel := context.WithTimeoutCause(ctx, hookTimeout, errHookSlow)
	defer cancel()
	var out firstOctets
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		con.tell(slog.LevelError, "", key+": "+argv[0]+": "+err.Error())
		lines := 0
		for line := range bytes.Lines(out.text) {
			if lines++; lines > maxHookLines {
				break
			}
			con.tell(slog.LevelError, "", key+": "+printable(string(bytes.TrimRight(line, "\r\n"))))
		}
	}
}

// outlast returns a context for these programs, which ends hookGrace after ctx, and what
// frees it.
func outlast(ctx context.Context) (late context.Context, free func()) {
	late, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(hookGrace):
			end(errHookLate)
		case <-late.Done():
		}
	})
	return late, func() {
		stop()
		end(nil)
	}
}

// firstOctets keeps the first maxHookOutput octets of what is written to it and
// drops the rest.
type firstOctets struct{ text []byte }

func (f *firstOctets) Write(p []byte) (int, error) {
	f.text = append(f.text, p[:min(len(p), maxHookOutput-len(f.text))]...)
	return len(p), nil
}

// queue calls functions one after the other, in the order in which they were added,
// while its user does something else. The zero value is empty.
type queue struct {
	mu      sync.Mutex
	waiting []func()
	busy    sync.WaitGroup
	running bool
}

// add returns at once.
func (q *queue) add(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, f)
	if !q.running {
		q.running = true
		q.busy.Go(q.work)
	}
}

func (q *queue) work() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		next()
	}
}

// wait returns when all that was added has been done.
func (q *queue) wait() { q.busy.Wait() }
