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

// Security says how the connection is protected.
type Security uint8

const (
	ImplicitTLS Security = iota // TLS from the first octet, port 995. RFC 8314 section 3.2
	StartTLS                    // STLS before anything else, port 110. RFC 2595
	ClearText                   // not at all: anyone on the path can read along
)

// Pipelining says whether the client may send a command before the reply to the
// last one has come.
type Pipelining uint8

const (
	PipelineAuto Pipelining = iota // if the server announces PIPELINING. RFC 2449 section 6.6
	PipelineOff                    // one command at a time
)

const (
	defaultTimeout = 60 * time.Second
	idleQuit       = 10 * time.Second // for QUIT if nothing is marked as deleted
)

// Options configure a connection. The zero value and a nil pointer mean implicit
// TLS, verified against the system's certificates.
type Options struct {
	Security Security
	// TLS is cloned. ServerName defaults to the host dialled, MinVersion to TLS 1.2.
	TLS *tls.Config
	// Dial makes the connection; nil = a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout bounds each wait as a whole: for the connection, for a TLS
	// handshake, for a reply; in a listing or a message, for each 1024 octets
	// that arrive at the socket. 0 = 60 s. A QUIT that has nothing to delete
	// waits for at most 10 s.
	Timeout    time.Duration
	Pipelining Pipelining
	// Begun says that the session is in state TRANSACTION from its start, because the server
	// was started for its user, as "doveadm exec pop3" is. Such a server may send no
	// greeting. StartTLS is not possible then.
	Begun bool
	// Waited is called after each read from the connection: octets have come, those of
	// TLS included, after a wait of d. nil = not called.
	Waited func(octets int, d time.Duration)
	// Log gets the wire trace at LevelTrace; nil = none.
	Log *slog.Logger
	// Secrets are passwords and tokens that no trace and no error may show, from
	// the greeting on: a server may repeat there what an earlier session has sent.
	// Those of Credentials are added at the login.
	Secrets []string
}

// Client is one POP3 session. It is used from one goroutine; only Close may be
// called from another.
type Client struct {
	ctx     context.Context
	opts    Options
	host    string
	port    string // "" = not known
	link    *link
	lines   lineIO
	tls     *tls.Conn // nil = none
	timeout time.Duration

	state     State
	greeting  string
	timestamp string // for APOP, "" = none
	caps      Capabilities
	offer     Offer

	// What is on its way.
	out           []byte        // commands that are queued and not written yet
	queued        []string      // their names
	unanswered    []sent        // commands that were written and not answered yet, oldest first
	unclaimed     []string      // of both, those sent before the call that reads their reply, see askAhead
	trips         int           // see RoundTrips
	answered      string        // the command that was answered last, "" for none
	answeredTrip  int           // the trip of the command that was answered last
	flightStart   time.Time     // of the flight whose first reply has not come; zero = none
	roundTrip     time.Duration // the shortest wait for the first reply of a flight so far
	iterating     string        // the command whose loop is running, "" = none
	draining      bool          // send nothing before all is answered, see Drain
	confirmed     int           // see Confirmed
	aheadLeft     int           // replies still to come to what watchAhead watches
	aheadAnswered bool          // one of them has come
	handover      bool          // the login was accepted and the next reply is one of them
	proved        bool          // the next reply is the decision about a login whose last answer was sent ahead

	// What is known of the maildrop.
	empty    bool // STAT has said that there are no messages
	dotless  bool // the last reply may still be followed by the dot that ends a listing
	deleting bool // the server has accepted a DELE, so that QUIT has something to do

	broken error // the first fatal error
	closed atomic.Bool
}

// Dial connects to addr (network "tcp": host:port), reads the greeting and
// secures the connection. The client is then in state AUTHORIZATION. ctx bounds
// the whole session, not only Dial: when it ends, every wait ends with
// context.Cause(ctx).
//
// The error is a *ResponseError if the greeting is -ERR, a *TLSError, a
// *ProtocolError, or one of the network. After an error nothing stays open.
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
		return nil, fmt.Errorf("connect to %s: no connection within %v%s: %w", addr, timeout, tried(err), os.ErrDeadlineExceeded)
	default:
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr // a network without ports
	}
	c, err := NewClient(ctx, conn, host, o)
	if err != nil {
		return nil, err
	}
	c.port = port
	return c, nil
}

// tried returns what a dialer that has tried several addresses tells of them, "" for one that
// does not.
func tried(err error) string {
	var several interface{ Tried() string }
	if errors.As(err, &several) {
		return " (" + several.Tried() + ")"
	}
	return ""
}

// NewClient is Dial over a connection that exists already. host names the server
// for TLS and in messages. NewClient takes ownership of conn and closes it on
// error.
func NewClient(ctx context.Context, conn net.Conn, host string, o *Options) (*Client, error) {
	if o == nil {
		o = new(Options)
	}
	c := &Client{ctx: ctx, opts: *o, host: host, timeout: o.timeout(), link: newLink(ctx, conn)}
	c.link.waited = o.Waited
	c.lines.log = o.Log
	for _, secret := range o.Secrets {
		c.lines.secrets.Add(secret)
	}
	c.lines.conn = c.link
	c.lines.r = bufio.NewReaderSize(&c.lines, firstSize)
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
	if c.opts.Begun {
		c.state = Transaction
		_, err := c.Capa()
		return err
	}
	// RFC 1939 section 4: the greeting is a positive response, and may carry
	// the timestamp of APOP (section 7).
	c.unanswered = append(c.unanswered, sent{command: "greeting"})
	text, err := c.status()
	if err != nil {
		return err
	}
	c.greeting = c.lines.secrets.conceal(text)
	if c.opts.Security == StartTLS {
		// Nothing that came in clear text can be trusted, the timestamp included.
		return c.stls()
	}
	c.timestamp = timestamp(text)
	return nil
}

// State returns the session state.
func (c *Client) State() State { return c.state }

// Greeting returns the text of the greeting after "+OK ", or "***" if it gives
// a secret away. It may hold any octets: callers escape it.
func (c *Client) Greeting() string { return c.greeting }

// TLS returns the state of the TLS connection; false if there is none.
func (c *Client) TLS() (tls.ConnectionState, bool) {
	if c.tls == nil {
		return tls.ConnectionState{}, false
	}
	return c.tls.ConnectionState(), true
}

// RoundTrips returns the length of the longest chain of commands, QUIT included, in which
// each was sent after the reply to the one before it: the round trips that no pipelining
// has saved. The greeting and TLS handshakes do not count.
func (c *Client) RoundTrips() int { return c.trips }

// Octets returns how many octets of the protocol came in and went out, as
// counted inside TLS.
func (c *Client) Octets() (in, out int64) { return c.lines.in, c.lines.out }

// Broken returns nil while the session can go on, and otherwise an error that
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
// nothing. It may be called at any time, any number of times. A call from another
// goroutine ends a wait.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	// Below TLS: writing close_notify could block.
	return c.link.Close()
}

// enter returns an error if the command may not be called now. It reads and drops
// the replies to other commands that were sent ahead.
func (c *Client) enter(command string, allowed ...State) error {
	if c.closed.Load() && c.state != Update || c.broken != nil {
		return c.brokenBy(command)
	}
	if c.iterating != "" {
		return &StateError{Command: command, State: c.state, During: c.iterating}
	}
	if !slices.Contains(allowed, c.state) {
		return &StateError{Command: command, State: c.state}
	}
	return c.dropAhead(command)
}

// fail breaks the client with err and returns the error for the caller.
func (c *Client) fail(err error) error {
	err = c.blameAhead(err)
	if c.broken == nil {
		c.broken = err
	}
	c.out, c.queued, c.unanswered, c.unclaimed = nil, nil, nil, nil
	return err
}

// failIO breaks the client after a failed read or write for a command.
func (c *Client) failIO(command string, err error) error {
	return c.fail(c.describe(command, err))
}

// protocol breaks the client because of a line that POP3 does not allow.
func (c *Client) protocol(command string, line []byte, reason string) error {
	return c.fail(&ProtocolError{Command: command, Line: c.lines.shown(line), Reason: reason})
}

// describe returns the error for the caller after an I/O error.
func (c *Client) describe(command string, err error) error {
	switch {
	case errors.Is(err, errLineTooLong):
		return &ProtocolError{Command: command, Line: c.lines.head(), Reason: "line too long"}
	case c.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", command, context.Cause(c.ctx))
	case isTimeout(err) && c.link.bulk:
		return fmt.Errorf("%s: less than %d octets of the reply within %v: %w", command, rateOctets, c.link.budget, os.ErrDeadlineExceeded)
	case isTimeout(err):
		return fmt.Errorf("%s: no whole reply within %v: %w", command, c.link.budget, os.ErrDeadlineExceeded)
	case c.tls != nil && certificateAlert(err):
		return &TLSError{Host: c.host, Err: err}
	case isEnd(err) && errors.Unwrap(err) == nil: // a connection that says more about its end is quoted
		return fmt.Errorf("%s: connection closed by the server: %w", command, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%s: %w", command, err)
}
