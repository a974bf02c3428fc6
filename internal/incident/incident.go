// Package incident decides what a user is told of polls that fail: that an account
// fails, once; once a day while it does; and that it works again. An outage of a night is
// two messages and not a hundred, under a daemon and under cron.
//
// An incident begins with the first poll of an account that fails and ends with the
// first that goes well. It is told of at its beginning; when a failure of another class
// (fetch.Class) or in other words comes, unless that is temporary; when another message
// cannot be delivered or is set aside; after a change of the configuration; and a day
// after it was last told of. A poll that the user stopped has not failed.
package incident

import (
	"errors"
	"slices"
	"strings"
	"time"

	"popfetch/fetch"
	"popfetch/state"
)

// Notice is what a user is to be told after a poll.
type Notice uint8

const (
	Nothing   Notice = iota // all is well, or the user knows
	Failed                  // a failure that the user does not know of
	Continues               // a failure that the user was told of a day ago or more
	Recovered               // the failure is over
)

// String is the name of the notice, as programs see it.
func (n Notice) String() string {
	switch n {
	case Failed:
		return "failed"
	case Continues:
		return "continues"
	case Recovered:
		return "recovered"
	}
	return ""
}

const (
	// again is how long after a failure was told of it is told of again.
	again = 24 * time.Hour
	// maxMessages is how many messages an incident knows by their unique-id, and
	// maxError how many octets of an error it keeps.
	maxMessages = 50
	maxError    = 1000
)

// After returns the incident of a maildrop after a poll, and what the user is to be told.
// open is the incident before the poll; nil is none. changed is when the user last
// changed the configuration, after which each failure is news.
func After(open *state.Incident, r fetch.Report, changed, now time.Time) (*state.Incident, Notice) {
	class := fetch.Classify(r.Err)
	switch {
	case class == fetch.Canceled:
		return open, Nothing
	case class == fetch.OK && open == nil:
		return nil, Nothing
	case class == fetch.OK && open.Failures == 0: // messages alone failed; they are delivered or set aside
		return nil, Nothing
	case class == fetch.OK:
		return nil, Recovered
	}
	next := state.Incident{Since: now, Changed: changed}
	if open != nil {
		next = *open
	}
	// Two configurations may share a state file and have the maildrop in common.
	edited := changed.After(next.Changed)
	if edited {
		next.Changed = changed
	}
	next.Last, next.Next = now, r.Next
	next.Polls++
	next.Failures++
	if fetch.OfMessages(r.Err) {
		next.Failures = 0
	}
	text := short(r.Err.Error())
	notice := Nothing
	worse := open != nil && open.Failures == 0 && next.Failures > 0 // not messages alone any more
	news := open == nil || edited || worse ||
		class > fetch.Temporary && !fetch.OfMessages(r.Err) && (class != fetch.ClassNamed(open.Class) || !alike(text, open.Error))
	others := newMessages(r.Err, next.Messages)
	since := now.Sub(next.Said)
	switch {
	case news || len(others) > 0:
		notice = Failed
	case since >= again || since < -time.Hour: // a clock that was set back must not silence it
		notice = Continues
	}
	if notice != Nothing {
		next.Said, next.Class, next.Error = now, class.String(), text
		next.Messages = slices.Concat(next.Messages, others)
		next.Messages = next.Messages[max(0, len(next.Messages)-maxMessages):]
	}
	return &next, notice
}

// newMessages returns the unique-ids of the messages in err that known lacks.
func newMessages(err error, known []string) (ids []string) {
	account, ok := errors.AsType[*fetch.AccountError](err)
	if !ok {
		return nil
	}
	for _, e := range account.Errs {
		if m, ok := e.(*fetch.MessageError); ok && len(ids) < maxMessages {
			id := short(m.UID)
			if m.SetAside() {
				id = "set aside: " + id
			}
			if !slices.Contains(known, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// alike reports whether two errors say the same, apart from words with a digit: times,
// sizes, and the numbers that servers give to sessions.
func alike(a, b string) bool {
	plain := func(text string) []string {
		return slices.DeleteFunc(strings.Fields(text), func(word string) bool { return strings.ContainsAny(word, "0123456789") })
	}
	return slices.Equal(plain(a), plain(b))
}

// short is the beginning of a text, in valid UTF-8.
func short(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxError)], "\ufffd")
}

// Stale reports whether the incident of a maildrop that is no longer configured may be
// forgotten.
func Stale(i state.Incident, now time.Time) bool { return now.Sub(i.Last) > 30*24*time.Hour }
