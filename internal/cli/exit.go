package cli

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
)

// Exit codes, as in sysexits(3) where it has one. popfetch(1) lists them.
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

// exit prints err unless the user has seen it, and returns the exit code.
func (p *program) exit(ctx context.Context, err error) int {
	if err != nil && !errors.As(err, new(*reportedError)) {
		con := p.last
		if con == nil { // nothing has begun
			con = &console{err: p.err, journal: p.journal}
		}
		con.complain(err)
	}
	return exitCode(ctx, err)
}

// exitCode returns the code for what a command has returned. A command line
// that makes no sense is the only error that has no class: it ends a run before
// there is anything to classify.
func exitCode(ctx context.Context, err error) int {
	if errors.As(err, new(*usage)) {
		return exitUsage
	}
	switch fetch.Classify(err) {
	case fetch.OK:
		return exitOK
	case fetch.State, fetch.Lost:
		return exitState
	case fetch.Delivery:
		return exitDelivery
	case fetch.Auth:
		return exitAuth
	case fetch.Protocol:
		return exitProtocol
	case fetch.Config:
		return exitConfig
	case fetch.Canceled:
		var s *stopped
		if errors.As(context.Cause(ctx), &s) {
			return exitSignal + int(s.signal)
		}
	}
	return exitTemporary
}

// exitCodeOf returns the exit code for an error by itself.
func exitCodeOf(err error) int { return exitCode(context.Background(), err) }

// ignoreExitError keeps the library from ending the process.
func ignoreExitError(*cli.Context, error) {}
