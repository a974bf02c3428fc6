//go:build linux && !race

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// An account that waits for its interval has no goroutine, and little memory.
func TestMemoryOfIdleAccounts(t *testing.T) {
	t.Parallel()
	n, most := 1000, 60<<10 // KiB
	if os.Getenv("POPFETCH_SOAK") != "" {
		n, most = 10_000, 150<<10
	}
	s := &pop3test.Server{Security: pop3test.ClearText, Users: make(map[string]*pop3test.User)}
	config := []string{"interval = \"12h\"\nparallel = 32\nparallel_per_host = 32\n[defaults]\nmda = [\"true\"]\ntls = \"none\"\npassword = \"" + secret + "\"\n"}
	for i := range n {
		user := fmt.Sprintf("user%05d", i)
		s.Users[user] = &pop3test.User{Password: secret, Maildrop: pop3test.NewMaildrop()}
		config = append(config, fmt.Sprintf("[account.%s]\nserver = \"$POP\"\nuser = %[1]q\n", user))
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r := newUserHome(t, strings.ReplaceAll(strings.Join(config, ""), "$POP", s.Addr()))
	cmd := r.command("exec popfetch --json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for i, line := 0, ""; i < n; i++ { // a line for each poll
		if _, err := fmt.Fscanln(out, &line); err != nil || !strings.Contains(line, `"class":"ok"`) {
			t.Fatalf("poll %d: %v, %.300s", i, err, line)
		}
	}
	took := time.Since(begun)
	now, peak, threads := inProc(t, cmd.Process.Pid, "VmRSS"), inProc(t, cmd.Process.Pid, "VmHWM"), inProc(t, cmd.Process.Pid, "Threads")
	t.Logf("%d idle accounts: %d MiB resident, %d MiB at most, %d threads; the first polls took %v", n, now>>10, peak>>10, threads, took.Round(time.Second))
	if peak > most {
		t.Errorf("%d KiB, want at most %d", peak, most)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// inProc returns a number from /proc/PID/status.
func inProc(t *testing.T, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + `:\s+([0-9]+)`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in %s", name, text)
	}
	value, _ := strconv.Atoi(string(m[1]))
	return value
}
