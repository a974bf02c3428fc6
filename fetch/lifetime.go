package fetch

import (
	"context"
	"sync/atomic"
	"time"
)

// lifetime is the context of one poll. It ends at the poll's deadline, and when the
// context that it was made from ends: at once while no message can be on its way,
// after a short grace otherwise.
type lifetime struct {
	context.Context
	// late bounds the delivery of messages that were received whole: it ends a
	// little later.
	late    context.Context
	outer   context.Context
	cancel  context.CancelCauseFunc
	stop    context.CancelCauseFunc // of late
	timer   *time.Timer
	unhook  func() bool
	holding atomic.Bool
}

func newLifetime(outer context.Context, deadline time.Duration) *lifetime {
	l := &lifetime{outer: outer}
	l.Context, l.cancel = context.WithCancelCause(context.WithoutCancel(outer))
	l.late, l.stop = context.WithCancelCause(context.WithoutCancel(outer))
	context.AfterFunc(l.Context, func() {
		select {
		case <-time.After(overtime):
			l.stop(context.Cause(l))
		case <-l.late.Done():
		}
	})
	l.timer = time.AfterFunc(deadline, func() { l.cancel(&deadlineError{deadline}) })
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

// hold grants the grace from now on.
func (l *lifetime) hold() { l.holding.Store(true) }

// reason returns why no further message may be begun, nil while one may.
func (l *lifetime) reason() error {
	if l.outer.Err() != nil {
		return context.Cause(l.outer)
	}
	return context.Cause(l)
}

// end ends both contexts and frees what they hold.
func (l *lifetime) end() {
	l.unhook()
	l.timer.Stop()
	l.cancel(context.Canceled)
	l.stop(context.Canceled)
}
