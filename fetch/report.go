package fetch

import (
	"fmt"
	"time"
)

// Report is the result of one poll.
type Report struct {
	Account    string
	Listed     int   // messages in the maildrop
	Delivered  int   // messages that are where they belong now, finished ones of an earlier run included
	Seen       int   // delivered by earlier polls
	Skipped    int   // left on the server: too big, set aside, deferred, unreadable in the listing
	SetAside   int   // of these, set aside after MaxFailures
	Deleted    int   // deleted from the server, confirmed by it
	Failed     int   // tried in this poll and not delivered
	Octets     int64 // received in messages
	RoundTrips int   // how often something was sent while no answer was due, QUIT included
	Seconds    float64
	LoginDelay time.Duration // the server wants no login sooner after this one
	Err        error         // what Poll returned
}

// MessageError is why one message was not delivered. It is still on the server.
type MessageError struct {
	Num int
	UID string
	Err error
}

func (e *MessageError) Error() string {
	return fmt.Sprintf("message %d (unique-id %q): %v", e.Num, e.UID, e.Err)
}

// Unwrap returns the reason.
func (e *MessageError) Unwrap() error { return e.Err }
