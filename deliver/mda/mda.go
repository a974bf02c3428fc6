// Package mda delivers each message by running a program, the mail delivery agent:
// maildrop, procmail, dovecot-lda, rspamc or a script.
//
// The program is run from an argument vector, never by a shell, and gets the message on
// its standard input. The message is delivered when the program has read every octet and
// exits 0. The other exit codes have the meaning of sysexits.h.
//
// Nothing can undo the run of a program. A crash during one repeats the delivery of that
// message, with the same POPFETCH_ID.
package mda

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"popfetch/deliver"
	"popfetch/internal/spool"
)

// Kind is the Kind of this package's intents.
const Kind = "mda"

const (
	defaultTimeout = 5 * time.Minute
	defaultGrace   = 2 * time.Second
)

// MDA is a program as the destination of one account. Its fields are set before the first
// call and do not change after. Its methods share nothing else, and may run
// concurrently as deliver.Destination allows.
type MDA struct {
	// Argv is the program and its arguments, with placeholders for values of the message,
	// see Check. A program without a slash is searched in $PATH.
	Argv []string
	// Timeout is how long one run may take, 0 = 5 minutes. Then the process group of
	// the program is killed.
	Timeout time.Duration
	// Spool is the directory for messages over 1 MiB, "" = os.TempDir.
	Spool string
	// Env is an environment as of os.Environ. The program gets its PATH, HOME, USER,
	// LOGNAME, SHELL, LANG, LC_*, TZ, TMPDIR and XDG_*, and values of the message
	// in POPFETCH_*.
	Env []string
	// Log gets the output of programs, at level Debug. nil = nothing is logged.
	Log *slog.Logger

	// grace is the time between SIGTERM and SIGKILL, and for output after the end of the
	// program; 0 = 2 seconds.
	grace time.Duration
}

var _ deliver.Destination = (*MDA)(nil)

// Group implements deliver.Destination: a crash repeats one message at most.
func (m *MDA) Group() int { return 1 }

// Room implements deliver.Limited: a long message needs a spool.
func (m *MDA) Room() (octets int64, known bool) { return spool.Room(m.Spool) }

// Recoverable implements deliver.Destination: nobody can say what a program did
// before a crash.
func (m *MDA) Recoverable() bool { return false }

// Close implements deliver.Destination.
func (m *MDA) Close() error { return nil }

// staged is one spooled message.
type staged struct {
	m     *MDA
	meta  deliver.Meta
	spool *spool.Spool // nil after Publish or Abort
	made  time.Time
}

// Stage implements deliver.Destination: the message is spooled, so that no broken
// connection ever shows the program half a message. The program gets LF line ends.
func (m *MDA) Stage(ctx context.Context, meta deliver.Meta, r io.Reader) (deliver.Staged, error) {
	if len(m.Argv) == 0 {
		return nil, m.fail("run", deliver.Place, false, "", errors.New("no program"))
	}
	s, err := spool.New(ctx, m.Spool, deliver.NewLFReader(r))
	if err != nil {
		return nil, err
	}
	return &staged{m: m, meta: meta, spool: s, made: time.Now()}, nil
}

// Prepare implements deliver.Destination. A crash makes the server send the message again,
// so that the spool need not survive it. The sync finds a write error before the
// program runs.
func (m *MDA) Prepare(ctx context.Context, group []deliver.Staged) []error {
	return m.each(ctx, group, func(s *staged) error { return s.spool.Sync() })
}

// Publish implements deliver.Destination: the program is run for each message in turn.
func (m *MDA) Publish(ctx context.Context, group []deliver.Staged) []error {
	return m.each(ctx, group, func(s *staged) error {
		if err := m.deliver(ctx, s); err != nil {
			return err
		}
		return s.Abort() // frees the spool
	})
}

// each calls fn for each message of group that is spooled.
func (m *MDA) each(ctx context.Context, group []deliver.Staged, fn func(*staged) error) []error {
	spooled := func(s *staged) bool { return s.m == m && s.spool != nil }
	fail := func(scope deliver.Scope, err error) *deliver.Error { return m.fail("run", scope, true, "", err) }
	return deliver.EachOwn(ctx, group, spooled, fail, fn)
}

// deliver runs the program for one message.
func (m *MDA) deliver(ctx context.Context, s *staged) error {
	values := newValues(s.meta, s.spool)
	argv, err := expand(m.Argv, values)
	if err != nil {
		return m.fail("run", deliver.Message, false, "", err)
	}
	return m.run(ctx, argv, m.environ(values), s.spool)
}

// interrupted returns the error for the end of ctx.
func (m *MDA) interrupted(ctx context.Context) error {
	return m.fail("run", deliver.Place, true, "", context.Cause(ctx))
}

// fail returns the error for a message that was not delivered.
func (m *MDA) fail(op string, scope deliver.Scope, temporary bool, hint string, err error) *deliver.Error {
	path := "program"
	if len(m.Argv) > 0 {
		path = m.Argv[0]
	}
	return &deliver.Error{Op: op, Path: path, Scope: scope, Temporary: temporary, Hint: hint, Err: err}
}

// Intent implements deliver.Staged. Recover does not need the note; it is for people who look
// at the state file.
func (s *staged) Intent() deliver.Intent {
	return deliver.NewIntent(Kind, struct {
		Program string `json:"program"`
		ID      string `json:"id"`
		Attempt int    `json:"attempt"`
		Time    int64  `json:"time"` // Unix seconds
	}{s.m.Argv[0], s.meta.ID, s.meta.Attempt, s.made.Unix()})
}

// Abort implements deliver.Staged.
func (s *staged) Abort() error {
	if s.spool != nil {
		s.spool.Close()
		s.spool = nil
	}
	return nil
}

// Recover returns deliver.Again: after a crash nobody knows whether the program did its work.
func Recover(_ context.Context, _ deliver.Intent, _ time.Time) (deliver.Outcome, error) {
	return deliver.Again, nil
}
