//go:build linux

package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The nth of each system call fails, alone or with all later ones, with every error that a
// disk or the limits of a process can cause.
func TestFailedSystemCallLosesNothing(t *testing.T) {
	needsStrace(t)
	f := failer{bin: product(), dir: scratch(t)}
	f.counts = newCensus(f.bin, f.dir, receivers{})
	points := size(50, 1000)
	sum := spread(4*points, until(points), f.trial)
	sum.report(t, points)
	printScore("error", sum, "none")
}

// failure is a system call and the errors that it can end with.
type failure struct {
	call   string
	errors []string
	// places limits it to these files of a home; nil = every file of the process,
	// sockets included.
	places func(h *home) []string
}

func failures() []failure {
	files := func(h *home) []string {
		db := filepath.Join(h.state, "state.db")
		return []string{
			h.mail, filepath.Join(h.mail, "tmp"), filepath.Join(h.mail, "new"), filepath.Join(h.mail, "cur"),
			h.state, db, db + ".lock",
		}
	}
	return []failure{
		{"openat", []string{"EIO", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EROFS", "ENOMEM", "EACCES"}, files},
		{"write", []string{"EIO", "ENOSPC", "EDQUOT"}, nil},
		{"fsync", []string{"EIO", "ENOSPC", "EDQUOT", "EROFS"}, nil},
		{"syncfs", []string{"EIO", "ENOSPC", "EDQUOT"}, nil},
		{"fdatasync", []string{"EIO", "ENOSPC", "EDQUOT"}, nil},
		{"pwrite64", []string{"EIO", "ENOSPC", "EDQUOT"}, nil},
		{"pread64", []string{"EIO"}, nil},
		{"renameat2", []string{"EIO", "ENOSPC", "EDQUOT", "EROFS", "EXDEV", "EACCES"}, nil},
		{"renameat", []string{"EIO", "ENOSPC", "EROFS"}, nil},
		{"close", []string{"EIO", "ENOSPC", "EDQUOT"}, files},
		{"unlinkat", []string{"EIO", "EROFS"}, nil},
		{"ftruncate", []string{"EIO", "ENOSPC", "EDQUOT"}, nil},
		{"linkat", []string{"EIO", "ENOSPC", "EDQUOT", "EROFS", "EPERM"}, nil},
		{"mkdirat", []string{"EIO", "ENOSPC", "EDQUOT", "EROFS"}, nil},
		{"fchmod", []string{"EIO", "EROFS", "EPERM"}, files},
		{"getdents64", []string{"EIO"}, files},
		{"newfstatat", []string{"EIO", "EACCES"}, files},
		{"flock", []string{"EIO", "ENOLCK"}, nil},
	}
}

// failer runs trials.
type failer struct {
	bin    string
	counts *census
	dir    string
}

// trial makes one or more calls fail, in the first run or in one that has something to
// recover.
func (f failer) trial(_, i int) score {
	r := rand.New(rand.NewPCG(uint64(i), 3))
	account := kind{to: toMaildir, keep: i%2 == 0}
	n := []int{1, 5, 120}[r.IntN(3)]
	counts, err := f.counts.of(account, n)
	if err != nil {
		return broken("census", err)
	}
	fail := failures()[i%len(failures())]
	errno := fail.errors[r.IntN(len(fail.errors))]
	when := fmt.Sprint(1 + r.IntN(max(counts[fail.call], 1)))
	if r.IntN(3) == 0 {
		when += "+" // and all after it
	}
	name := fmt.Sprintf("trial %d: %s, %d messages, %s fails with %s at %s", i, account, n, fail.call, errno, when)
	dir := filepath.Join(f.dir, fmt.Sprint("t", i))
	defer os.RemoveAll(dir)
	s, err := serve(n)
	if err != nil {
		return broken(name, err)
	}
	defer s.Close()
	h, err := newHome(f.bin, dir, dir, false, account, s)
	if err != nil {
		return broken(name, err)
	}
	if r.IntN(3) == 0 {
		at := pickCall(r, counts, []string{"renameat2", "renameat2", "fsync", "syncfs", "fdatasync", "close"})
		name += ", after a kill at " + at.String()
		if _, _, err := h.strike(at, s, (*process).kill); err != nil {
			return broken(name, err)
		}
	}
	log := filepath.Join(dir, "strace")
	words := h.strace(log, fail.call, "-y", "-e", fmt.Sprintf("inject=%s:error=%s:when=%s", fail.call, errno, when))
	if fail.places != nil {
		for _, path := range fail.places(h) {
			words = append(words, "-P", path)
		}
	}
	end, err := h.run(words...)
	if err != nil {
		return broken(name, err)
	}
	hits, err := injected(log)
	if err != nil {
		return broken(name, err)
	}
	if r.IntN(3) == 0 {
		if err := h.readMail(); err != nil {
			return broken(name, err)
		}
		name += ", then read"
	}
	sum := h.runAndCount(name, s, n, 1)
	// Failed calls of the Go runtime itself are not tested.
	runtime := slices.ContainsFunc(hits, func(hit string) bool { return strings.Contains(hit, "anon_inode:") })
	if len(hits) > 0 && !runtime {
		sum.points = 1
	}
	if !runtime && !end.expected() {
		sum.faults = append(sum.faults, fmt.Sprintf("%s: %v after %q", name, end, hits[:min(3, len(hits))]))
	}
	return sum
}

// injected returns the calls in the output of strace that it has made fail.
func injected(log string) ([]string, error) {
	text, err := os.ReadFile(log)
	var hits []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "(INJECTED)") {
			hits = append(hits, strings.TrimSpace(line))
		}
	}
	return hits, err
}
