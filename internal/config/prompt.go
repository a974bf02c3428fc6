package config

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// asker is the terminal that all accounts share: one question at a time, and
// every answer is kept.
type asker struct {
	in  *os.File
	out io.Writer

	busy    chan struct{} // holds one element while the terminal is in use
	mu      sync.Mutex
	answers map[string]Secret // by name of account
}

func newAsker() *asker {
	return &asker{in: os.Stdin, out: os.Stderr, busy: make(chan struct{}, 1), answers: map[string]Secret{}}
}

// isTerminal says whether there is somebody to ask. A process in the background
// of its terminal would be stopped by the attempt (SIGTTIN, SIGTTOU).
func (k *asker) isTerminal() bool {
	fd := int(k.in.Fd())
	if !term.IsTerminal(fd) {
		return false
	}
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// lock waits until the terminal is free.
func (k *asker) lock(ctx context.Context) error {
	select {
	case k.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *asker) unlock() { <-k.busy }

// command runs a password command, on the terminal if there is one.
func (k *asker) command(ctx context.Context, source string, argv []string) (string, error) {
	if !k.isTerminal() {
		return runCommand(ctx, source, argv, commandLimit, nil)
	}
	if err := k.lock(ctx); err != nil {
		return "", err
	}
	defer k.unlock()
	return runCommand(ctx, source, argv, typingLimit, k.in)
}

// password asks for the password of an account. netrc is where it was not found.
func (k *asker) password(ctx context.Context, a *Account, netrc string) (string, error) {
	if !k.isTerminal() {
		return "", noPassword(a, netrc)
	}
	if err := k.lock(ctx); err != nil {
		return "", err
	}
	defer k.unlock()
	k.mu.Lock()
	known := k.answers[a.Name]
	k.mu.Unlock()
	if known.IsSet() {
		return known.Reveal(), nil
	}
	fmt.Fprintf(k.out, "Password for account %s (%s at %s): ", a.Name, strings.Trim(fmt.Sprintf("%q", a.User), `"`), a.Host)
	typed, err := k.read(ctx)
	fmt.Fprintln(k.out)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", &SecretError{Source: "terminal", Msg: err.Error(), Err: err}
	}
	password, err := firstLine("terminal", typed)
	if err == nil {
		k.mu.Lock()
		k.answers[a.Name] = NewSecret(password)
		k.mu.Unlock()
	}
	return password, err
}

// forget makes the next call of password ask again.
func (k *asker) forget(a *Account) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.answers, a.Name)
}

// read reads a line without echo. When ctx ends it puts the terminal back as it
// was; the read itself cannot be ended and then waits for the next line.
func (k *asker) read(ctx context.Context) ([]byte, error) {
	fd := int(k.in.Fd())
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
