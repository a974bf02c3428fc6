package maildir

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"popfetch/internal/durable/model"
)

// crashes tries crashes and counts their results.
type crashes struct {
	effort
	worlds chan world

	mu       sync.Mutex
	seen     map[uint64][2]bool // by view.key: whether that state was tried, for each phase
	points   int                // different states that were tried
	once     int                // of these, after a crash of the first run
	sampled  [2]int             // for each phase: instants with too many power cuts to try all
	lost     int
	repeated int
	partial  int
	problems []error // the first few
}

// phase is which run crashes: the first one, or the next one, which recovers.
type phase int

const (
	firstRun phase = iota
	nextRun
)

func newCrashes(e effort) *crashes { return &crashes{effort: e, seen: make(map[uint64][2]bool)} }

// run tries the crashes of one trial, on all processors.
func (s *crashes) run(t *trial) {
	s.worlds = make(chan world)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for w := range s.worlds {
				s.check(s.crash(w, firstRun))
			}
		})
	}
	s.check(s.first(t))
	close(s.worlds)
	workers.Wait()
}

// first sends to s.worlds the states that a crash of the first run may leave, also with what a
// mail reader may do to them before the next run.
func (s *crashes) first(t *trial) error {
	w, err := t.begin()
	if err != nil {
		return err
	}
	instants, err := w.instants()
	if err != nil {
		return fmt.Errorf("%s: without a crash: %w", t.name, err)
	}
	for i, in := range instants {
		if s.at != "" && s.at != in.op {
			continue
		}
		for left := range s.after(w, in, firstRun, uint64(i)) {
			read, err := left.readers()
			if err != nil {
				return err
			}
			for _, w := range append(read, left) { // readers copies left, whose receiver may change its disk
				s.worlds <- w
			}
		}
	}
	return nil
}

// after yields the worlds that a crash at an instant may leave: by a kill, which loses nothing
// of the disk, and by power cuts.
func (s *crashes) after(w world, in instant, of phase, seed uint64) iter.Seq[world] {
	return func(yield func(world) bool) {
		for disk := range s.disks(in.disk, of, seed) {
			kind := "power cut"
			if disk == in.disk {
				kind = "kill"
			}
			for _, server := range in.server.ends() {
				if !yield(world{
					trial: w.trial, disk: disk.Clone(), server: server, late: w.late,
					history: fmt.Sprintf("%s, %s after %q", w.history, kind, in.op),
					// The tree of a new Maildir is made only once: too few would be chosen.
					twice: disk == in.disk && strings.HasPrefix(in.op, "mkdir "),
				}) {
					return
				}
			}
		}
	}
}

// disks yields d itself and then all its power cuts, or a sample if there are too many.
func (s *crashes) disks(d *model.Disk, of phase, seed uint64) iter.Seq[*model.Disk] {
	most := s.cuts
	if of == nextRun {
		most = s.recuts
	}
	n := 0
	for range d.Cuts() {
		if n++; n > most {
			break
		}
	}
	return func(yield func(*model.Disk) bool) {
		if !yield(d) {
			return
		}
		if n <= most {
			d.Cuts()(yield)
			return
		}
		s.sampling(of)
		random := rand.New(rand.NewPCG(seed, 1))
		for range most {
			if !yield(d.Cut(random.IntN)) {
				return
			}
		}
	}
}

// sampling counts an instant at which not all power cuts are tried.
func (s *crashes) sampling(of phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sampled[of]++
}

// readers returns copies of a world in which a mail reader is at work, or in which the next run
// is more than a day later.
func (w world) readers() ([]world, error) {
	const nextDay = maxAge + time.Hour
	later := w
	later.disk = w.disk.Clone()
	later.late += nextDay
	later.history += ", next day"
	others := []world{later}
	for _, r := range []struct {
		words   string
		file    bool
		elapsed time.Duration
	}{
		{", a reader opens all", false, 0},
		{", a reader files some", true, 0},
		{", a reader opens all, next day", false, nextDay},
	} {
		other := w
		other.disk = w.disk.Clone()
		other.late += r.elapsed
		other.history += r.words
		moved, err := other.read(r.file)
		if err != nil {
			return nil, err
		}
		if moved {
			others = append(others, other)
		}
	}
	return others, nil
}

// crash tries one state after a crash: it judges the state, makes the recovery crash in a part
// of the cases, runs the program again and judges the result.
func (s *crashes) crash(w world, of phase) error {
	v, err := w.look()
	if err != nil || !s.count(v.key, of) {
		return err
	}
	s.judge(w, v, false)
	if of == firstRun && s.every > 0 && (w.twice || v.key%s.every == 0) {
		if err := s.second(w, v.key); err != nil {
			return err
		}
	}
	if err := w.poll(); err != nil {
		return fmt.Errorf("%s: next run: %w", w.history, err)
	}
	if v, err = w.look(); err == nil {
		s.judge(w, v, true)
	}
	return err
}

// second crashes the recovery of w at every instant.
func (s *crashes) second(w world, seed uint64) error {
	instants, err := w.instants()
	if err != nil {
		return fmt.Errorf("%s: recovery: %w", w.history, err)
	}
	for i, in := range instants {
		for left := range s.after(w, in, nextRun, seed+uint64(i)) {
			if err := s.crash(left, nextRun); err != nil {
				return err
			}
		}
	}
	return nil
}

// count reports whether the state key was not tried yet for the phase, and counts it. A state
// that comes of both phases is tried for each, so that the order of the workers does not
// decide which recoveries crash, and counted once.
func (s *crashes) count(key uint64, of phase) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen[key]
	if seen[of] {
		return false
	}
	if seen == [2]bool{} {
		s.points++
	}
	if of == firstRun {
		s.once++
	}
	seen[of] = true
	s.seen[key] = seen
	return true
}

// judge counts what is wrong in a world: at the crash or, with over, after the next run.
func (s *crashes) judge(w world, v view, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	when := "at the crash"
	if over {
		when = "after the next run"
	}
	say := func(format string, args ...any) {
		s.problem(fmt.Errorf("%s: %s: %s", w.history, when, fmt.Sprintf(format, args...)))
	}
	for i, copies := range v.copies {
		switch {
		case copies > 1:
			s.repeated++
			say("message %d is there %d times", i, copies)
		case copies == 0 && (over || w.server.gone[i] && !v.waiting[i]):
			s.lost++
			say("message %d is lost", i)
		}
		if over && (!v.seen[i] || w.server.gone[i] != w.remove) {
			say("message %d: recorded as delivered %v, deleted at the server %v", i, v.seen[i], w.server.gone[i])
		}
	}
	if v.partial > 0 {
		s.partial += v.partial
		say("%d files that a reader sees are not a whole message", v.partial)
	}
	if over && v.left+v.intents > 0 {
		say("%d files are left in tmp/, and %d intents", v.left, v.intents)
	}
}

// check notes an error of the test itself.
func (s *crashes) check(err error) {
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.problem(err)
	}
}

// problem keeps the first few errors.
func (s *crashes) problem(err error) {
	const most = 20
	if len(s.problems) == most {
		s.problems = append(s.problems, errors.New("and more"))
	}
	if len(s.problems) < most {
		s.problems = append(s.problems, err)
	}
}
