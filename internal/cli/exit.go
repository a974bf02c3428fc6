package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"popfetch/fetch"
	"popfetch/internal/config"
)

// Exit codes, those of sysexits(3) where it has one. popfetch(1) says the same.
const (
	exitOK        = 0
	exitUsage     = 64
	exitDelivery  = 73
	exitState     = 74
	exitTemporary = 75
	exitProtocol  = 76
	exitAuth      = 77
	exitConfig    = 78
	exitSignal    = 128 // plus the number of the signal
)

// exit says what went wrong, as far as that has not been said, and returns the
// exit code.
func (p *program) exit(ctx context.Context, err error) int {
	var said *saidError
	if err != nil && !errors.As(err, &said) {
		p.complain(err)
	}
	return exitCode(ctx, err)
}

// exitCode is the only place that knows which error ends with which code.
func exitCode(ctx context.Context, err error) int {
	var use *usage
	var conf *config.Error
	var lost *lostError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &use):
		return exitUsage
	case errors.As(err, &conf):
		return exitConfig
	case errors.As(err, &lost):
		return exitState
	}
	switch fetch.Classify(err) {
	case fetch.State:
		return exitState
	case fetch.Delivery:
		return exitDelivery
	case fetch.Auth:
		return exitAuth
	case fetch.Protocol:
		return exitProtocol
	case fetch.Canceled:
		var s *stopped
		if errors.As(context.Cause(ctx), &s) {
			return exitSignal + int(s.signal)
		}
	}
	var setting *settingError
	var secret *config.SecretError
	if errors.As(err, &setting) || errors.As(err, &secret) && !secret.Temporary() {
		return exitConfig
	}
	return exitTemporary
}

// saidError wraps what the user has been told already.
type saidError struct{ err error }

func (e *saidError) Error() string { return e.err.Error() }

func (e *saidError) Unwrap() error { return e.err }

// said marks err as told, nil stays nil.
func said(err error) error {
	if err == nil {
		return nil
	}
	return &saidError{err}
}

// mostReasons is how many reasons of one account are said.
const mostReasons = 10

// complain writes an error to standard error: a line for each thing that is
// wrong, and under it what can be done about it.
func (p *program) complain(err error) {
	var account *fetch.AccountError
	if !errors.As(err, &account) {
		p.complainOf("", err, make(map[string]bool))
		return
	}
	hints := make(map[string]bool) // that were given already
	for i, e := range account.Errs {
		if i == mostReasons {
			fmt.Fprintf(p.err, "popfetch: %s: and %d more\n", account.Account, len(account.Errs)-i)
			return
		}
		p.complainOf(account.Account+": ", e, hints)
	}
}

func (p *program) complainOf(prefix string, err error, given map[string]bool) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(p.err, "popfetch: %s%s\n", prefix, printable(strings.TrimSuffix(line, "\n")))
	}
	if h := hint(err); h != "" && !given[h] {
		given[h] = true
		fmt.Fprintf(p.err, "popfetch: %shint: %s\n", prefix, printable(h))
	}
}

// printable escapes what a terminal might obey. Servers, certificates and programs
// have a say in errors.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsGraphic(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
