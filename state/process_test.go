package state

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// If this variable is set, the test binary is another process of a test and plays the
// part that it names.
const partVariable = "POPFETCH_STATE_TEST_PART"

func TestMain(m *testing.M) {
	part := os.Getenv(partVariable)
	if part == "" {
		os.Exit(m.Run())
	}
	if err := play(part, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(part, path string) error {
	if part == "full" { // a limit on the size of files in place of a full disk
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: 64 << 10, Max: syscall.RLIM_INFINITY & (1<<63 - 1)}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
	}
	switch part {
	case "restore", "restores", "compact", "compactions", "no space":
		return playCopies(part, path)
	}
	s, err := fileAt(path).Open()
	if err != nil {
		return err
	}
	fmt.Println("open")
	switch part {
	case "once":
		return s.Close()
	case "intents":
		for range 2 {
			if _, err := s.Maildrop("me@host").Intents(); err != nil {
				return err
			}
		}
		return s.Close()
	case "two commits":
		for n := range 2 {
			if err := s.Maildrop("me@host").Commit(stepChange(n)); err != nil {
				return err
			}
			fmt.Println(n)
		}
		return s.Close()
	case "snapshot":
		_, err := s.Snapshot(time.Now().Add(2 * day))
		return errors.Join(err, s.Close())
	case "snapshots":
		for n := 0; ; n++ {
			if err := s.Maildrop("me@host").Commit(stepChange(n)); err != nil {
				return err
			}
			fmt.Println(n) // acknowledged
			if _, err := s.Snapshot(time.Now().Add(2 * day)); err != nil {
				return err
			}
		}
	case "hold":
		_, err := io.Copy(io.Discard, os.Stdin) // until the test closes it
		return errors.Join(err, s.Close())
	case "commit", "full":
		for n := 0; ; n++ {
			if err := s.Maildrop("me@host").Commit(stepChange(n)); err != nil {
				if part == "commit" {
					return err
				}
				again := s.Maildrop("me@host").Commit(stepChange(n + 1))
				fmt.Println("full", again == err)
				return s.Close()
			}
			fmt.Println(n) // acknowledged
		}
	}
	return fmt.Errorf("no part %q", part)
}

// stepChange is the n-th change of a process that commits: it opens ten ids with intents,
// and ends the intents of the change before.
func stepChange(n int) Change {
	c := Change{Put: entries(10*n, 10*n+10)}
	for i := range c.Put {
		c.Put[i].Intent = &Intent{Kind: "maildir", Note: strconv.Itoa(n)}
	}
	if n > 0 {
		for _, e := range entries(10*n-10, 10*n) {
			c.Done = append(c.Done, e.ID)
		}
	}
	return c
}

// afterSteps is what a store holds after n step changes.
func afterSteps(n int) contents {
	c := contents{}
	for i := range n {
		c.apply("me@host", stepChange(i))
	}
	return c
}

type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, part, path string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(exe, path)}
	p.Env = append(os.Environ(), partVariable+"="+part)
	p.Stderr = os.Stderr
	in, inErr := p.StdinPipe()
	out, outErr := p.StdoutPipe()
	if err := errors.Join(inErr, outErr, p.Start()); err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewScanner(out)
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	return p
}

// line returns the next line of the process's output.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.out.Scan() {
		t.Fatalf("the other process has stopped: %v", p.Wait())
	}
	return p.out.Text()
}

func TestTwoProcessesCompeteForTheLock(t *testing.T) {
	path := newPath(t)
	p := start(t, "hold", path)
	p.line(t)
	for _, open := range []func(File) (*Bolt, error){File.Open, File.OpenView} {
		_, err := open(File{Path: path, Wait: 30 * time.Millisecond})
		if !errors.Is(err, ErrLocked) {
			t.Fatalf("opened beside another process: %v", err)
		}
		for _, word := range []string{path, fmt.Sprintf("process %d", p.Process.Pid)} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not name %s", err, word)
			}
		}
	}
	opened := make(chan error)
	go func() {
		s, err := File{Path: path, Wait: time.Minute}.Open()
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	if err := p.in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("after the lock was released: %v", err)
	}
}

func TestSecondOpenInTheSameProcessIsLocked(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	if _, err := fileAt(path).Open(); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	mustClose(t, s)
	mustClose(t, mustOpen(t, path))
}

func TestLockEndsWithAKilledProcess(t *testing.T) {
	path := newPath(t)
	p := start(t, "hold", path)
	p.line(t)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	s, err := fileAt(path).Open()
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
}

func TestKillDuringCommits(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 3
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		path := newPath(t)
		p := start(t, "commit", path)
		p.line(t)
		last := -1
		for range rnd.IntN(20) {
			last++
			if got := p.line(t); got != strconv.Itoa(last) {
				t.Fatalf("got %q, want %d", got, last)
			}
		}
		for range rnd.IntN(200_000) { // until somewhere in the next commit
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for p.out.Scan() { // acknowledged before the kill came
			last++
			if got := p.out.Text(); got != strconv.Itoa(last) {
				t.Fatalf("got %q, want %d", got, last)
			}
		}
		_ = p.Wait()
		got := mustRead(t, mustOpen(t, path))
		// The commit that was being written may be there too, but only whole.
		if !got.equal(afterSteps(last+1)) && !got.equal(afterSteps(last+2)) {
			t.Errorf("round %d: %d ids after %d acknowledged changes", round, len(got["me@host"]), last+1)
		}
	}
}

func TestKillDuringTheFirstStart(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		path := newPath(t)
		p := start(t, "hold", path)
		for wait := time.Now().Add(time.Duration(round) * 300 * time.Microsecond); time.Now().Before(wait); {
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait()
		wantContents(t, mustOpen(t, path), contents{})
	}
}

func TestFullDiskLosesNoCommit(t *testing.T) {
	path := newPath(t)
	p := start(t, "full", path)
	steps := -1
	for {
		text := p.line(t)
		if full, ok := strings.CutPrefix(text, "full "); ok {
			if full != "true" {
				t.Error("the store went on after a failed commit")
			}
			break
		}
		steps++
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if steps < 5 {
		t.Fatalf("full after %d changes", steps)
	}
	s := mustOpen(t, path)
	wantContents(t, s, afterSteps(steps))
	mustCommit(t, s.Maildrop("me@host"), stepChange(steps))
	wantContents(t, s, afterSteps(steps+1))
}
