//go:build linux

package torture

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// score is what the trials of a suite have found.
type score struct {
	points, lost, repeated int
	faults                 []string // all that went wrong, in words
}

func (s *score) add(other score) {
	s.points += other.points
	s.lost += other.lost
	s.repeated += other.repeated
	s.faults = append(s.faults, other.faults...)
}

// report fails the test where the score is not clean.
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
		t.Errorf("%d faults have struck, want at least %d", s.points, atLeast)
	}
}

// workers is how many trials run at once: most of a trial is to wait for
// processes.
const workers = 4

// spread runs trials 0 to n-1 and adds up their scores. It begins no trial once
// enough returns true.
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

// until returns a condition that ends a suite at so many points.
func until(points int) func(score) bool {
	return func(s score) bool { return s.points >= points }
}

// broken is the score of a trial that could not be made.
func broken(trial string, err error) score {
	return score{faults: []string{trial + ": " + err.Error()}}
}

// settle runs popfetch once more, without faults, and counts the mail. faults is
// how many have struck.
func (h *home) settle(trial string, s server, n, faults int) score {
	h.orphans()
	end, err := h.run()
	if err != nil {
		return broken(trial, err)
	}
	sum := h.count(s, n, faults)
	if end.code != 0 || end.said != "" {
		sum.faults = append(sum.faults, "the run without faults: "+end.String())
	}
	if names := h.leftovers(); len(names) > 0 {
		sum.faults = append(sum.faults, fmt.Sprintf("left in tmp/: %q", names))
	}
	if len(sum.faults) > 0 {
		sum.faults = []string{trial + ": " + strings.Join(sum.faults, "; ")}
	}
	return sum
}

// count compares what was delivered with what the server had.
func (h *home) count(s server, n, faults int) score {
	got, err := h.found()
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
	if h.mda {
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
			wrong("message %d is repeated: %q", i, names)
		case h.mda && slices.ContainsFunc(names, func(name string) bool { return deliveryID(name) != deliveryID(names[0]) }):
			wrong("message %d has several delivery ids: %q", i, names)
		}
	}
	if sum.lost = len(lost); sum.lost > 0 {
		wrong("%d messages are lost: %v", sum.lost, lost[:min(5, len(lost))])
	}
	if copies := total(got.whole); h.mda && copies > n+faults {
		sum.repeated += copies - n - faults
		wrong("%d copies of %d messages after %d faults", copies, n, faults)
	}
	for _, name := range got.wrong {
		wrong("not what was sent: %s", name)
	}
	if h.keep && len(held) != n {
		wrong("the server holds %d messages of %d that are to be kept", len(held), n)
	}
	if !h.keep && len(held) != 0 {
		wrong("the server holds %d messages that are to be deleted", len(held))
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
