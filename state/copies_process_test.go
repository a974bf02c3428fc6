package state

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// playCopies plays the parts that do not begin with an Open.
func playCopies(part, path string) error {
	switch part {
	case "restore":
		_, err := fileAt(path).Restore(true)
		return err
	case "compact":
		_, _, err := fileAt(path).Compact()
		return err
	}
	for n := 0; part == "restores"; n++ {
		if _, err := fileAt(path).Restore(true); err != nil {
			return err
		}
		fmt.Println(n)
	}
	for n := 0; part == "compactions"; n++ {
		s, err := fileAt(path).Open()
		if err != nil {
			return err
		}
		if err := errors.Join(s.Maildrop("me@host").Commit(stepChange(n)), s.Close()); err != nil {
			return err
		}
		fmt.Println(n)
		if _, _, err := fileAt(path).Compact(); err != nil {
			return err
		}
	}
	return playNoSpace(path)
}

// playNoSpace makes copies of a store under a limit on the size of files that is too small
// for them, and prints whether each failed with the error of the limit.
func playNoSpace(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 16 << 10, Max: syscall.RLIM_INFINITY & (1<<63 - 1)}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	report := func(what string, err error) { fmt.Println(what, errors.Is(err, syscall.EFBIG)) }
	_, _, err := fileAt(path).Compact()
	report("compact", err)
	_, err = fileAt(path).Restore(true)
	report("restore", err)
	s, err := fileAt(path).Open()
	if err != nil {
		return err
	}
	report("compact at open", s.Compaction().Err)
	_, err = s.Snapshot(time.Now().Add(2 * day))
	report("snapshot", err)
	_, err = s.Copy()
	report("copy", err)
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return errors.Join(s.Maildrop("you@host").Commit(stepChange(1)), s.Close())
}

// killAtRandom kills a process at a random moment after it has printed the given number
// of lines, and returns how many it has printed in all.
func killAtRandom(t *testing.T, p *process, rnd *rand.Rand, lines int) int {
	t.Helper()
	for n := range lines {
		if got := p.line(t); got != strconv.Itoa(n) {
			t.Fatalf("got %q, want %d", got, n)
		}
	}
	for wait := time.Now().Add(time.Duration(rnd.IntN(20_000)) * time.Microsecond); time.Now().Before(wait); {
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for p.out.Scan() {
		lines++
	}
	_ = p.Wait()
	return lines
}

func killRounds() int {
	if testing.Short() {
		return 4
	}
	return 30
}

func TestKillDuringSnapshots(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range killRounds() {
		path := newPath(t)
		p := start(t, "snapshots", path)
		p.line(t) // open
		steps := killAtRandom(t, p, rnd, rnd.IntN(6))
		s := mustOpen(t, path)
		if got := mustRead(t, s); !got.equal(afterSteps(steps)) && !got.equal(afterSteps(steps+1)) {
			t.Errorf("round %d: %d ids after %d acknowledged changes", round, len(got["me@host"]), steps)
		}
		wantNoLeftovers(t, path)
		// The snapshot is complete, and not older than the last one that was made.
		if _, err := os.Lstat(path + snapshotSuffix); err == nil {
			got := readCopy(t, path+snapshotSuffix)
			if n := len(got["me@host"]) / 10; n < steps-1 || !got.equal(afterSteps(n)) {
				t.Errorf("round %d: a snapshot of %d changes after %d", round, n, steps)
			}
		} else if steps > 1 {
			t.Errorf("round %d: no snapshot: %v", round, err)
		}
		if _, err := s.Snapshot(time.Now().Add(2 * day)); err != nil || !readCopy(t, path+snapshotSuffix).equal(mustRead(t, s)) {
			t.Errorf("round %d: the next snapshot: %v", round, err)
		}
		mustClose(t, s)
	}
}

func TestKillDuringRestores(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for round := range killRounds() {
		path, snapshot, present := yesterday(t)
		p := start(t, "restores", path)
		done := killAtRandom(t, p, rnd, rnd.IntN(3))
		s := mustOpen(t, path)
		got := mustRead(t, s)
		if !got.equal(snapshot) && (done > 0 || !got.equal(present)) {
			t.Errorf("round %d: neither the snapshot nor what was there, after %d restores", round, done)
		}
		mustCommit(t, s.Maildrop("me@host"), stepChange(1))
		wantContents(t, s, present)
		wantNoLeftovers(t, path)
		mustClose(t, s)
		if !readCopy(t, path+snapshotSuffix).equal(snapshot) {
			t.Errorf("round %d: the snapshot has changed", round)
		}
	}
}

func TestKillDuringCompactions(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for round := range killRounds() {
		path := newPath(t)
		p := start(t, "compactions", path)
		steps := killAtRandom(t, p, rnd, rnd.IntN(6))
		s := mustOpen(t, path)
		if got := mustRead(t, s); !got.equal(afterSteps(steps)) && !got.equal(afterSteps(steps+1)) {
			t.Errorf("round %d: %d ids after %d acknowledged changes", round, len(got["me@host"]), steps)
		}
		wantNoLeftovers(t, path)
		mustClose(t, s)
	}
}

func TestCopyWithoutSpaceLeavesTheStore(t *testing.T) {
	path, want := wasteful(t, 2000)
	snapshot := newPath(t)
	s := mustOpen(t, snapshot)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 5000)})
	old := mustRead(t, s)
	mustClose(t, s)
	if err := os.Rename(snapshot, path+snapshotSuffix); err != nil {
		t.Fatal(err)
	}
	p := start(t, "no space", path)
	for _, what := range []string{"compact", "restore", "compact at open", "snapshot", "copy"} {
		if got := p.line(t); got != what+" true" {
			t.Errorf("%s without space printed %q", what, got)
		}
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	wantNoLeftovers(t, path)
	if kept, _ := os.ReadDir(strings.TrimSuffix(path, "state.db")); len(kept) != 3 { // with the snapshot and the lock
		t.Errorf("the directory holds %v", kept)
	}
	if !readCopy(t, path+snapshotSuffix).equal(old) {
		t.Error("the snapshot has changed")
	}
	want.apply("you@host", stepChange(1))
	wantContents(t, mustOpen(t, path), want)
}
