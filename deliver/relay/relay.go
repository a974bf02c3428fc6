// Package relay hands each message to another mail server: by LMTP (RFC 2033) to Dovecot, so
// that Sieve files it, to Cyrus, or to whatever else takes mail for mailboxes of its own; or by
// SMTP (RFC 5321), which may carry it further.
//
// A message is sent only after it was received whole. It is delivered when the server has
// accepted it for every recipient with a reply of 2xx after the end of the data. A refusal
// leaves it on the POP3 server: nothing is deleted, and no bounce is made. A recipient that
// has accepted a message does not get it again because another one has not.
//
// The reply to a message may be lost after the server has accepted it. Nobody can ask for
// it again, so that a cut connection or a crash at that moment repeats this one message,
// with the same delivery id in its Received field.
package relay

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"popfetch/deliver"
	"popfetch/internal/spool"
)

// The Kinds of this package's intents.
const (
	Kind     = "lmtp"
	KindSMTP = "smtp"
)

const (
	defaultTimeout = time.Minute
	// defaultFinal is how long to wait for the reply to a message. A shorter time makes
	// repeats: RFC 5321 section 4.5.3.2.6.
	defaultFinal = 10 * time.Minute
	// defaultGrace is the time for a reply that is due when popfetch is stopped.
	defaultGrace = 2 * time.Second
)

// Relay is a server that takes the mail of one account. Its exported fields are set before
// the first call and do not change after. Its methods may run concurrently as
// deliver.Destination allows.
type Relay struct {
	SMTP       bool     // SMTP in place of LMTP
	Network    string   // "unix" or "tcp"
	Address    string   // path of the socket, or host:port
	Recipients []string // without angle brackets, see CheckAddress; at least one
	// Connect connects to the server and logs in. nil connects in clear text and without
	// a login, with Name and Timeout as for Options.
	Connect func(ctx context.Context) (*Client, error)
	Name    string
	Timeout time.Duration
	// Spool is the directory for messages over 1 MiB, "" = os.TempDir.
	Spool string

	final   time.Duration // see Options
	grace   time.Duration
	reached atomic.Bool // a session has been opened

	mu      sync.Mutex
	session *session // nil = none is open
}

var _ deliver.Destination = (*Relay)(nil)

// Group implements deliver.Destination: a crash repeats one message at most.
func (r *Relay) Group() int { return 1 }

// Recoverable implements deliver.Destination: LMTP has no way to ask later what became of a
// message.
func (r *Relay) Recoverable() bool { return false }

// Room implements deliver.Limited: a long message needs a spool.
func (r *Relay) Room() (octets int64, known bool) { return spool.Room(r.Spool) }

// Close implements deliver.Destination. It ends the session.
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session != nil {
		r.session.client.quit()
		r.session = nil
	}
	return nil
}

// staged is one spooled message.
type staged struct {
	r     *Relay
	meta  deliver.Meta
	spool *spool.Spool // nil after Publish or Abort
	made  time.Time
}

// Stage implements deliver.Destination: the message is spooled, so that a broken
// connection to the POP3 server never cuts what is sent. The first call connects, because
// without the server nothing is worth a download.
func (r *Relay) Stage(ctx context.Context, meta deliver.Meta, src io.Reader) (deliver.Staged, error) {
	if !r.reached.Load() {
		if _, err := r.connected(ctx); err != nil {
			return nil, err
		}
	}
	s, err := spool.New(ctx, r.Spool, newLineReader(src))
	if err != nil {
		return nil, err
	}
	return &staged{r: r, meta: meta, spool: s, made: time.Now()}, nil
}

// Prepare implements deliver.Destination. A crash makes the POP3 server send the message
// again, so that the spool need not survive it. What can fail before the message is sent
// fails here, before an intent is recorded.
func (r *Relay) Prepare(ctx context.Context, group []deliver.Staged) []error {
	return r.each(ctx, group, func(s *staged) error {
		if err := s.spool.Sync(); err != nil {
			return err
		}
		_, err := r.connected(ctx)
		return err
	})
}

// Publish implements deliver.Destination: the messages are sent one after the other.
func (r *Relay) Publish(ctx context.Context, group []deliver.Staged) []error {
	return r.each(ctx, group, func(s *staged) error {
		if err := r.deliver(ctx, s); err != nil {
			return err
		}
		return s.Abort() // frees the spool
	})
}

// each calls fn for each message of group that is spooled.
func (r *Relay) each(ctx context.Context, group []deliver.Staged, fn func(*staged) error) []error {
	spooled := func(s *staged) bool { return s.r == r && s.spool != nil }
	fail := func(scope deliver.Scope, err error) *deliver.Error { return r.fail(scope, true, "", err) }
	return deliver.EachOwn(ctx, group, spooled, fail, fn)
}

// deliver sends one message to the recipients that do not have it. A session that the server
// has closed since the last message is replaced once: nothing of this one has been accepted
// then.
func (r *Relay) deliver(ctx context.Context, s *staged) error {
	sender := deliver.NewEnvelope(s.meta, s.spool.Head()).Sender
	have := s.have()
	missing := without(r.Recipients, have)
	if len(missing) == 0 { // the recipient that refused is no longer in the configuration
		return nil
	}
	for first := true; ; first = false {
		c, err := r.connected(ctx)
		if err != nil {
			return err
		}
		used := c.used
		stop := context.AfterFunc(ctx, c.client.conn.interrupt)
		accepted, err := c.send(sender, missing, s.spool)
		if !stop() || c.broken {
			r.drop(c)
		}
		if err == nil {
			return nil
		}
		if c.broken && !c.inData && used && first && ctx.Err() == nil {
			continue
		}
		if ctx.Err() != nil {
			err = r.interrupted(ctx)
		}
		var e *deliver.Error
		if errors.As(err, &e) {
			e.Progress = s.note(append(have, accepted...))
		}
		return err
	}
}

// connected returns the open session, or opens one. Errors are of scope Place.
func (r *Relay) connected(ctx context.Context) (*session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session != nil {
		return r.session, nil
	}
	s, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	r.session = s
	r.reached.Store(true)
	return s, nil
}

// drop closes a session at once.
func (r *Relay) drop(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.client.Close()
	if r.session == s {
		r.session = nil
	}
}

// Check connects and asks whether the server would take a message for the recipient. It
// sends none. It leaves the session open, see Close.
func (r *Relay) Check(ctx context.Context) error {
	c, err := r.connected(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.client.conn.interrupt)
	defer stop()
	err = c.ask()
	if ctx.Err() != nil {
		return r.interrupted(ctx)
	}
	return err
}

// Intent implements deliver.Staged. Recover does not need the note; it is for people who look
// at the state file.
func (s *staged) Intent() deliver.Intent {
	return deliver.NewIntent(s.r.kind(), struct {
		Server     string   `json:"server"`
		Recipients []string `json:"recipients"`
		ID         string   `json:"id"`
		Attempt    int      `json:"attempt"`
		Time       int64    `json:"time"` // Unix seconds
	}{s.r.Address, s.r.Recipients, s.meta.ID, s.meta.Attempt, s.made.Unix()})
}

// Abort implements deliver.Staged.
func (s *staged) Abort() error {
	if s.spool != nil {
		s.spool.Close()
		s.spool = nil
	}
	return nil
}

// Recover returns deliver.Again: after a crash nobody knows whether the server has accepted
// the message.
func Recover(_ context.Context, _ deliver.Intent, _ time.Time) (deliver.Outcome, error) {
	return deliver.Again, nil
}

// interrupted returns the error for the end of ctx.
func (r *Relay) interrupted(ctx context.Context) error {
	return r.fail(deliver.Place, true, "", context.Cause(ctx))
}

// fail returns the error for a message that was not delivered.
func (r *Relay) fail(scope deliver.Scope, temporary bool, hint string, err error) *deliver.Error {
	return &deliver.Error{Op: "deliver to", Path: r.place(), Scope: scope, Temporary: temporary, Hint: hint, Err: err}
}

// place names the destination in errors.
func (r *Relay) place() string { return r.protocol() + " server " + r.Address }

func (r *Relay) protocol() string { return strings.ToUpper(r.kind()) }

// kind returns the Kind of the intents, which is also the key of the configuration.
func (r *Relay) kind() string {
	if r.SMTP {
		return KindSMTP
	}
	return Kind
}
