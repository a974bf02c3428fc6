// Package stalltest lets a test give up a server that falls silent after a short time, and
// no other server, on a slow machine either: the time limits of its connections begin when
// the server stalls.
package stalltest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Stall is the moment from which on time limits count. The zero Stall is ready for use, by
// several goroutines at once.
type Stall struct {
	mu    sync.Mutex
	begun bool
	conns []*conn
}

// Begin has the time limits of all connections count from now on. The server calls it when
// it stalls.
func (s *Stall) Begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
	for _, c := range s.conns {
		c.begin(time.Now())
	}
}

// Dial is net.Dialer.DialContext for a server of the test, which accepts at once: the
// deadline of ctx does not end it.
func (s *Stall) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := new(net.Dialer).DialContext(context.WithoutCancel(ctx), network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, stall: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return c, nil
}

// conn is a connection whose time limits begin with a Stall. Stall.mu guards it.
type conn struct {
	net.Conn
	stall       *Stall
	read, write limit
}

// limit is a time limit that does not count yet.
type limit struct {
	set  bool
	left time.Duration
}

// begin sets the limits that were put off.
func (c *conn) begin(now time.Time) {
	if c.read.set {
		c.Conn.SetReadDeadline(now.Add(c.read.left))
	}
	if c.write.set {
		c.Conn.SetWriteDeadline(now.Add(c.write.left))
	}
}

// SetReadDeadline sets a deadline, or puts it off until the server stalls. One that was long
// ago interrupts a read that waits, and is never put off.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(&c.read, c.Conn.SetReadDeadline, t)
}

// SetWriteDeadline is SetReadDeadline for writes.
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.write, c.Conn.SetWriteDeadline, t)
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// longAgo is how far back a deadline lies that shall interrupt.
const longAgo = time.Hour

func (c *conn) setDeadline(l *limit, set func(time.Time) error, t time.Time) error {
	c.stall.mu.Lock()
	defer c.stall.mu.Unlock()
	left := time.Until(t)
	if c.stall.begun || t.IsZero() || left < -longAgo {
		*l = limit{}
		return set(t)
	}
	*l = limit{true, max(left, 0)}
	return set(time.Time{})
}
