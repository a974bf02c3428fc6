// Package deliver holds what a place that takes mail has to promise: the
// Destination contract, the message metadata that goes with a delivery, the
// Received stamp and the line ends of a stored message.
//
// One subpackage is one kind of destination. None of them knows POP3 or the
// state file; package fetch leads a message through the steps below and records
// in between what it has been told:
//
//	Stage    the whole message is received, where no reader sees it
//	Prepare  it would survive a power cut, still invisible
//	         (the intent is recorded here: from now on the message counts as seen)
//	Publish  readers see it, and that too survives a power cut
//	Recover  after a crash: finish, or say what became of a recorded intent
package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Meta is what is known of a message apart from its octets.
type Meta struct {
	ID       string    // delivery id: the same at every attempt to deliver this message; hex digits
	Account  string    // name of the account in the configuration
	User     string    // user name at the server
	Host     string    // host name of the server, without port
	UID      string    // unique-id as the server sent it: any octets, never part of a path
	Protocol string    // "POP3" or "POP3S", for the Received field
	Attempt  int       // 1 at the first attempt
	Time     time.Time // when the message was received from the server
}

// Destination takes messages and makes them durable.
//
// Two goroutines may share a Destination: one calls Stage, the other Prepare and
// Publish. A Stage may run beside a Prepare or a Publish. Two calls of Stage never
// overlap, and neither do two calls of Prepare or Publish. Either goroutine may call
// Abort of a message that is in none of these calls. Group and Recoverable may be
// called at any time. Close is called when nothing else runs. Several Destinations,
// also of several processes, may deliver to the same place.
type Destination interface {
	// Group returns how many messages may share one Prepare and one Publish, at
	// least 1. A crash between the recording of a group's intents and the
	// end of its Publish leaves the whole group to Recover.
	Group() int

	// Recoverable reports whether Recover of this kind can find out after a crash
	// if the message of an intent was delivered. Where it cannot, Recover
	// returns Again and the message is delivered twice if it was; the
	// caller then records each successful Publish before the next one, and
	// Group should return 1, so that a crash repeats one message at most.
	Recoverable() bool

	// Stage reads one whole message from r, to io.EOF, and keeps it where no
	// reader of mail can see it. r has the octets of the wire: lines end in
	// CRLF, dot-stuffing is removed. Which line ends are stored or sent on is
	// up to the Destination; see NewLFReader. It must not change anything
	// else without need: bare CR and LF, NUL and 8-bit octets occur, and the last
	// line may have no end. A read error from r is returned wrapped, and
	// nothing of the message stays behind. Any other error is an *Error.
	Stage(ctx context.Context, m Meta, r io.Reader) (Staged, error)

	// Prepare makes every staged message durable, still invisible. The result
	// has one element for each, nil where a power cut would not harm the
	// message; a nil slice means that all is well. Where the error is not
	// nil the caller calls Abort.
	Prepare(ctx context.Context, group []Staged) []error

	// Publish delivers prepared messages whose intents have been recorded.
	// The result has one element for each, nil where the message is delivered
	// and durable, so that the server's copy may go; a nil slice means that
	// all are. Where the error is not nil, nothing has been removed that
	// Recover needs; but see ErrGone.
	Publish(ctx context.Context, group []Staged) []error

	// Close frees what the destination holds open. It does not abort.
	Close() error
}

// Staged is one message between Stage and the end of Publish. It belongs to one
// goroutine at a time, which may hand it to another.
type Staged interface {
	// Intent is what has to be recorded before Publish.
	Intent() Intent
	// Abort gives up the message and removes what Stage has made. It is
	// idempotent and does nothing after Publish has succeeded. It must not be
	// called while a recorded intent names the message: Recover takes a
	// missing file for a delivered one.
	Abort() error
}

// Intent says what is about to be published, in words that Recover of the same
// kind of destination understands. It is kept as it is in the state file.
type Intent struct {
	Kind string // the kind of destination: maildir.Kind, mda.Kind
	Note string // text of that kind
}

// Outcome is what became of a recorded intent that nobody closed.
type Outcome int

func (o Outcome) String() string {
	return map[Outcome]string{Published: "published", Redone: "redone", Again: "again"}[o]
}

const (
	// Published: the message had been delivered before the crash.
	Published Outcome = iota + 1
	// Redone: Recover has delivered it now, without a download.
	Redone
	// Again: it is not known to be delivered and has to be fetched again.
	Again
)

// Scope says what an Error is about, and so what the caller may go on with.
type Scope int

const (
	// Place: the destination itself does not work (disk full, not a Maildir,
	// program missing); the next message would meet the same.
	Place Scope = iota
	// Message: this message was refused; the next one may well be taken.
	Message
)

// ErrGone is in the chain of an error of Publish that has found what Stage kept
// to be gone, so that it is known not to be delivered. The caller must close the
// intent and have the message fetched again: Recover would take the missing file
// for a delivered one.
var ErrGone = errors.New("staged message is gone")

// ErrElsewhere is in the chain of an error of Recover whose intent belongs to a
// place that is not there now: missing, or another one under the same name.
var ErrElsewhere = errors.New("not the place of the intent")

// Error is a delivery that did not happen. The message is still on the server.
type Error struct {
	Op        string // what was tried: "create", "sync", "run"
	Path      string // file, directory or program
	Scope     Scope
	Temporary bool   // worth another attempt without anybody's help
	Hint      string // what the user can do, or ""
	Err       error  // the cause
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
