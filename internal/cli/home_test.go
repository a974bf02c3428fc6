//go:build linux

package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// userHome is the home directory of a user, in memory if the system has a place
// there, in which popfetch runs.
type userHome struct {
	t   *testing.T
	dir string
}

func newUserHome(t *testing.T, config string) *userHome {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "popfetch-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &userHome{t, dir}
	r.configure(config)
	return r
}

func (r *userHome) configure(text string) {
	r.t.Helper()
	dir := filepath.Join(r.dir, ".config", "popfetch")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// command runs a shell command, which ends with "exec popfetch" and before that sets
// limits or closes descriptors.
func (r *userHome) command(shell string, env ...string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", shell)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"HOME=" + r.dir, "PATH=" + os.Getenv("PATH")}, env...)
	return cmd
}

// ended is the result of a run.
type ended struct {
	code           int
	stdout, stderr string
}

func (r *userHome) run(shell string, env ...string) ended {
	r.t.Helper()
	cmd := r.command(shell, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = patience // a program that popfetch has left behind may hold its output open
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// exits is run, and fails the test unless the run ends with code.
func (r *userHome) exits(code int, shell string, env ...string) ended {
	r.t.Helper()
	e := r.run(shell, env...)
	if e.code != code {
		r.t.Fatalf("%s: exit code %d, want %d; it says\n%.3000s%.3000s", shell, e.code, code, e.stdout, e.stderr)
	}
	return e
}

// mail counts the files in a part of a Maildir.
func (r *userHome) mail(account, part string) int {
	r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.dir, "Mail", account, part))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	return len(entries)
}
