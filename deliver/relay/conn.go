package relay

import (
	"errors"
	"net"
	"sync"
	"time"
)

// maxReplies is how many octets a server may send until the next write: replies of many
// lines, to one flight of commands.
const maxReplies = 64 << 10

// conn bounds how long a server can keep popfetch waiting, and how much it can make it read.
// interrupt may be called by another goroutine.
type conn struct {
	net.Conn
	timeout time.Duration // for one write
	grace   time.Duration // after interrupt, for the reply to a message
	read    int           // octets since the last write

	mu    sync.Mutex
	over  bool // interrupt was called
	final bool // the reply to a whole message is due
}

var (
	errEndless = errors.New("the reply of the server is endless")
	errNoLHLO  = errors.New("the server does not know LHLO, so it does not speak LMTP")
)

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.read >= maxReplies {
		return 0, errEndless
	}
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}

// Write implements net.Conn. Each write has its own time limit.
func (c *conn) Write(p []byte) (int, error) {
	c.read = 0
	c.set(c.Conn.SetWriteDeadline, c.timeout)
	return c.Conn.Write(p)
}

// limitRead sets the time limit of the next reads, together.
func (c *conn) limitRead(limit time.Duration) { c.set(c.Conn.SetReadDeadline, limit) }

// limit sets that of the next reads and writes.
func (c *conn) limit(limit time.Duration) { c.set(c.Conn.SetDeadline, limit) }

// set sets a time limit, unless interrupt has set the last one.
func (c *conn) set(deadline func(time.Time) error, limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		_ = deadline(time.Now().Add(limit)) // an error means that it is closed
	}
}

// awaitFinal notes whether the reply to a whole message is due.
func (c *conn) awaitFinal(due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.final = due
}

// interrupt makes every operation fail from now on. The reply to a whole message has the
// grace time still: without it the message is repeated.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	end := time.Now()
	if c.final {
		end = end.Add(c.grace)
	}
	_ = c.Conn.SetDeadline(end)
}
