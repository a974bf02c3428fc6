// Package state remembers what was delivered from which maildrop: the Store
// contract, and its form in one bbolt file.
//
// A maildrop has one record for each unique-id that was delivered, is being
// delivered, or could not be delivered yet, and one intent for each delivery
// that is recorded and not yet known to be published. All changes of a group of
// messages are one transaction: after Commit has returned nil they survive a
// power cut, and a crash before that leaves all of them out.
package state

import (
	"errors"
	"iter"
	"strings"
	"time"
)

// Store holds the maildrops of all accounts. It is safe for concurrent use.
type Store interface {
	// ID names this store for as long as it exists: 16 random hex digits made
	// with the file, or "" for a file that does not exist, see OpenReadOnly.
	// Files that a delivery leaves behind carry it.
	ID() string
	// Maildrop returns the maildrop of a key, see Key. It is created by its
	// first Commit.
	Maildrop(key string) Maildrop
	// Keys returns the keys of all maildrops in byte order.
	Keys() ([]string, error)
	// Close waits for the calls that run, then frees the store and its lock.
	// Closing again does nothing. Every later call returns ErrClosed.
	Close() error
}

// Maildrop is what is known of one maildrop. It is safe for concurrent use.
type Maildrop interface {
	// Scan calls fn once with every record in byte order of the ids. The
	// sequence is valid only during the call, and an id until the next one:
	// who keeps it copies it. Scan returns the error of fn, or why the store
	// could not be read: the sequence ends early then, so nothing may be done
	// on its word before Scan has returned nil. fn must not call the store,
	// and must not wait for a network: a commit may have to wait for it.
	Scan(fn func(known iter.Seq2[[]byte, Record]) error) error
	// Intents returns the open intents in byte order of their ids.
	Intents() ([]OpenIntent, error)
	// Facts returns what was noted of the server, the zero value where nothing
	// was.
	Facts() (Facts, error)
	// Commit makes one change durable, whole or not at all. An empty change
	// writes nothing. ErrClosed, ErrReadOnly and ErrInvalid say that nothing
	// was tried. After any other error it is not known whether the change was
	// kept: nothing may be deleted at the server, and every later call of the
	// store returns the same error until it is closed and opened again.
	Commit(Change) error
}

// Record is what is known of one unique-id.
type Record struct {
	// Delivered is when the delivery was recorded, zero for a message that was
	// tried and never delivered. Kept to the second.
	Delivered time.Time
	// Octets is the size of the message as the server announced it, -1 where
	// it announced none.
	Octets int64
	// Digest is of the header block as it came over the wire, all zero where
	// it is not known.
	Digest [16]byte
	// Absent is since when complete listings lack the id, zero while they
	// have it. Kept to the second.
	Absent time.Time
	// Absences counts days on which a complete listing lacked the id.
	Absences int
	// Deleted says that the server has confirmed the deletion. An id that is
	// listed all the same may belong to another message.
	Deleted bool
	// Failures counts attempts that failed for a reason of this message.
	Failures int
	// Reason is why the last of them failed.
	Reason string
}

// Seen says whether the message counts as delivered.
func (r Record) Seen() bool { return !r.Delivered.IsZero() }

// Intent is what deliver.Intent is, kept here without being understood.
type Intent struct {
	Kind string
	Note string
}

// OpenIntent is an intent whose end was never recorded.
type OpenIntent struct {
	ID     string
	Intent Intent
	Record Record
}

// Entry is a record to be stored under an id. A non-nil Intent is opened with it.
type Entry struct {
	ID     string
	Record Record
	Intent *Intent
}

// Change is one transaction. The parts are applied in the order of the fields.
type Change struct {
	Begin  bool     // the maildrop is known from now on, be it without any id
	Done   []string // the open intents of these ids end
	Forget []string // these ids go, with their open intents
	Facts  *Facts   // replaces what was noted of the server; nil = it stays
	Put    []Entry  // each replaces the record of its id; without an Intent an open one stays
}

// Facts is what is worth remembering of the server of a maildrop.
type Facts struct {
	// Serial is when it was last seen that the server gets out of step with
	// commands that are sent ahead and does not without, zero for never.
	Serial time.Time `json:"serial,omitzero"`
	// Patient is when it was last seen that the server loses commands that are
	// sent before it has answered to the login, zero for never.
	Patient time.Time `json:"patient,omitzero"`
	// Before and After are capabilities that the server has announced before
	// and after a login over Protocol, one line each, those that help the next
	// session. RFC 2449 section 5
	Protocol string   `json:"protocol,omitzero"`
	Before   []string `json:"before,omitempty"`
	After    []string `json:"after,omitempty"`
}

// Empty says whether there is nothing to write.
func (c Change) Empty() bool {
	return !c.Begin && c.Facts == nil && len(c.Done)+len(c.Forget)+len(c.Put) == 0
}

// MaxID is the greatest length of an id in octets. Who has longer ones stores a
// digest instead.
const MaxID = 1024

// MaxKey is the greatest length of the key of a maildrop in octets.
const MaxKey = 1024

var (
	// ErrLocked: another process holds the store and did not give it up
	// within the time that Open was given.
	ErrLocked = errors.New("in use by another popfetch")
	// ErrDamaged: the file is not a store that can be read whole. It has not
	// been changed.
	ErrDamaged = errors.New("state file is damaged")
	// ErrLost: there is no file, but its snapshot is there. Restore brings it
	// back; who wants to begin anew moves the snapshot away.
	ErrLost = errors.New("the state file is gone, but its snapshot is there")
	// ErrVersion: the file was written by a newer popfetch.
	ErrVersion = errors.New("state file is from a newer popfetch")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("state file is closed")
	// ErrReadOnly: Commit was called on a store that OpenReadOnly has opened.
	ErrReadOnly = errors.New("state file is open for reading only")
	// ErrInvalid: a key or an id is empty or longer than MaxKey or MaxID.
	ErrInvalid = errors.New("cannot be recorded")
)

// Key returns the key of the maildrop of a user at a host. Host names do not
// know upper and lower case (RFC 4343), user names are the server's own affair
// and are kept as they are.
func Key(user, host string) string { return user + "@" + strings.ToLower(host) }
