// Package status remembers how the last poll of each account went, in a file beside the
// state file, for popfetch status.
//
// The file decides nothing: what is delivered does not depend on it. So it is not synced,
// a poll that brings nothing does not wait for it, and one that is lost or cannot be read
// only means that nothing is known.
package status

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Poll is how the last poll of an account went, and what earlier ones brought. Times are
// UTC; zero means never.
type Poll struct {
	Account   string    `json:"account"`
	Maildrop  string    `json:"maildrop"` // key in the state
	Time      time.Time `json:"time"`     // end of the last poll
	Class     string    `json:"class"`    // of its result; "" = it went well
	Error     string    `json:"error"`    // in words; "" = it went well
	Delivered int       `json:"delivered"`
	Octets    int64     `json:"octets"`
	Waiting   int       `json:"waiting"`           // messages on the server that were not delivered, those set aside included
	SetAside  int       `json:"set_aside"`         // of these
	Success   time.Time `json:"success,omitzero"`  // end of the last poll that went well
	NewMail   time.Time `json:"new_mail,omitzero"` // end of the last poll that delivered something
	Expires   time.Time `json:"expires,omitzero"`  // the certificate that the server showed last
	// Totals are of all polls since the book knows the account; in Note of this poll alone.
	Totals Totals `json:"totals,omitzero"`
}

// Totals is what polls have done.
type Totals struct {
	Polls     int            `json:"polls"`
	Seconds   float64        `json:"seconds"`
	Delivered int            `json:"delivered"`
	Octets    int64          `json:"octets"` // received in messages
	Deleted   int            `json:"deleted"`
	Failures  map[string]int `json:"failures,omitempty"` // polls that failed, by class
}

// plus returns the totals of both.
func (t Totals) plus(more Totals) Totals {
	failures := maps.Clone(t.Failures)
	for class, n := range more.Failures {
		if failures == nil {
			failures = make(map[string]int)
		}
		failures[class] += n
	}
	return Totals{
		Polls: t.Polls + more.Polls, Seconds: t.Seconds + more.Seconds, Delivered: t.Delivered + more.Delivered,
		Octets: t.Octets + more.Octets, Deleted: t.Deleted + more.Deleted, Failures: failures,
	}
}

const (
	// saveEvery is the time between two writes of a Book that changes all the time.
	saveEvery = time.Minute
	// lifetime is how long the last poll of an account that is polled no more is
	// remembered.
	lifetime = 400 * 24 * time.Hour
	// mostError is the greatest length of an error that is kept, in octets.
	mostError = 1 << 10
	suffix    = ".status"
)

// Book holds the last polls. It is safe for concurrent use. One process at a time writes
// the book of a state file: the one that holds the lock of that.
type Book struct {
	path string

	mu      sync.Mutex
	polls   map[subject]Poll
	changes int  // since it was opened
	changed bool // since it was written
	saved   time.Time
}

// subject is what a Book knows polls of. Two configurations that share a state file may give
// the same name to accounts of different maildrops.
type subject struct{ account, maildrop string }

func (p Poll) subject() subject { return subject{p.Account, p.Maildrop} }

// Open reads the book beside a state file. A book that cannot be read is empty.
func Open(state string) *Book {
	b := &Book{path: state + suffix, polls: make(map[subject]Poll)}
	text, err := os.ReadFile(b.path)
	if err != nil {
		return b
	}
	for line := range bytes.Lines(text) {
		var p Poll
		if json.Unmarshal(line, &p) == nil && p.Account != "" {
			b.polls[p.subject()] = p
		}
	}
	return b
}

// Last returns the last poll of an account; false if none of this maildrop is known.
func (b *Book) Last(account, maildrop string) (Poll, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.polls[subject{account, maildrop}]
	return p, ok
}

// Note remembers a poll. What the poll did not find out stays as it was.
func (b *Book) Note(p Poll) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.polls[p.subject()]; ok {
		p.Totals = old.Totals.plus(p.Totals)
		p.Success = later(p.Success, old.Success)
		p.NewMail = later(p.NewMail, old.NewMail)
		if p.Expires.IsZero() {
			p.Expires = old.Expires
		}
		if p.Class != "" && p.Waiting == 0 {
			p.Waiting, p.SetAside = old.Waiting, old.SetAside
		}
	}
	if len(p.Error) > mostError {
		p.Error = strings.ToValidUTF8(p.Error[:mostError], "") // the cut may be inside a character
	}
	b.put(p)
}

// Count adds what a poll has done that says nothing about the account, because the user
// stopped it.
func (b *Book) Count(account, maildrop string, t Totals) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.polls[subject{account, maildrop}]
	p.Account, p.Maildrop = account, maildrop
	p.Totals = p.Totals.plus(t)
	b.put(p)
}

func (b *Book) put(p Poll) {
	b.polls[p.subject()] = p
	b.changes++
	b.changed = true
}

// Changes returns a number that grows with each change.
func (b *Book) Changes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changes
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Save writes the book if something has changed and it was not written within the minute
// before now.
func (b *Book) Save(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if age := now.Sub(b.saved); age >= 0 && age < saveEvery {
		return nil
	}
	return b.write(now)
}

// Write writes the book if something has changed. The book may be used on.
func (b *Book) Write() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.write(time.Now())
}

func (b *Book) write(now time.Time) error {
	if !b.changed {
		return nil
	}
	b.saved = now
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	polls := make([]Poll, 0, len(b.polls))
	for of, p := range b.polls {
		if !p.Time.IsZero() && now.Sub(p.Time) > lifetime {
			delete(b.polls, of)
			continue
		}
		polls = append(polls, p)
	}
	slices.SortFunc(polls, func(a, b Poll) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Maildrop, b.Maildrop))
	})
	for _, p := range polls {
		if err := out.Encode(p); err != nil {
			return err
		}
	}
	if err := replace(b.path, text.Bytes()); err != nil {
		return err
	}
	b.changed = false
	return nil
}

// replace puts a new file, mode 0600, in the place of path. Whoever reads path sees the old
// or the new one as a whole.
func replace(path string, text []byte) error {
	fresh := path + ".new" // a kill leaves this one file at most
	err := os.WriteFile(fresh, text, 0o600)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh) // it may not be there
	}
	return err
}
