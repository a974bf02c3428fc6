// Package control lets the process that holds the state file, its owner, work for the
// others: it serves a unix socket beside the file, and they ask it there.
//
// # Protocol
//
// The socket speaks HTTP. GET /owner returns an Info. POST /do takes a Request and
// returns a stream of lines of JSON: one for each Answer, an empty object now and then so
// that a long silence means an owner that hangs, and a last line that says how the
// request ended. Each request and each response names Protocol in a header.
//
// An older and a newer popfetch may meet here. A field of a request that the owner does
// not know is refused, because it may be one that must not be ignored; a field of an
// answer that the client does not know is ignored. So fields can be added without a new
// Protocol. An owner that does not know what is asked for says so, and the client tells
// the user to restart it. Info.Features says what an owner can do that the first of its
// Protocol could not; Client.Do leaves out what is only a help and not among these.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Protocol is raised with any change that an older popfetch would misunderstand.
const Protocol = 1

// protocolHeader names Protocol in requests and responses.
const protocolHeader = "Popfetch-Protocol"

// Owner does what others ask for.
type Owner interface {
	// Do does what r says and calls answer for each account when that is done, and with
	// what goes on meanwhile if r asks for that, one call at a time. A call takes as long
	// as the client needs to read. It returns when all is done or when ctx ends: the client has gone, or
	// the server is closing. A *Refusal is an answer to the whole request.
	Do(ctx context.Context, r Request, answer func(Answer)) error
}

// Info describes an owner.
type Info struct {
	Version string    `json:"version"` // of popfetch
	PID     int       `json:"pid"`
	Command string    `json:"command"` // "daemon", "once", or the name of a command that works alone
	Since   time.Time `json:"since"`
	// Features is filled in by Start.
	Features []string `json:"features,omitempty"`
}

// Request is what a client asks for.
type Request struct {
	Do       string    `json:"do"`
	Accounts []Account `json:"accounts,omitempty"`
	Keep     bool      `json:"keep,omitempty"`  // delete nothing on the servers
	Before   time.Time `json:"before,omitzero"` // for messages that came earlier
	Watch    *Watch    `json:"watch,omitempty"` // nil = show nothing; an older owner shows nothing
}

// Account names an account of the client's configuration.
type Account struct {
	Name string `json:"name"`
	// Settings is a digest of what the configuration of the client says about the account.
	Settings string `json:"settings"`
}

// Answer is the result for one account, or, if Watched is set, what goes on before there is
// one.
type Answer struct {
	Watched *Watched        `json:"watched,omitempty"`
	Account string          `json:"account,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Reasons []Reason        `json:"reasons,omitempty"` // why it did not go well
	Known   bool            `json:"known,omitempty"`   // the user was told of these already
}

// Reason is an error that travels.
type Reason struct {
	Class string `json:"class,omitempty"` // name of its fetch.Class; "" = temporary
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what the user can do
}

// Refusal is why the owner does not do what it was asked for.
type Refusal struct{ Reason }

func (e *Refusal) Error() string { return e.Text }

var (
	// ErrNobody: nobody serves the socket. The owner of the state file, if there is one,
	// is about to serve it, has just stopped, or cannot.
	ErrNobody = errors.New("nobody serves the socket beside the state file")
	// ErrSilent: the owner does not answer in time.
	ErrSilent = errors.New("it does not answer")
)

// VersionError is an owner that does not understand this client, or the other way round.
type VersionError struct {
	Owner Info   // the zero value if the owner did not even say who it is
	Said  string // by the owner
}

func (e *VersionError) Error() string {
	owner := "the running popfetch"
	if e.Owner.PID != 0 {
		owner = fmt.Sprintf("the running popfetch (version %s, process %d)", e.Owner.Version, e.Owner.PID)
	}
	return fmt.Sprintf("%s is of another version and does not understand this one: %s", owner, e.Said)
}
