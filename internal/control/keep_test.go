package control

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keptAt serves the socket of a state file and makes it again.
func keptAt(t *testing.T, state string) *Server {
	t.Helper()
	l, err := Listen(state)
	if err != nil {
		t.Fatal(err)
	}
	s := start(l, Info{Version: "test", PID: os.Getpid(), Command: "daemon"}, echo, times{request: time.Minute, heartbeat: time.Second, look: time.Millisecond})
	t.Cleanup(func() { s.Close() })
	s.Keep(l, state)
	return s
}

// returns waits until somebody serves the socket.
func returns(t *testing.T, state string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for {
		c, err := Dial(ctx, state)
		if err == nil {
			c.Close()
			return
		}
		if !errors.Is(err, ErrNobody) || ctx.Err() != nil {
			t.Fatalf("the socket is not served again: %v", err)
		}
	}
}

func TestSocketThatSomebodyRemovesIsMadeAgain(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("long/", 40))} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		state := filepath.Join(dir, "state.db")
		s := keptAt(t, state)
		for range 3 {
			if err := os.Remove(state + ".sock"); err != nil {
				t.Fatal(err)
			}
			returns(t, state)
			serves(t, state)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(state + ".sock"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	}
}

func TestSocketOfADirectoryThatWasAwayIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state.db")
	keptAt(t, state)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	returns(t, state)
	serves(t, state)
}

// Another owner serves it, since the state file was replaced.
func TestSocketOfAnotherOwnerStays(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	first := serveAt(t, state, echo, nil)
	serveAt(t, state, echo, nil)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	serves(t, state)
}
