package fetch

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// grace is how long the message that is being received may take after the user
	// has stopped popfetch.
	grace = 4 * time.Second
	// overtime is how long the delivery of messages that were received whole may
	// take after the end of the poll.
	overtime = time.Second

	// rateWindow is how long a poll may wait for the server if nothing comes. Each
	// Account.MinRate octets that come give it another second.
	rateWindow = 5 * time.Minute

	// A poll that was asked to end in favour of other accounts may wait for
	// leavingWindow to end what it has begun, and a second more for each leavingRate
	// octets; then for closingTime for the replies to DELE and QUIT.
	leavingRate   = 2048
	leavingWindow = 30 * time.Second
	closingTime   = 2 * time.Minute
)

// lateError is why a poll ended before everything was done.
type lateError struct{ reason string }

func (e *lateError) Error() string { return e.reason }

// errTurn ends a poll in order, between two messages. It is a failure only if the poll
// has delivered nothing.
var errTurn = &lateError{fmt.Sprintf("the poll ended after %v, so that other accounts need not wait; the next poll continues", turn)}

// errSlow ends a poll that does not end in order soon after errTurn.
var errSlow = &lateError{fmt.Sprintf("the poll was cut off: it had taken %v, other accounts need not wait, and the server sends less than %d octets a second; the next poll continues",
	turn, leavingRate)}

// lifetime is the context of one poll. It ends at the poll's deadline, and when the
// context that it was made from ends: at once while no message can be on its way,
// after a short grace otherwise.
type lifetime struct {
	context.Context
	// late bounds the delivery of messages that were received whole: it ends a
	// little later.
	late    context.Context
	outer   context.Context
	leave   <-chan struct{} // closed when the poll is to end in order; may be nil
	cancel  context.CancelCauseFunc
	stop    context.CancelCauseFunc // of late
	timer   *time.Timer
	unhook  func() bool
	holding atomic.Bool

	// These belong to the goroutine that uses the session.
	whole   allowance // of the poll, up to DELE
	last    allowance // once the poll was asked to end in order
	closing bool      // see finishing
}

func newLifetime(outer context.Context, leave <-chan struct{}, deadline time.Duration, minRate int64) *lifetime {
	l := &lifetime{outer: outer, leave: leave, last: allowance{rate: leavingRate, most: leavingWindow}}
	if minRate > 0 {
		l.whole = allowance{rate: minRate, most: rateWindow}
	}
	l.Context, l.cancel = context.WithCancelCause(context.WithoutCancel(outer))
	l.late, l.stop = context.WithCancelCause(context.WithoutCancel(outer))
	context.AfterFunc(l.Context, func() {
		select {
		case <-time.After(overtime):
			l.stop(context.Cause(l))
		case <-l.late.Done():
		}
	})
	l.timer = time.AfterFunc(deadline, func() {
		l.cancel(&lateError{fmt.Sprintf("the poll took longer than its deadline of %v", deadline)})
	})
	l.unhook = context.AfterFunc(outer, func() {
		if l.holding.Load() {
			select {
			case <-time.After(grace):
			case <-l.Done():
			}
		}
		l.cancel(context.Cause(outer))
	})
	return l
}

// waited takes note that the session has waited for the server for d, and that octets
// came. It ends the poll if they come too slowly. It is called from the goroutine that
// uses the session.
func (l *lifetime) waited(octets int, d time.Duration) {
	if l.left() && !l.last.spend(octets, d) {
		l.cancel(errSlow)
	}
	if !l.closing && !l.whole.spend(octets, d) {
		l.cancel(&lateError{fmt.Sprintf("the server sent less than %d octets a second (min_rate) for about %v", l.whole.rate, rateWindow)})
	}
}

// allowance is how long somebody may wait for octets. Waiting uses it up, and each
// octet that comes gives a part of it back.
type allowance struct {
	rate int64         // octets that give a second back
	most time.Duration // what is left at the beginning, and at most; 0 = waiting is not limited
	used time.Duration
}

// spend reports whether anything is left after a wait of d for some octets.
func (a *allowance) spend(octets int, d time.Duration) bool {
	if a.most == 0 {
		return true
	}
	a.used += d
	if a.rate > 0 {
		a.used = max(0, a.used-time.Duration(octets)*time.Second/time.Duration(a.rate))
	}
	return a.used < a.most
}

// left reports whether the poll was asked to end in order.
func (l *lifetime) left() bool {
	select {
	case <-l.leave:
		return true
	default:
		return false
	}
}

// hold grants the grace from now on.
func (l *lifetime) hold() { l.holding.Store(true) }

// finishing says that only DELE and QUIT follow, whose replies have few octets.
func (l *lifetime) finishing() { l.closing, l.last = true, allowance{most: closingTime} }

// reason returns why no further message may be begun, nil while one may.
func (l *lifetime) reason() error {
	if l.outer.Err() != nil {
		return context.Cause(l.outer)
	}
	if err := context.Cause(l); err != nil {
		return err
	}
	if l.left() {
		return errTurn
	}
	return nil
}

// end ends both contexts and frees what they hold.
func (l *lifetime) end() {
	l.unhook()
	l.timer.Stop()
	l.cancel(context.Canceled)
	l.stop(context.Canceled)
}
