//go:build linux

package torture

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// score is the result of the trials of a suite.
type score struct {
	points, lost, repeated int
	faults                 []string // everything that went wrong, in words
}

func (s *score) add(other score) {
	s.points += other.points
	s.lost += other.lost
	s.repeated += other.repeated
	s.faults = append(s.faults, other.faults...)
}

// report fails the test unless the score is clean and at least this many faults took effect.
func (s *score) report(t *testing.T, atLeast int) {
	t.Helper()
	const most = 10
	for _, f := range s.faults[:min(most, len(s.faults))] {
		t.Error(f)
	}
	if len(s.faults) > most {
		t.Errorf("and %d more", len(s.faults)-most)
	}
	if s.points < atLeast {
		t.Errorf("%d faults took effect, want at least %d", s.points, atLeast)
	}
}

// workers is how many trials run at once. A trial mostly waits for processes.
const workers = 4

// spread runs trials 0 to n-1 and adds up their scores. It starts no trial once enough returns
// true.
func spread(n int, enough func(score) bool, trial func(worker, i int) score) score {
	var mu sync.Mutex
	var sum score
	next := 0
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				over := i >= n || enough(sum)
				mu.Unlock()
				if over {
					return
				}
				s := trial(w, i)
				mu.Lock()
				sum.add(s)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sum
}

// until returns a condition that is true from this many points on.
func until(points int) func(score) bool {
	return func(s score) bool { return s.points >= points }
}

// broken is the score of a trial that could not be completed.
func broken(trial string, err error) score {
	return score{faults: []string{trial + ": " + err.Error()}}
}

// recovered is all that a run without faults may say, if popfetch has told of a fault before.
var recovered = regexp.MustCompile(`^popfetch: a: works again after [^\n]*\n$`)

// runAndCount runs popfetch once more, without faults, and counts the mail. faults is how many
// faults took effect before.
func (h *home) runAndCount(trial string, s server, n, faults int) score {
	h.waitForOrphans()
	end, err := h.run()
	if err != nil {
		return broken(trial, err)
	}
	sum := h.count(s, n, faults)
	if end.code != 0 || end.said != "" && !recovered.MatchString(end.said) {
		sum.faults = append(sum.faults, "the run without faults: "+end.String())
	}
	if names := h.leftovers(); len(names) > 0 {
		sum.faults = append(sum.faults, fmt.Sprintf("left behind: %q", names))
	}
	if len(sum.faults) > 0 {
		sum.faults = []string{trial + ": " + strings.Join(sum.faults, "; ")}
	}
	return sum
}

// count compares the delivered messages with those that the server had.
func (h *home) count(s server, n, faults int) score {
	got, err := h.delivered()
	if err != nil {
		return broken("count", err)
	}
	held, err := s.left()
	if err != nil {
		return broken("server", err)
	}
	var sum score
	wrong := func(format string, args ...any) { sum.faults = append(sum.faults, fmt.Sprintf(format, args...)) }
	allowed := 1 // copies of a message
	if h.to.repeats() {
		allowed += faults
	}
	var lost []int
	for i := range n {
		names := got.whole[i]
		switch {
		case len(names) == 0:
			lost = append(lost, i)
		case len(names) > allowed:
			sum.repeated += len(names) - allowed
			wrong("message %d was delivered more than once: %q", i, names)
		case h.to.repeats() && slices.ContainsFunc(names, func(name string) bool { return deliveryID(name) != deliveryID(names[0]) }):
			wrong("message %d has several delivery ids: %q", i, names)
		}
	}
	if sum.lost = len(lost); sum.lost > 0 {
		wrong("%d messages are lost: %v", sum.lost, lost[:min(5, len(lost))])
	}
	if copies := total(got.whole); h.to.repeats() && copies > n+faults {
		sum.repeated += copies - n - faults
		wrong("%d copies of %d messages after %d faults", copies, n, faults)
	}
	for _, name := range got.wrong {
		wrong("not as sent: %s", name)
	}
	if h.keep && len(held) != n {
		wrong("the server holds %d messages of %d that it had to keep", len(held), n)
	}
	if !h.keep && len(held) != 0 {
		wrong("the server still holds %d messages that had to be deleted", len(held))
	}
	sum.faults = sum.faults[:min(5, len(sum.faults))]
	return sum
}

func total(whole map[int][]string) int {
	n := 0
	for _, names := range whole {
		n += len(names)
	}
	return n
}
