// Package state remembers what was delivered from which maildrop: the Store
// contract, and its implementation in one bbolt file.
//
// A maildrop has one record for each unique-id that was delivered, is being
// delivered, or could not be delivered yet, and one intent for each delivery that is
// recorded and not yet known to be published. The changes of a group of messages are
// one transaction: after Commit has returned nil they survive a power cut, and a
// crash before that leaves all of them out.
//
// # Versions
//
// The file has a format version, and each record and intent in it a version of its
// own encoding. This package reads every older version, writes the newest, and
// returns ErrVersion for a newer one. To add fields to Record:
//
//   - Raise recordVersion and formatVersion by one.
//   - Let encodeRecord write the new fields.
//   - Give decodeRecord a case that reads them. The case of each older version stays
//     and leaves the new fields at a zero value that means "not known".
//   - Add an encoded record of the new version to TestValuesOfEveryVersionAreRead, and
//     the fields to the records of statetest.
//
// No file is converted. A record keeps its version until the next Commit that stores
// it, so a file holds records of several versions. The first Commit to a file of an
// older format raises its format in the same transaction, so that an older popfetch
// refuses the file when it opens it. Intent and intentVersion work the same way.
// Facts is JSON and has no version itself, but a new field needs a new format version:
// an older popfetch would drop the field.
package state

import (
	"errors"
	"iter"
	"strings"
	"time"
)

// Store holds the maildrops of all accounts. It is safe for concurrent use.
type Store interface {
	// ID names this store for as long as it exists: 16 random hex digits that are
	// chosen when it is made, or "" for a store that does not exist and is only
	// read. Files that a delivery leaves behind carry it.
	ID() string
	// Maildrop returns the maildrop of a key, see Key. Its first Commit creates it.
	Maildrop(key string) Maildrop
	// Keys returns the keys of all maildrops in byte order.
	Keys() ([]string, error)
	// Incidents returns the incidents by the keys of their maildrops. An account that gets
	// another name keeps its incident, and another account that gets the name has none.
	Incidents() (map[string]Incident, error)
	// PutIncident records the incident of a maildrop, and with nil that it is over. It
	// is durable then, as after Commit, and fails for the same reasons.
	PutIncident(key string, i *Incident) error
	// Close waits for the calls that are running, then frees the store and its
	// lock. A second Close does nothing. Every later call returns ErrClosed.
	Close() error
}

// Maildrop is what is known of one maildrop. It is safe for concurrent use.
type Maildrop interface {
	// Scan calls fn once with all records in byte order of the ids. The sequence is
	// valid during the call, and an id until the next one: copy it to keep it. Scan
	// returns the error of fn, or why the store could not be read. In that case the
	// sequence has ended early, so act on what it gave only after Scan has returned
	// nil. fn must not call the store, and must not wait for a network, because a
	// commit may have to wait for it.
	Scan(fn func(known iter.Seq2[[]byte, Record]) error) error
	// Get returns the record of an id, the zero value if there is none.
	Get(id string) (Record, error)
	// Intents returns the open intents in byte order of their ids.
	Intents() ([]OpenIntent, error)
	// Facts returns what is known of the server, the zero value if nothing is.
	Facts() (Facts, error)
	// Commit makes one change durable, as a whole or not at all. An empty change
	// writes nothing. ErrClosed, ErrReadOnly and ErrInvalid mean that nothing was
	// tried. After any other error it is not known whether the change was kept:
	// delete nothing at the server. Every later call of the store returns the same
	// error until it is closed and opened again, see also Bolt.Reopen.
	Commit(Change) error
}

// Record is what is known of one unique-id.
type Record struct {
	// Delivered is when the delivery was recorded, zero for a message that was
	// tried and never delivered. Whole seconds, UTC.
	Delivered time.Time
	// Octets is the size of the message as the server announced it, -1 if it
	// announced none.
	Octets int64
	// Fingerprint tells the message from others, see package plan. It is all zero
	// for a message that was never received whole and for a record of version 1.
	Fingerprint [16]byte
	// Body is a digest of the body, which decides where the fingerprint alone does
	// not; all zero if it is not known.
	Body [16]byte
	// Strong: no other message is likely to have the fingerprint, so that Body decides
	// only about messages that may not be those of their unique-ids. False if Body is not
	// known. Records of versions 1 to 3 have no Body then.
	Strong bool
	// Moved: the message has another unique-id than when it was delivered, and only its
	// header block has shown that it is this one. It is retrieved and its body compared
	// before it is deleted.
	Moved bool
	// Kept: the server had the message still after it had confirmed the deletion, as its
	// body has shown. It may keep it for ever, and from then on its header block is enough.
	Kept bool
	// Digest is that of the raw header block, all zero if it is not known. Only
	// records of version 1 have it, in place of a fingerprint.
	Digest [16]byte
	// Unproven: the unique-id is the only evidence that the message was delivered. The id
	// comes from another fetcher or was marked as seen, or the fingerprint was taken over
	// for a record of version 1 although the header block had changed or was weak. The
	// message is never deleted.
	Unproven bool
	// PutBack: the server has the message again although popfetch had deleted it.
	// popfetch does not delete it once more: it may be the last copy.
	PutBack bool
	// Nonce is a random number that makes the delivery id of this message differ
	// from that of any other with the same unique-id. It is chosen at the first
	// attempt; 0 in records of version 1.
	Nonce uint32
	// Observed is the observed time of the maildrop at the delivery, see Facts. Whole
	// seconds, 0 in records of version 1.
	Observed time.Duration
	// Absent is when a complete listing first lacked the id, zero while listings
	// have it. Whole seconds, UTC.
	Absent time.Time
	// Absences counts the complete listings that lacked the id, one at most in 24
	// hours; Counted is when the last of them was counted. Whole seconds, UTC.
	Absences int
	Counted  time.Time
	// Deleted: the server has confirmed the deletion. An id that is listed all the
	// same may belong to another message.
	Deleted bool
	// Failures counts the attempts to deliver that failed because of this message. In the
	// record of a delivered message whose Tried is set it counts the attempts to delete it.
	Failures int
	// Reason is why the last attempt failed, also one that does not count.
	Reason string
	// Tried is when the last attempt was; zero in records of version 1, and of delivered
	// messages that the server was not asked to delete. Whole seconds, UTC.
	Tried time.Time
	// Progress is what the destination has noted of a delivery that succeeded in part;
	// "" in records of versions 1 and 2.
	Progress string
}

// Seen reports whether the message counts as delivered.
func (r Record) Seen() bool { return !r.Delivered.IsZero() }

// Intent is what a destination needs to finish a delivery after a crash. The store
// does not interpret it.
type Intent struct {
	Kind string
	Note string
}

// OpenIntent is an intent whose end is not recorded.
type OpenIntent struct {
	ID     string
	Intent Intent
	Record Record
}

// Entry is a record to be stored under an id, and the intent that it opens, if any.
type Entry struct {
	ID     string
	Record Record
	Intent *Intent
}

// Change is one transaction. Its parts are applied in the order of the fields.
type Change struct {
	Begin  bool     // creates the maildrop, even without any id
	Done   []string // ends the open intents of these ids
	Forget []string // removes these ids, with their open intents
	Facts  *Facts   // replaces what is known of the server; nil leaves it
	Put    []Entry  // each replaces the record of its id; without an Intent an open one stays
}

// Facts is what helps the next session with the server of a maildrop.
type Facts struct {
	// Serial is when the server was last seen to lose synchronisation with commands
	// that are sent ahead, and to keep it without; zero for never.
	Serial time.Time `json:"serial,omitzero"`
	// OutOfStep is when a session was last out of step with commands sent ahead, and no second
	// one in the same poll has shown how it keeps in step; zero for never.
	OutOfStep time.Time `json:"out_of_step,omitzero"`
	// Patient is when the server was last seen to lose commands that are sent before
	// it has answered the login; zero for never.
	Patient time.Time `json:"patient,omitzero"`
	// Before and After are capabilities that the server announced before and after a
	// login over Protocol, one line each. RFC 2449 section 5
	Protocol string   `json:"protocol,omitzero"`
	Before   []string `json:"before,omitempty"`
	After    []string `json:"after,omitempty"`
	// Observed is how much time has passed between the polls of the maildrop until
	// ObservedAt, as far as the clock can be believed. It measures the age of
	// deliveries, so that a clock that jumps makes nothing old.
	Observed   time.Duration `json:"observed,omitzero"`
	ObservedAt time.Time     `json:"observed_at,omitzero"`
	// Steady is a time that keeps pace with the clock and does not jump when that jumps.
	// It measures absences.
	Steady time.Time `json:"steady,omitzero"`
	// Latest is the latest time that the clock has shown at a poll whose ObservedAt was
	// stored.
	Latest time.Time `json:"latest,omitzero"`
	// Looked is when the sizes of all messages were last looked at.
	Looked time.Time `json:"looked,omitzero"`
	// NoHeaders is when the server was last seen to show a header block (TOP) that is
	// not that of the message (RETR); zero for never.
	NoHeaders time.Time `json:"no_headers,omitzero"`
	// Reminded is when the user was last told that messages are set aside.
	Reminded time.Time `json:"reminded,omitzero"`
	// CertificateExpires is when the certificate that the server showed last expires; zero
	// without TLS.
	CertificateExpires time.Time `json:"certificate_expires,omitzero"`
	// Insists is when the server last refused a login for coming too soon after another
	// one (RFC 2449 section 8.1.1, LOGIN-DELAY); zero for never.
	Insists time.Time `json:"insists,omitzero"`
	// NotBefore is when such a server admits the next login; zero if at any time.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Expiry is when the user was last told that the server expires messages.
	Expiry time.Time `json:"expiry,omitzero"`
	// Undeleted is how many polls in a row have asked the server to delete messages and seen
	// none deleted, UndeletedAt when the latest of them was, and UndeletedWhy what ended it.
	Undeleted    int       `json:"undeleted,omitzero"`
	UndeletedAt  time.Time `json:"undeleted_at,omitzero"`
	UndeletedWhy string    `json:"undeleted_why,omitempty"`
	// Unready says that the destination did not work when messages last came to it.
	Unready bool `json:"unready,omitzero"`
	// Trusted is the fingerprint of the public key that the server showed first; "" if the
	// account does not trust on first use. The store does not interpret it.
	Trusted string `json:"trusted,omitempty"`
}

// Empty reports whether there is nothing to write.
func (c Change) Empty() bool {
	return !c.Begin && c.Facts == nil && len(c.Done)+len(c.Forget)+len(c.Put) == 0
}

// MaxID is the greatest length of an id in octets. Store a digest in place of a longer
// one.
const MaxID = 1024

// MaxKey is the greatest length of the key of a maildrop in octets.
const MaxKey = 1024

var (
	// ErrLocked: another process holds the store and did not release it in time.
	ErrLocked = errors.New("in use by another popfetch")
	// ErrDamaged: not all of the file can be read as a store. It has not been
	// changed.
	ErrDamaged = errors.New("state file is damaged")
	// ErrLost: there is no file, but its snapshot is there. File.Restore brings it
	// back; to begin anew, move the snapshot away.
	ErrLost = errors.New("the state file is gone, but its snapshot is there")
	// ErrGone: the file of an open store has been removed, or another one is in its
	// place.
	ErrGone = errors.New("the state file has been removed or replaced")
	// ErrVersion: a newer popfetch has written the file.
	ErrVersion = errors.New("state file is from a newer popfetch")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("state file is closed")
	// ErrReadOnly: the store was opened for reading only.
	ErrReadOnly = errors.New("state file is open for reading only")
	// ErrInvalid: a key or an id is empty or longer than MaxKey or MaxID.
	ErrInvalid = errors.New("cannot be recorded")
)

// Key returns the key of the maildrop of a user at a host. Upper and lower case make no
// difference in host names (RFC 4343). In user names they do: only the server knows
// what they mean there.
func Key(user, host string) string { return user + "@" + strings.ToLower(host) }
