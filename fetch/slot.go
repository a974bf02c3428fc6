package fetch

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// slot is one account's place in the schedule. Its times are those of the clock of the
// run.
type slot struct {
	*Account
	due      time.Time // zero: not again
	why      Reason    // for due
	removed  bool      // the account is no longer configured; its last poll is under way
	counted  bool      // the poll of Once is over
	failures int       // polls in a row that failed for the account as a whole
	last     *Report   // of the latest poll that has ended; nil: none yet
	ended    time.Time // of that poll
	index    int       // in the heap of those that wait; -1: not in it
	queued   bool      // it waits for a place

	current *underway // the poll under way; nil: none
	wishes  wishes    // for the poll under way, or for the next if none is
}

// underway is a poll that has begun and not ended.
type underway struct {
	begun     time.Time
	spare     bool          // it counts against Spare, no longer against Parallel and PerHost
	leave     chan struct{} // closed to end it in order
	dismissed bool          // leave is closed
}

// wishes are what those want that have asked for a poll.
type wishes struct {
	keep    bool            // delete nothing
	answers []chan<- Report // each gets the report; none ever blocks
}

// Reason is why an account is not polled earlier.
type Reason uint8

const (
	ForInterval   Reason = iota // the interval of the account
	ForFailures                 // polls have failed, so it backs off
	ForLoginDelay               // the server wants no earlier login (RFC 2449 section 6.5)
)

// String is the reason in words.
func (r Reason) String() string {
	switch r {
	case ForFailures:
		return "back-off after failures"
	case ForLoginDelay:
		return "LOGIN-DELAY of the server"
	}
	return "interval"
}

// polling reports whether a poll of the account is under way.
func (sl *slot) polling() bool { return sl.current != nil }

// keeps reports whether the poll under way, or the next, deletes nothing.
func (sl *slot) keeps() bool { return sl.wishes.keep || !sl.Policy.Delete }

// toPoll returns the account as its next poll is to treat it.
func (sl *slot) toPoll() *Account {
	if !sl.wishes.keep {
		return sl.Account
	}
	kept := *sl.Account
	kept.Policy.Delete = false
	return &kept
}

// begin makes the poll of the account the one under way.
func (sl *slot) begin(now time.Time) *underway {
	sl.current = &underway{begun: now, leave: make(chan struct{})}
	return sl.current
}

// end takes note of how the poll of the account has ended. The wishes for it stay until
// they are answered.
func (sl *slot) end(report Report, now time.Time) {
	sl.current, sl.due, sl.wishes.keep = nil, time.Time{}, false
	sl.last, sl.ended = &report, now
	sl.failures++
	if report.Err == nil || OfMessages(report.Err) {
		sl.failures = 0
	}
}

// reschedule sets when the account is polled after the poll that has just ended.
func (sl *slot) reschedule(now time.Time) {
	wait, why := sl.Interval, ForInterval
	if pause := backoff(Classify(sl.last.Err), sl.failures); pause > wait {
		wait, why = pause, ForFailures
	}
	wait = jitter(wait)
	if sl.last.LoginDelay > wait {
		wait, why = sl.last.LoginDelay, ForLoginDelay
	}
	sl.due, sl.why = now.Add(wait), why
}

// dismiss asks the poll to end in order.
func (u *underway) dismiss() {
	if !u.dismissed {
		u.dismissed = true
		close(u.leave)
	}
}

// jitter spreads the polls of many accounts: it varies d by up to a tenth.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

// mostPause is the longest back-off, jitter included.
const mostPause = 27 * time.Hour

// backoff returns the shortest wait after a number of failures in a row. It is long
// for a refused password, because servers lock accounts after some attempts.
func backoff(c Class, failures int) time.Duration {
	first, most := time.Minute, time.Hour
	if c == Auth {
		first, most = 15*time.Minute, 24*time.Hour
	}
	if failures == 0 {
		return 0
	}
	return min(first<<min(failures-1, 20), most)
}

// dueHeap holds slots, the one that is due first at index 0 (container/heap).
type dueHeap []*slot

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop are for container/heap alone.
func (h *dueHeap) Push(x any) {
	sl := x.(*slot)
	sl.index = len(*h)
	*h = append(*h, sl)
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	sl := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	sl.index = -1
	return sl
}

func (h *dueHeap) put(sl *slot) { heap.Push(h, sl) }

// take removes the slot that is due first.
func (h *dueHeap) take() *slot { return heap.Pop(h).(*slot) }

// remove removes sl if it is in the heap, and reports whether it was.
func (h *dueHeap) remove(sl *slot) bool {
	if sl.index < 0 {
		return false
	}
	heap.Remove(h, sl.index)
	return true
}
