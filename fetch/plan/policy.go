package plan

import (
	"strings"
	"time"

	"popfetch/state"
)

// Policy is what the user wants done with the messages of an account. The zero
// value fetches every message and keeps it on the server.
type Policy struct {
	Delete      bool          // delete delivered messages from the server
	After       time.Duration // with Delete: this long after the delivery, 0 = in the same session
	MaxOctets   int64         // leave larger messages on the server, 0 = no limit
	MaxMessages int           // retrieve at most this many in one poll, 0 = no limit
}

// DeletesAtOnce reports whether a message is deleted in the session that
// delivers it.
func (p Policy) DeletesAtOnce() bool { return p.Delete && p.After == 0 }

// exceeds reports whether a message of this size stays on the server.
func (p Policy) exceeds(octets int64) bool { return p.MaxOctets > 0 && octets > p.MaxOctets }

// MaxFailures is how many failures that count against a message set it aside: it is
// tried once a day from then on, and once a week after dailyTries more failures.
const (
	MaxFailures = 5
	dailyTries  = 7
)

// The times between two tries of a message that is set aside are a little shorter than
// their names, so that a run at the same time of each day does not just miss one.
const (
	aDay  = 23 * time.Hour
	aWeek = 7*24*time.Hour - time.Hour
)

// waits reports whether a message that is set aside is left alone for now.
func waits(r state.Record, now time.Time) bool {
	if r.Failures < MaxFailures {
		return false
	}
	wait := aDay
	if r.Failures >= MaxFailures+dailyTries {
		wait = aWeek
	}
	// A record without a time is one of version 1. A clock that was set back must not
	// leave the message waiting.
	return !r.Tried.IsZero() && now.Sub(r.Tried).Abs() < wait
}

// NotDeleted returns the record of a delivered message that the server has not deleted
// although it was asked to, with the reason; "" if it has confirmed that and lists the message
// again. weight is how much this counts: MaxFailures postpone the next attempt as for a
// message that is set aside.
func NotDeleted(r state.Record, weight int, why string, now time.Time) state.Record {
	if r.Tried.IsZero() {
		r.Failures = 0 // those of the delivery
	}
	r.Failures += weight
	r.Reason, r.Tried = why, now
	return r
}

// AskedFor reports whether the server was asked to delete a delivered message and has not
// confirmed that.
func AskedFor(r state.Record) bool { return r.Seen() && !r.Deleted && !r.Tried.IsZero() }

// ComesBack reports whether the server has listed a message MaxFailures times after it had
// confirmed the deletion.
func ComesBack(r state.Record) bool { return r.Reason == "" && staysUndeleted(&r) }

// listedAfterDeletion returns the record of a message that is the one which the server was to
// have deleted.
func listedAfterDeletion(r state.Record, when When) state.Record {
	if !r.Deleted {
		return r
	}
	weight := 1
	if when.NoHeaders && !r.Tried.IsZero() && r.Failures+1 >= MaxFailures { // each attempt takes a download
		weight = Weekly
	}
	r = NotDeleted(r, weight, "", when.Now)
	r.Deleted = false
	return r
}

// Weekly as the weight of an attempt makes the next one a weekly one.
const Weekly = MaxFailures + dailyTries

// staysUndeleted reports whether the server was asked often enough to delete a message.
func staysUndeleted(r *state.Record) bool { return !r.Tried.IsZero() && r.Failures >= MaxFailures }

// DeletionWaits reports whether a poll is to ask for no deletion, because the server has
// deleted nothing in the latest polls that asked; and if not, whether it is to ask for one
// only. costly says that each message has to be downloaded before it may be deleted.
func DeletionWaits(f state.Facts, costly bool, now time.Time) (wait, one bool) {
	r := state.Record{Failures: f.Undeleted, Tried: f.UndeletedAt}
	if costly && r.Failures > 1 {
		r.Failures += MaxFailures
	}
	return waits(r, now), r.Failures >= MaxFailures
}

// NoRoom begins the Reason in the record of a message that the destination had no room
// for. Octets is its size then, as far as it is known. If the destination did not know
// before how much room it had, as for a quota, NoRoomTold follows.
const (
	NoRoom     = "no room: "
	NoRoomTold = NoRoom + "refused: "
)

// CountsWithAll reports whether the refusal of a message counts although the server has
// refused everything: if Tried was a day ago.
func CountsWithAll(r state.Record, now time.Time) bool {
	return !r.Tried.IsZero() && now.Sub(r.Tried).Abs() >= aDay
}

// IsSetAside reports whether a message with this record was not delivered and is left
// alone but for the occasional try.
func IsSetAside(r state.Record) bool {
	return !r.Seen() && (r.Failures >= MaxFailures || strings.HasPrefix(r.Reason, NoRoom))
}

// waitsForRoom reports whether a message that had no room is left alone for now. It is
// tried again when there is room for it, or if that cannot be known, at times that keep
// what is downloaded for nothing below 4 MiB a minute; and once a day in any case.
func waitsForRoom(r state.Record, when When) bool {
	if !strings.HasPrefix(r.Reason, NoRoom) || r.Tried.IsZero() {
		return false
	}
	since := when.Now.Sub(r.Tried).Abs()
	if full := when.Room > 0 && when.Room < r.Octets; full || when.Room > 0 && !strings.HasPrefix(r.Reason, NoRoomTold) {
		return full && since < aDay
	}
	return since < min(aDay, time.Duration(r.Octets>>22)*time.Minute)
}

// ReminderIsDue reports whether the user, who was told last that a message is set aside,
// is to be told again. last may be zero.
func ReminderIsDue(last, now time.Time) bool { return last.IsZero() || now.Sub(last).Abs() >= aDay }

// MaxUndelivered is how many records of undelivered messages one maildrop has, about. A
// server can list and refuse as many messages as it likes. When there are as many, those
// of messages that are not listed are forgotten, and no more are stored. Such a record
// is only worth an attempt: a message without it counts as new.
const MaxUndelivered = 10_000

// LargerThanMaxSize is the Reason in the record of a message that stays on the
// server because of its size.
const LargerThanMaxSize = "larger than max_size"

// Verdict is what a plan does with one message.
type Verdict uint8

const (
	Fresh    Verdict = iota + 1 // never delivered: retrieve it
	Suspect                     // its id was delivered, but the message may be another one: look at its header block
	Seen                        // delivered by an earlier poll: leave it
	Due                         // delivered by an earlier poll: delete it
	TooBig                      // larger than Policy.MaxOctets: leave it
	SetAside                    // failed MaxFailures times or more: leave it until its next try is due
	Deferred                    // beyond Policy.MaxMessages: retrieve it in a later poll
)

var verdictNames = [...]string{Fresh: "new", Suspect: "unsure", Seen: "seen", Due: "due", TooBig: "too big", SetAside: "failed", Deferred: "deferred"}

// String returns the word that users see in listings.
func (v Verdict) String() string { return verdictNames[v] }
