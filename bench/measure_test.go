//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary run as the processes that bench starts of itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && (os.Args[1] == "measure" || os.Args[1] == "drain") {
		if err := start(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func shell(script string, okCodes ...int) command {
	return command{argv: []string{"sh", "-c", script}, okCodes: okCodes}
}

func TestRunReturnsOutputExitCodeAndMemory(t *testing.T) {
	for _, x := range []struct {
		c      command
		code   int
		stdout string
		err    string // part of it
	}{
		{shell("echo 3"), 0, "3\n", ""},
		{shell("exit 1", 1), 1, "", ""},
		{shell("echo no server >&2; exit 2", 1), 2, "", "exit code 2\nno server"},
		{shell("kill -9 $$"), -1, "", "exit code -1"},
		{command{argv: []string{"/nonexistent/popfetch"}}, 0, "", "/nonexistent/popfetch"},
	} {
		u, stdout, err := run(t.Context(), namespace{}, time.Minute, x.c)
		if u.Code != x.code || string(stdout) != x.stdout || (err == nil) != (x.err == "") || !strings.Contains(fmt.Sprint(err), x.err) {
			t.Errorf("%q: code %d, stdout %q, error %v", x.c.argv, u.Code, stdout, err)
		}
		if err == nil && (u.Seconds <= 0 || u.RSS <= 0) {
			t.Errorf("%q: %+v", x.c.argv, u)
		}
	}
}

func TestRunThatTakesTooLongIsKilled(t *testing.T) {
	if _, _, err := run(t.Context(), namespace{}, time.Millisecond, shell("sleep 600")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want context.DeadlineExceeded", err)
	}
}

// run returns once nothing holds its standard output, so it would wait for a process that it
// left behind.
func TestRunThatIsCancelledLeavesNoProcess(t *testing.T) {
	started := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(started, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		os.ReadFile(started)
		cancel()
	}()
	begin := time.Now()
	_, _, err := run(ctx, namespace{}, time.Hour, shell("sleep 60 & echo >"+started+"; wait"))
	if !errors.Is(err, context.Canceled) || time.Since(begin) > 50*time.Second {
		t.Errorf("error %v after %v", err, time.Since(begin))
	}
}
