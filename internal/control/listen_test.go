package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestSocketOfKilledOwnerIsReplaced(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	where, err := placeOf(state)
	if err != nil {
		t.Fatal(err)
	}
	defer where.close()
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: where.address, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if _, err := Dial(t.Context(), state); !errors.Is(err, ErrNobody) {
		t.Errorf("a stale socket gives %v", err)
	}
	serveAt(t, state, echo, nil)
	serves(t, state)
}

func TestFileInThePlaceOfTheSocketStays(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(state+".sock", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(state); err == nil || !strings.Contains(err.Error(), "state.db.sock is not a socket") {
		t.Errorf("Listen returns %v", err)
	}
	if text, err := os.ReadFile(state + ".sock"); string(text) != "mine" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if _, err := Dial(t.Context(), state); !errors.Is(err, ErrNobody) {
		t.Errorf("a client gets %v", err)
	}
}

func TestSocketOfLongPathIsFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"state.db", strings.Repeat("n", 200)} {
		state := filepath.Join(dir, name)
		s := serveAt(t, state, echo, nil)
		serves(t, state)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := Dial(t.Context(), state); !errors.Is(err, ErrNobody) {
			t.Errorf("after Close a client gets %v", err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestForeignUserIsTurnedAway(t *testing.T) {
	if state := os.Getenv("POPFETCH_TEST_DIAL"); state != "" {
		_, err := Dial(t.Context(), state)
		fmt.Println("dialled:", err)
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		t.Log("not root: there is no other user to be")
		return
	}
	dir, err := os.MkdirTemp("/tmp", "popfetch-control-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	state := filepath.Join(dir, "state.db")
	serveAt(t, state, ownerFunc(func(context.Context, Request, func(Answer)) error {
		t.Error("the request of another user was done")
		return nil
	}), nil)
	for _, mode := range []os.FileMode{0o600, 0o666} {
		if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(state+".sock", mode)); err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, "control.test")
		if err := copyFile(program, os.Args[0]); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "-test.run=^TestForeignUserIsTurnedAway$")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "POPFETCH_TEST_DIAL="+state)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "dialled: ") || strings.Contains(string(out), "dialled: <nil>") {
			t.Errorf("with mode %v the foreign client says %q, %v", mode, out, err)
		}
	}
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(to, text, 0o755), os.Chmod(to, 0o755)) // whatever the umask is
}

func TestThousandConnectionsLeaveTheOwnerUsable(t *testing.T) {
	state := serve(t, echo, func(l *times) { l.request = time.Second })
	open := descriptors(t)
	var idle sync.WaitGroup
	for range 1000 {
		idle.Go(func() {
			c, err := connect(t.Context(), state, Patience)
			if err != nil {
				return // the queue is full
			}
			defer c.Close()
			_, _ = io.Copy(io.Discard, c)
		})
	}
	for {
		names, err := ask(t, state, "work")
		if err == nil {
			if len(names) != 1 {
				t.Errorf("the owner answers %q", names)
			}
			break
		}
		if !errors.Is(err, ErrNobody) {
			t.Fatal(err)
		}
	}
	idle.Wait()
	if now := descriptors(t); now > open+maxConnections {
		t.Errorf("%d descriptors are open, %d before", now, open)
	}
}

func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
