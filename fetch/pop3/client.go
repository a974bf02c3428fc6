package pop3

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// Security is how the connection is protected.
type Security uint8

const (
	ImplicitTLS Security = iota // TLS from the first octet, port 995. RFC 8314 section 3.2
	StartTLS                    // STLS before anything else, port 110. RFC 2595
	ClearText                   // nothing: the password can be read on the way
)

// Pipelining is whether several commands may be on their way at once.
type Pipelining uint8

const (
	PipelineAuto Pipelining = iota // where the server offers PIPELINING. RFC 2449 section 6.6
	PipelineOff                    // one command at a time
)

const (
	defaultTimeout = 60 * time.Second
	idleQuit       = 10 * time.Second // for QUIT where nothing is marked as deleted
)

// Options are the choices of a connection. The zero value, and a nil pointer,
// mean implicit TLS verified against the system's certificates.
type Options struct {
	Security Security
	// TLS is cloned. ServerName defaults to the host dialled, MinVersion to TLS 1.2.
	TLS *tls.Config
	// Dial makes the connection; nil = a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout bounds the waiting for the connection, for one TLS handshake, for
	// one reply as a whole, and in a listing or message for each 1024 octets as
	// they arrive at the socket; 0 = 60 s. A QUIT that has nothing to delete
	// waits for 10 s at most.
	Timeout    time.Duration
	Pipelining Pipelining
	// Log gets the wire trace at LevelTrace; nil = none.
	Log *slog.Logger
	// Secrets are passwords and tokens that no trace and no error may show, from
	// the greeting on: a server may repeat there what an earlier session has sent.
	// Those of Credentials are added at the login.
	Secrets []string
}

// Client is one POP3 session. It is used from one goroutine, but for Close.
type Client struct {
	ctx     context.Context
	opts    Options
	host    string
	link    *link
	wire    wire
	tls     *tls.Conn // nil = none
	timeout time.Duration

	state     State
	greeting  string
	timestamp string // for APOP, "" = none
	caps      Capabilities
	offer     Offer

	out       []byte   // queued commands that are not written yet
	queued    []string // their names
	owed      []string // commands whose replies have not been read, oldest first
	unclaimed []string // of these, the ones that no call has come for, see askAhead
	flights   int
	asked     time.Time     // when the flight began whose first reply has not come, zero = it has
	trip      time.Duration // the shortest wait for the first reply of a flight
	during    string        // the iteration that is not over
	draining  bool          // send nothing more before owed is empty, see Drain

	early     int   // replies owed to what was sent in a hurry, see hurried
	answered  bool  // one of them has come
	handover  bool  // the login was accepted and the next reply is one of them
	confirmed int   // see Confirmed
	empty     bool  // STAT has said that there are no messages
	dotless   bool  // the last reply may still be followed by the dot that ends a listing
	marked    bool  // the server has taken a DELE: QUIT has something to do
	broken    error // the first fatal error
	closed    atomic.Bool
}

// Dial connects to addr (network "tcp": host:port), reads the greeting and
// secures the connection. The client is then in state AUTHORIZATION. ctx bounds
// the whole session, not only Dial: when it ends, every wait ends with
// context.Cause(ctx).
//
// Errors: *ResponseError for a greeting of -ERR, *TLSError, *ProtocolError, and
// those of the network. Nothing stays open.
func Dial(ctx context.Context, network, addr string, o *Options) (*Client, error) {
	if o == nil {
		o = new(Options)
	}
	timeout := o.timeout()
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	dialCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dial(dialCtx, network, addr)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connect to %s: %w", addr, context.Cause(ctx))
	case dialCtx.Err() != nil:
		return nil, fmt.Errorf("connect to %s: no connection within %v: %w", addr, timeout, os.ErrDeadlineExceeded)
	default:
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr // a network without ports
	}
	return NewClient(ctx, conn, host, o)
}

// NewClient does what Dial does over a connection that is already there. host
// names the server for TLS and in messages. conn belongs to the client from
// now on, and is closed on error.
func NewClient(ctx context.Context, conn net.Conn, host string, o *Options) (*Client, error) {
	if o == nil {
		o = new(Options)
	}
	c := &Client{ctx: ctx, opts: *o, host: host, timeout: o.timeout(), link: newLink(ctx, conn)}
	c.wire.log = o.Log
	for _, secret := range o.Secrets {
		c.wire.secrets.add(secret)
	}
	c.wire.conn = c.link
	c.wire.r = bufio.NewReaderSize(&c.wire, bufferSize)
	if err := c.open(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (o *Options) timeout() time.Duration {
	if o.Timeout <= 0 {
		return defaultTimeout
	}
	return o.Timeout
}

// open reads the greeting, with TLS before or after it.
func (c *Client) open() error {
	if c.opts.Security == ImplicitTLS {
		if err := c.handshake(); err != nil {
			return err
		}
	}
	// RFC 1939 section 4: the greeting is a positive response, and may carry
	// the timestamp of APOP (section 7).
	c.owed = append(c.owed, "greeting")
	text, err := c.status()
	if err != nil {
		return err
	}
	c.greeting = c.wire.secrets.conceal(text)
	if c.opts.Security == StartTLS {
		// What came in clear text is worth nothing, its timestamp included.
		return c.stls()
	}
	c.timestamp = timestamp(text)
	return nil
}

// State returns the session state.
func (c *Client) State() State { return c.state }

// Greeting returns the text of the greeting after "+OK ", or "***" where it gives
// a secret away. It may hold any octets: callers escape it.
func (c *Client) Greeting() string { return c.greeting }

// TLS returns the state of the TLS connection; false if there is none.
func (c *Client) TLS() (tls.ConnectionState, bool) {
	if c.tls == nil {
		return tls.ConnectionState{}, false
	}
	return c.tls.ConnectionState(), true
}

// RoundTrips counts the flights: how often something was sent while no reply
// was owed, QUIT included. The greeting and TLS handshakes do not count.
func (c *Client) RoundTrips() int { return c.flights }

// Octets returns how many octets of the protocol came in and went out, as
// counted inside TLS.
func (c *Client) Octets() (in, out int64) { return c.wire.in, c.wire.out }

// Broken returns nil while the client is in step, and otherwise an error that
// wraps ErrBroken and the first cause.
func (c *Client) Broken() error {
	if c.broken == nil && !c.closed.Load() {
		return nil
	}
	return c.brokenBy("next command")
}

func (c *Client) brokenBy(command string) error {
	if c.broken == nil {
		return &brokenError{command: command, cause: net.ErrClosed}
	}
	return &brokenError{command: command, cause: c.broken}
}

// SurplusReply returns an error if a message begins like a reply (RFC 1939 section
// 3): the server has sent a reply too many, and that was taken for the reply to
// RETR num. head is the first octets of the message, 4 or more if it has them. The
// client is broken then.
func (c *Client) SurplusReply(num int, head []byte) error {
	if !bytes.HasPrefix(head, []byte("+OK")) && !bytes.HasPrefix(head, []byte("-ERR")) {
		return nil
	}
	return c.protocol(fmt.Sprintf("RETR %d", num), head, "the message begins with a reply")
}

// Close drops the connection: no QUIT, no UPDATE, so that the server removes
// nothing. It may be called at any time, any number of times, and from another
// goroutine, where it ends a wait.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	// Not through TLS: its farewell could have to wait for the server.
	return c.link.Close()
}

// enter says whether a command may be called now. What was asked for ahead and is
// not this command is read and dropped.
func (c *Client) enter(command string, allowed ...State) error {
	if c.closed.Load() && c.state != Update || c.broken != nil {
		return c.brokenBy(command)
	}
	if c.during != "" {
		return &StateError{Command: command, State: c.state, During: c.during}
	}
	if !slices.Contains(allowed, c.state) {
		return &StateError{Command: command, State: c.state}
	}
	return c.dropAhead(command)
}

// fail marks the client as broken by err and returns what the caller is told.
func (c *Client) fail(err error) error {
	err = c.blame(err)
	if c.broken == nil {
		c.broken = err
	}
	c.out, c.queued, c.owed, c.unclaimed = nil, nil, nil, nil
	return err
}

// failIO breaks the client after a failed read or write for a command.
func (c *Client) failIO(command string, err error) error {
	return c.fail(c.describe(command, err))
}

// protocol breaks the client over a line that no rule allows.
func (c *Client) protocol(command string, line []byte, reason string) error {
	return c.fail(&ProtocolError{Command: command, Line: c.wire.shown(line), Reason: reason})
}

// describe says what an I/O error means for a command.
func (c *Client) describe(command string, err error) error {
	switch {
	case errors.Is(err, errLineTooLong):
		return &ProtocolError{Command: command, Line: c.wire.head(), Reason: "line too long"}
	case c.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", command, context.Cause(c.ctx))
	case isTimeout(err) && c.link.bulk:
		return fmt.Errorf("%s: less than %d octets of the reply within %v: %w", command, rateOctets, c.link.budget, os.ErrDeadlineExceeded)
	case isTimeout(err):
		return fmt.Errorf("%s: no whole reply within %v: %w", command, c.link.budget, os.ErrDeadlineExceeded)
	case isEnd(err):
		return fmt.Errorf("%s: connection closed by the server: %w", command, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%s: %w", command, err)
}
