package relay

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"time"
)

// maxReplies is how many octets a server may send until the next write: replies of many
// lines, to one command.
const maxReplies = 64 << 10

// conn bounds how long a server can keep popfetch waiting, and how much it can make it read.
// interrupt may be called by another goroutine.
type conn struct {
	net.Conn
	timeout time.Duration // for one write
	grace   time.Duration // after interrupt, for the reply to a message
	read    int           // octets since the last write
	open    bool          // LHLO was accepted

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

// Write implements net.Conn. Each write has its own time limit. In place of LHLO the library
// would try HELO, which begins SMTP.
func (c *conn) Write(p []byte) (int, error) {
	if !c.open && bytes.HasPrefix(p, []byte("HELO ")) {
		return 0, errNoLHLO
	}
	c.read = 0
	if err := c.limitWrite(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) limitWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil
	}
	return c.Conn.SetWriteDeadline(time.Now().Add(c.timeout))
}

// SetDeadline implements net.Conn. A deadline stays until the next one: the library takes it
// away between commands, and while it sends a message. After interrupt none is set.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.IsZero() || c.over {
		return nil
	}
	return c.Conn.SetDeadline(t)
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
	_ = c.Conn.SetDeadline(end) // an error means that it is closed
}
