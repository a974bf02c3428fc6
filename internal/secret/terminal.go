package secret

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Terminal is where passwords are typed. All sources of a process share one, so
// that one question is asked at a time. A nil Terminal is one that nobody sits at.
type Terminal struct {
	in   *os.File
	out  io.Writer
	busy chan struct{} // holds one element while somebody uses the terminal
	// Using is called with true before a question is asked or a program that may ask one
	// runs, and with false after. It is set before the first of them; nil = not called.
	Using func(bool)
}

// NewTerminal returns a Terminal that reads from in and writes its questions to
// out. In need not be a terminal; then nobody is asked.
func NewTerminal(in *os.File, out io.Writer) *Terminal {
	return &Terminal{in: in, out: out, busy: make(chan struct{}, 1)}
}

// Attended reports whether there is somebody to ask. A process in the background
// of its terminal would be stopped by the attempt (SIGTTIN, SIGTTOU). A nil Terminal has
// nobody.
func (t *Terminal) Attended() bool {
	if t == nil {
		return false
	}
	fd := int(t.in.Fd())
	if !term.IsTerminal(fd) {
		return false
	}
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// lock waits until the terminal is free.
func (t *Terminal) lock(ctx context.Context) error {
	select {
	case t.busy <- struct{}{}:
		if t.Using != nil {
			t.Using(true)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Terminal) unlock() {
	if t.Using != nil {
		t.Using(false)
	}
	<-t.busy
}

// run runs a password command, on the terminal if somebody sits there.
func (t *Terminal) run(ctx context.Context, source string, argv []string) (string, error) {
	if !t.Attended() {
		return runCommand(ctx, source, argv, commandLimit, nil)
	}
	if err := t.lock(ctx); err != nil {
		return "", err
	}
	defer t.unlock()
	return runCommand(ctx, source, argv, typingLimit, t.in)
}

// ask asks on the terminal. netrc is the file that has no entry for the account.
func (s *Source) ask(ctx context.Context, netrc string) (string, error) {
	t := s.Terminal
	if !t.Attended() {
		return "", &Error{
			Msg: fmt.Sprintf("the account names no source, %s has no entry for %q at %s, and there is no terminal to ask on",
				netrc, s.User, s.Host),
			Hint: "set password_command, password_file, credential, keyring or token_command",
		}
	}
	if err := t.lock(ctx); err != nil {
		return "", err
	}
	defer t.unlock()
	if kept := s.known(); kept.IsSet() { // another call has asked meanwhile
		return kept.Reveal(), nil
	}
	what := "Password"
	if s.Kind() == Token {
		what = "Access token"
	}
	fmt.Fprintf(t.out, "%s for account %s (%s at %s): ", what, s.Account, strings.Map(printable, s.User), s.Host)
	typed, err := t.readLine(ctx)
	fmt.Fprintln(t.out)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", &Error{Source: "terminal", Msg: err.Error(), Err: err}
	}
	password, err := firstLine("terminal", typed)
	if err == nil {
		s.keep(password, true)
	}
	return password, err
}

// Read asks for a password on the terminal, or reads it from standard input if that is no
// terminal: the first line of it.
func (t *Terminal) Read(ctx context.Context, question string) (string, error) {
	if !term.IsTerminal(int(t.in.Fd())) {
		data, err := io.ReadAll(io.LimitReader(t.in, maxSecret))
		if err != nil {
			return "", &Error{Source: "standard input", Msg: err.Error(), Err: err}
		}
		return firstLine("standard input", data)
	}
	if err := t.lock(ctx); err != nil {
		return "", err
	}
	defer t.unlock()
	fmt.Fprint(t.out, question)
	typed, err := t.readLine(ctx)
	fmt.Fprintln(t.out)
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return "", &Error{Source: "terminal", Msg: err.Error(), Err: err}
	}
	return firstLine("terminal", typed)
}

// printable replaces a character that a terminal might obey.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// readLine reads a line without echo. When ctx ends it restores the terminal.
// The read itself cannot be interrupted and then swallows the next line.
func (t *Terminal) readLine(ctx context.Context) ([]byte, error) {
	fd := int(t.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type result struct {
		line []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return nil, term.Restore(fd, before)
	}
}
