//go:build linux

package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// calls are the system calls that change something, or that popfetch bases a decision on.
func calls() []string {
	return []string{
		"openat", "write", "fsync", "syncfs", "fdatasync", "pwrite64", "renameat2", "close", "unlinkat",
		"ftruncate", "linkat", "mkdirat", "fchmod", "getdents64", "flock", "newfstatat", "connect", "read", "fcntl",
	}
}

// strace returns the command line that traces the calls of a program into the file log, but not
// those of its child processes.
func (h *home) strace(log, calls string, more ...string) []string {
	// Not with --seccomp-bpf: signals are not injected then.
	return append([]string{"strace", "-f", "-qq", "-b", "execve", "-o", log, "-e", "trace=" + calls}, more...)
}

// killAt returns the command line that makes strace kill popfetch before the nth call of any
// of its threads.
func (h *home) killAt(call string, n int) []string {
	return h.strace("/dev/null", call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n))
}

// census holds how often a thread makes each call at most, by kind of account and number of
// messages.
type census struct {
	bin       string
	dir       string
	receivers receivers

	mu    sync.Mutex
	known map[string]map[string]int
}

func newCensus(bin, dir string, from receivers) *census {
	return &census{bin: bin, dir: dir, receivers: from, known: make(map[string]map[string]int)}
}

// of returns the counts for one kind of account with n messages.
func (c *census) of(k kind, n int) (map[string]int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.ReplaceAll(fmt.Sprint(k, " ", n), " ", "-")
	if counts, ok := c.known[key]; ok {
		return counts, nil
	}
	s, err := serve(n)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var end func()
	if k.receiver, end, err = c.receivers.open(k.to, "census-"+key); err != nil {
		return nil, err
	}
	defer end()
	dir := filepath.Join(c.dir, key)
	h, err := newHome(c.bin, dir, dir, false, k, s)
	if err != nil {
		return nil, err
	}
	log := filepath.Join(dir, "strace")
	run, err := h.run(h.strace(log, strings.Join(calls(), ","))...)
	if err != nil {
		return nil, err
	}
	if run.code != 0 {
		return nil, fmt.Errorf("a run of %s with %d messages under strace: %v", k, n, run)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return nil, err
	}
	c.known[key] = callsOfAThread(string(text))
	return c.known[key], os.RemoveAll(dir)
}

// callsOfAThread returns from the output of strace how often a thread made each call, for the
// thread that made the most.
func callsOfAThread(log string) map[string]int {
	perThread := make(map[[2]string]int)
	counts := make(map[string]int)
	for line := range strings.Lines(log) {
		thread, rest, _ := strings.Cut(line, " ")
		call, _, ok := strings.Cut(strings.TrimLeft(rest, " "), "(")
		if !ok || strings.ContainsAny(call, " <") {
			continue // the second half of a call, or a signal
		}
		key := [2]string{thread, call}
		perThread[key]++
		counts[call] = max(counts[call], perThread[key])
	}
	return counts
}
