package pop3

import (
	"context"
	"net"
	"sync"
	"time"
)

// rateOctets is how many octets of a long reply have to arrive within each timeout.
const rateOctets = 1024

// link is the connection below TLS. It bounds the time that an exchange spends
// waiting, over any number of reads and writes, and ends every wait when the context
// ends. The time between two waits does not count: a caller that syncs a disk
// between two reads does not make the server look silent.
//
// One goroutine reads and writes; the context may end in another.
type link struct {
	net.Conn
	ctx     context.Context
	unwatch func() bool
	waited  func(octets int, d time.Duration) // see Options.Waited

	budget  time.Duration // how long the exchange may wait
	left    time.Duration // what is left of that
	bulk    bool          // the budget starts over after each rateOctets
	arrived int           // octets since it began

	mu    sync.Mutex // orders the deadlines set here and the one of the context
	ended bool       // the context is over: no deadline is moved any more
}

func newLink(ctx context.Context, conn net.Conn) *link {
	l := &link{Conn: conn, ctx: ctx}
	l.unwatch = context.AfterFunc(ctx, l.end)
	return l
}

// end wakes a read or write that waits; it returns the cause of the context's end.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.Conn.SetDeadline(time.Unix(1, 0)) // any time in the past
}

// whole bounds all waits that follow by d together, whatever arrives.
func (l *link) whole(d time.Duration) { l.budget, l.left, l.bulk = d, d, false }

// rate bounds the waits that follow by d for each rateOctets that arrive.
func (l *link) rate(d time.Duration) { l.budget, l.left, l.bulk, l.arrived = d, d, true, 0 }

// arm sets a deadline, unless the context has ended.
func (l *link) arm(set func(time.Time) error, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return set(now.Add(max(l.left, 0)))
}

func (l *link) Read(p []byte) (int, error) {
	start := time.Now()
	if err := l.arm(l.Conn.SetReadDeadline, start); err != nil {
		return 0, err
	}
	n, err := l.Conn.Read(p)
	d := time.Since(start)
	l.left -= d
	if l.waited != nil {
		l.waited(n, d)
	}
	if l.arrived += n; l.bulk && l.arrived >= rateOctets {
		l.left, l.arrived = l.budget, 0
	}
	if err != nil && l.ctx.Err() != nil {
		err = context.Cause(l.ctx)
	}
	return n, err
}

func (l *link) Write(p []byte) (int, error) {
	start := time.Now()
	if err := l.arm(l.Conn.SetWriteDeadline, start); err != nil {
		return 0, err
	}
	n, err := l.Conn.Write(p)
	l.left -= time.Since(start)
	if err != nil && l.ctx.Err() != nil {
		err = context.Cause(l.ctx)
	}
	return n, err
}

// Close may be called at any time and from any goroutine.
func (l *link) Close() error {
	l.unwatch()
	return l.Conn.Close()
}
