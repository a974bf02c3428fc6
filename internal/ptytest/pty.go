//go:build linux

// Package ptytest gives tests a terminal: a pseudo-terminal whose user is the test.
package ptytest

import (
	"os"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Open makes a pseudo-terminal with this many columns, closed at the end of the test. What
// is written to user has been typed, and what the program shows on terminal can be read
// from user.
func Open(t testing.TB, columns uint16) (user, terminal *os.File) {
	t.Helper()
	user, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close(); terminal.Close() })
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	return user, terminal
}

// Echoes reports whether the terminal shows what is typed.
func Echoes(t testing.TB, terminal *os.File) bool {
	t.Helper()
	settings, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}

// WaitForNoEcho returns once the terminal no longer shows what is typed, which a program
// arranges while it asks for a password. The test fails after a minute.
func WaitForNoEcho(t testing.TB, terminal *os.File) {
	t.Helper()
	// The kernel does not signal such a change, so this keeps looking.
	for end := time.Now().Add(time.Minute); Echoes(t, terminal); {
		if time.Now().After(end) {
			t.Fatal("the terminal still echoes after a minute")
		}
	}
}
