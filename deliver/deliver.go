// Package deliver is the contract between the poll of an account and the places that
// take its mail: Destination, the metadata, envelope and Received field of a
// message, and its line ends.
//
// Each subpackage is one kind of destination. None of them knows POP3 or the state
// file. Package fetch takes a message through these steps and records the results:
//
//	Stage    the whole message is received, where no reader sees it
//	Prepare  it survives a power cut, still invisible
//	         (here the intent is recorded: from now on the message counts as seen)
//	Publish  readers see it, and that too survives a power cut
//	Recover  after a crash: finishes the delivery of a recorded intent, or says
//	         what became of it
//
// Recover is a function of the subpackage, not of Destination: it also serves a place
// that is no longer in the configuration.
package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Meta is what is known of a message besides its octets.
type Meta struct {
	ID       string    // delivery id, hex digits: the same at each attempt to deliver this message
	Account  string    // name of the account in the configuration
	User     string    // user name at the server
	Host     string    // host name of the server, without port
	UID      string    // unique-id as the server sent it: any octets, never part of a path
	Protocol string    // "POP3" or "POP3S", for the Received field
	Attempt  int       // 1 at the first attempt
	Time     time.Time // when the server sent the message
	Progress string    // that of the Error of the attempt before, "" = it had none
}

// Destination takes messages and makes them durable.
//
// Two goroutines may share a Destination: one calls Stage, the other Prepare and
// Publish. A Stage may run at the same time as a Prepare or a Publish. Two calls of
// Stage never overlap, and neither do two calls of Prepare or Publish. Either goroutine
// may call Abort of a message that is in none of these calls. Group and Recoverable may
// be called at any time. Close is called when nothing else runs. Several Destinations,
// also of several processes, may deliver to the same place.
type Destination interface {
	// Group returns how many messages may share one Prepare and one Publish, at
	// least 1. A crash between the recording of a group's intents and the
	// end of its Publish leaves the whole group to Recover.
	Group() int

	// Recoverable reports whether Recover of this kind can find out after a crash
	// if the message of an intent was delivered. If it cannot, Recover
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

	// Prepare makes each staged message durable, still invisible. The result has
	// one element for each message, nil if it survives a power cut; a nil slice
	// means that all do. The caller calls Abort of a message with an error.
	Prepare(ctx context.Context, group []Staged) []error

	// Publish delivers prepared messages whose intents are recorded. The result
	// has one element for each message, nil if it is delivered and durable, so
	// that the server may delete its copy; a nil slice means that all are. After
	// an error everything that Recover needs is still there; but see ErrGone. An
	// error of a Destination that is not Recoverable means that the message is not
	// delivered: the caller closes its intent.
	Publish(ctx context.Context, group []Staged) []error

	// Close frees what the destination holds open. It does not abort.
	Close() error
}

// Limited is a Destination that may know how much it has room for.
type Limited interface {
	Room() (octets int64, known bool)
}

// Staged is one message between Stage and the end of Publish. It belongs to one
// goroutine at a time, which may hand it to another.
type Staged interface {
	// Intent returns what has to be recorded before Publish. It is called after
	// Prepare has succeeded, which may have to ask a server what to record.
	Intent() Intent
	// Abort gives up the message and removes what Stage made. It is idempotent and
	// does nothing after a successful Publish. It must not be called while a
	// recorded intent names the message: Recover may take a message that is
	// missing for a delivered one.
	Abort() error
}

// Intent names a message that is about to be published, in a form that Recover of the
// same kind of destination understands. The state file keeps it unchanged.
type Intent struct {
	Kind string // the kind of destination: maildir.Kind, mda.Kind and so on
	Note string // in the format of that kind
}

// NewIntent returns an intent whose note is a value in JSON, such as a struct of strings and
// integers, which cannot fail to be written.
func NewIntent(kind string, note any) Intent {
	text, _ := json.Marshal(note)
	return Intent{Kind: kind, Note: string(text)}
}

// Read reads the note of an intent that NewIntent has made for this kind.
func (i Intent) Read(kind string, note any) error {
	if i.Kind != kind {
		return fmt.Errorf("intent of kind %.64q", i.Kind)
	}
	return json.Unmarshal([]byte(i.Note), note)
}

// Outcome is what became of an intent that was still open after a crash.
type Outcome int

func (o Outcome) String() string {
	return map[Outcome]string{Published: "published", Redone: "redone", Again: "again", Behind: "behind"}[o]
}

const (
	// Published: the message had been delivered before the crash.
	Published Outcome = iota + 1
	// Redone: Recover has delivered it now, without a download.
	Redone
	// Again: the message is not known to be delivered and has to be fetched again.
	Again
	// Behind: as Again, and another message of the group was in hand when the delivery
	// ended: this counts against that one.
	Behind
)

// Scope is what an Error is about, and so what the caller can still do.
type Scope int

const (
	// Place: the destination does not work (disk full, not a Maildir, program
	// missing). The next message would get the same error.
	Place Scope = iota
	// Message: this message was refused. The next one may be accepted.
	Message
	// Room: there is no room for this message. A smaller one may be accepted.
	Room
)

// ErrGone is in the chain of an error of Publish that did not find what Stage had kept.
// The message is known not to be delivered. The caller must close the intent and have
// the message fetched again: Recover would take it for a delivered one.
var ErrGone = errors.New("staged message is gone")

// ErrElsewhere is in the chain of an error of Recover if the place of the intent is not
// there now: it is missing, or another one has its name.
var ErrElsewhere = errors.New("not the place of the intent")

// ErrOutOfOrder is the cause of the error for a message that comes to Prepare or Publish
// without the step before it, or after its end, or that belongs to another Destination.
var ErrOutOfOrder = errors.New("message is not at this step of its delivery")

// Each calls fn for each message of a group and returns the results in the form of those
// of Prepare and Publish.
func Each(group []Staged, fn func(Staged) error) []error {
	errs := make([]error, len(group))
	ok := true
	for i, s := range group {
		errs[i] = fn(s)
		ok = ok && errs[i] == nil
	}
	if ok {
		return nil
	}
	return errs
}

// EachOwn is Each for the messages that are at their step: those of type T for which ready is
// true. The others fail with ErrOutOfOrder, those that are left at the end of ctx with its
// cause. fail makes an *Error of either.
func EachOwn[T Staged](ctx context.Context, group []Staged, ready func(T) bool, fail func(Scope, error) *Error, fn func(T) error) []error {
	return Each(group, func(s Staged) error {
		own, ok := s.(T)
		switch {
		case !ok || !ready(own):
			return fail(Message, ErrOutOfOrder)
		case ctx.Err() != nil:
			return fail(Place, context.Cause(ctx))
		}
		return fn(own)
	})
}

// ErrLogin is in the chain of an Error of a destination that refuses the login, until
// somebody changes something.
var ErrLogin = errors.New("the destination refuses the login")

// Error is why a message was not delivered. It is still on the server.
type Error struct {
	Op        string // what was tried: "create", "sync", "run"
	Path      string // file, directory or program
	Scope     Scope
	Temporary bool   // another attempt may succeed without anybody's help
	Hint      string // what the user can do, or ""
	Err       error  // the cause
	// Unclear: the receiver had the whole message and has not said what became of it. Each
	// further attempt may bring it once more, so that this one counts against the message.
	Unclear bool
	// Progress is what the destination wants to know at the next attempt to deliver the
	// message, because this one has succeeded in part; "" = nothing.
	Progress string
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
