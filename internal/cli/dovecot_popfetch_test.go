//go:build linux

package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// executable is the path of a built popfetch.
type executable string

func buildPopfetch(t *testing.T) executable {
	t.Helper()
	path := filepath.Join(t.TempDir(), "popfetch")
	if out, err := exec.Command("go", "build", "-o", path, "popfetch").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return executable(path)
}

// home is the home directory of a user of popfetch.
type home struct {
	bin   executable
	dir   string
	umask string
	env   []string // in addition to what command sets
}

func newHome(t *testing.T, bin executable) *home {
	return &home{bin: bin, dir: t.TempDir(), umask: "022"}
}

// maildir is where the account of that name delivers if it does not say.
func (h *home) maildir(account string) string { return filepath.Join(h.dir, "Mail", account) }

// state is the path of the state file.
func (h *home) state() string { return filepath.Join(h.dir, "state", "popfetch", "state.db") }

// configure writes the configuration.
func (h *home) configure(t *testing.T, accounts ...string) {
	t.Helper()
	dir := filepath.Join(h.dir, "config", "popfetch")
	must(t, os.MkdirAll(dir, 0o700))
	text := "parallel = 16\nparallel_per_host = 16\n[defaults]\nmaildir = \"~/Mail/{account}\"\n" + strings.Join(accounts, "")
	must(t, os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600))
}

// account is the configuration of one account. tls is how to connect, more are
// further lines.
func (d *dovecot) account(name, user, tls string, more ...string) string {
	server, trust := d.POP3, fmt.Sprintf("tls_ca_file = %q\n", d.CertFile)
	switch tls {
	case "implicit":
		server = d.POP3S
	case "none":
		trust = ""
	}
	if d.CertFile == "" {
		trust = ""
	}
	text := fmt.Sprintf("[account.%s]\nserver = %q\nuser = %q\ntls = %q\n%s", name, server, user, tls, trust)
	for _, line := range more {
		text += line + "\n"
	}
	if !strings.Contains(text, "\npassword = ") && !strings.Contains(text, "_command = ") {
		text += fmt.Sprintf("password = %q\n", password)
	}
	return text
}

// command is popfetch with arguments, in the home directory.
func (h *home) command(args ...string) *exec.Cmd {
	// A umask belongs to a process, and this one has other tests to run.
	cmd := exec.Command("sh", append([]string{"-c", `umask "$0"; exec "$@"`, h.umask, string(h.bin)}, args...)...)
	cmd.Dir = h.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "LC_ALL=C",
		"XDG_CONFIG_HOME=" + filepath.Join(h.dir, "config"), "XDG_STATE_HOME=" + filepath.Join(h.dir, "state"),
	}
	cmd.Env = append(cmd.Env, h.env...)
	return cmd
}

// run is how a run of popfetch ended.
type run struct {
	code           int // exit code, -1 after a signal
	stdout, stderr string
}

// once runs popfetch --once and checks its exit code.
func (h *home) once(t *testing.T, code int, args ...string) run {
	t.Helper()
	cmd := h.command(append([]string{"--once"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := run{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if r.code != code {
		t.Fatalf("popfetch exits %d, want %d; it says\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

// silently is once for a run that has nothing to complain about: cron would not
// send mail.
func (h *home) silently(t *testing.T, args ...string) {
	t.Helper()
	if r := h.once(t, 0, args...); r.stdout+r.stderr != "" {
		t.Fatalf("popfetch is not silent:\n%s%s", r.stdout, r.stderr)
	}
}

// recovers polls, and checks that the end of a failure is all that the user is told.
func (h *home) recovers(t *testing.T, args ...string) {
	t.Helper()
	r := h.once(t, 0, args...)
	if !regexp.MustCompile(`^popfetch: work: works again after [0-9]+ (s|min), [0-9]+ polls? failed\n$`).MatchString(r.stdout + r.stderr) {
		t.Fatalf("popfetch says:\n%s%s", r.stdout, r.stderr)
	}
}

// says checks that a run has told the user all of words.
func (r run) says(t *testing.T, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("popfetch does not say %q but\n%s", word, r.stderr)
		}
	}
}
