package mda

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"popfetch/deliver"
	"popfetch/internal/spool"
)

// deliverName is the first argument that makes the test binary deliver a message
// to a program that waits at a gate.
const deliverName = "deliver-at-gate"

// atGate waits until somebody writes to the gate, and then reads the message. At its end it
// opens the FIFO ended.
const atGate = `read -r word < "$1/gate"; cat > "$1/part" && mv "$1/part" "$1/whole"; : > "$1/ended"`

// deliverAtGate delivers a message with this many octets, until the test kills it.
func deliverAtGate(dir, octets string) {
	var n int
	fmt.Sscan(octets, &n)
	m := &MDA{Argv: []string{"/bin/sh", "-c", atGate, "sh", dir}, Spool: dir, Env: os.Environ()}
	err := send(context.Background(), m, deliver.Meta{ID: "ab"}, strings.Repeat("x", n))
	fmt.Fprintln(os.Stderr, "not killed:", err)
	os.Exit(1)
}

// A program must not take the beginning of a message for the whole because popfetch was
// killed while it was reading: by itself, or with its process group as a shell, a
// terminal or a service manager does it.
func TestKilledPopfetchDoesNotCutTheMessage(t *testing.T) {
	for _, octets := range []int{10, 64 << 10, 200_000, spool.MaxMemory, spool.MaxMemory + 1, 5 << 20} {
		t.Run(fmt.Sprintf("%d octets, the process", octets), func(t *testing.T) {
			killAtGate(t, octets, func(popfetch int) int { return popfetch })
		})
		t.Run(fmt.Sprintf("%d octets, its process group", octets), func(t *testing.T) {
			killAtGate(t, octets, func(popfetch int) int { return -popfetch })
		})
	}
}

// killAtGate kills popfetch while the program waits at the gate with the message not read,
// and checks that the program gets all of it. target is the argument of kill(2).
func killAtGate(t *testing.T, octets int, target func(popfetch int) int) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	gate, ended := filepath.Join(dir, "gate"), filepath.Join(dir, "ended")
	for _, fifo := range []string{gate, ended} {
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(self, deliverName, dir, fmt.Sprint(octets))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // not the group of the test
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Each end of a FIFO waits until the other one is opened.
	open, err := os.OpenFile(gate, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(target(cmd.Process.Pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	fmt.Fprintln(open, "go")
	open.Close()
	end, err := os.Open(ended)
	if err != nil {
		t.Fatal(err)
	}
	end.Close()
	whole, err := os.Stat(filepath.Join(dir, "whole"))
	if err != nil || whole.Size() != int64(octets) {
		t.Errorf("the program took %v, %v, for a message of %d octets", whole, err, octets)
	}
}
