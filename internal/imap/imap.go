// Package imap is an IMAP client that puts messages into folders and looks for them there.
//
// It speaks the part of IMAP4rev1 and IMAP4rev2 (RFC 3501, RFC 9051) that this takes:
// APPEND, with many commands under way at once, folders and their special uses, and the
// header blocks of the latest messages of a folder. Every wait has a limit, and so has
// what a server can make the client keep. The client knows nothing of popfetch.
package imap

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"popfetch/internal/mask"
)

// Security is how a connection is protected.
type Security int

const (
	ImplicitTLS Security = iota // TLS from the first octet, RFC 8314
	StartTLS                    // STARTTLS; a server without it is refused
	ClearText
)

const defaultTimeout = time.Minute

// Options are how to connect. The zero value dials directly and verifies the server.
type Options struct {
	Security Security
	TLS      *tls.Config // nil = the defaults for the host that is dialled
	// Dial makes the connection, nil = net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout is how long to wait for a reply, and until the server takes the next 64 KiB;
	// 0 = 1 minute. The reply to a message has ten times as long.
	Timeout time.Duration
	Log     *slog.Logger // of the dialog, at level debug and without secrets; nil = none
}

// Client is a connection. It is used by one goroutine at a time. After an error that is not a
// *Refusal only Close may be called.
type Client struct {
	opts    Options
	host    string // that was dialled
	port    string
	conn    net.Conn
	in      *bufio.Reader
	out     *bufio.Writer
	tls     *tls.ConnectionState // nil = clear text
	caps    []string             // in upper case
	greet   string
	tag     int
	read    int64  // octets of responses since the last command
	bye     string // what the server said before it closed the connection, quoted
	failed  error
	waiting time.Duration // for the next reply
	secrets mask.Secrets  // of the login: no log and no error shows them

	mu   sync.Mutex
	over bool // Interrupt was called
}

// Dial connects, secures the connection and asks for the capabilities.
func Dial(ctx context.Context, addr string, o Options) (*Client, error) {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: cmp.Or(o.Timeout, defaultTimeout)}).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	conn, err := o.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	c := &Client{opts: o, host: host, port: port, waiting: o.Timeout}
	c.use(conn)
	stop := context.AfterFunc(ctx, c.Interrupt)
	err = c.begin()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return c, nil
}

// use makes conn the connection.
func (c *Client) use(conn net.Conn) {
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	c.in = bufio.NewReaderSize(conn, maxLine)
	c.out = bufio.NewWriterSize(&limitedWriter{c}, 32<<10)
}

// begin reads the greeting and secures the connection.
func (c *Client) begin() error {
	if c.opts.Security == ImplicitTLS {
		if err := c.handshake(); err != nil {
			return err
		}
	}
	r, err := c.response()
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	c.greet = r.text
	switch {
	case r.tag == "*" && r.status == "BYE":
		return r.unexpected("greeting")
	case r.status == "PREAUTH":
		return &ProtocolError{"greeting", "the server has logged in somebody already (PREAUTH)"}
	case r.tag != "*" || r.status != "OK":
		return &ProtocolError{"greeting", fmt.Sprintf("the server said %s, so it does not speak IMAP", r.shown())}
	}
	if c.opts.Security != StartTLS {
		return c.capability()
	}
	if _, err := c.command("STARTTLS", nil); err != nil {
		return fmt.Errorf("the connection stays in clear text: %w", err)
	}
	if c.in.Buffered() > 0 { // it came in clear text and would count as protected
		return &ProtocolError{"STARTTLS", "the server said more before TLS began"}
	}
	if err := c.handshake(); err != nil {
		return err
	}
	return c.capability()
}

// handshake begins TLS.
func (c *Client) handshake() error {
	cfg := c.opts.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{ServerName: c.host}
	}
	cfg.NextProtos = []string{"imap"} // RFC 9051 section 11.1 leaves it open; RFC 7301 has it registered
	secured := tls.Client(c.conn, cfg)
	c.setDeadline(c.conn.SetDeadline, c.opts.Timeout)
	if err := secured.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	state := secured.ConnectionState()
	c.use(secured)
	c.tls = &state
	return nil
}

// capability asks for the capabilities.
func (c *Client) capability() error {
	c.caps = nil
	_, err := c.command("CAPABILITY", nil)
	return err
}

// Has reports whether the server has announced a capability, in upper case.
func (c *Client) Has(capability string) bool { return slices.Contains(c.caps, capability) }

// Capabilities returns all that the server has announced, in upper case.
func (c *Client) Capabilities() []string { return c.caps }

// Greeting returns the text of the greeting.
func (c *Client) Greeting() string { return c.greet }

// TLS returns the state of TLS, nil in clear text.
func (c *Client) TLS() *tls.ConnectionState { return c.tls }

// Failed reports whether the connection cannot be used any more.
func (c *Client) Failed() bool { return c.failed != nil }

// Close drops the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Logout says goodbye, for which it waits 2 seconds at most, and drops the connection.
func (c *Client) Logout() error {
	if c.failed == nil {
		c.waiting = min(c.opts.Timeout, 2*time.Second)
		_, _ = c.command("LOGOUT", nil) // everything is stored or not by now
	}
	return c.Close()
}

// Noop asks the server for nothing.
func (c *Client) Noop() error {
	_, err := c.command("NOOP", nil)
	return err
}

// send writes the line of a command, without its line end, and returns its tag. shown
// takes the place of line in the log, "" = line itself.
func (c *Client) send(line, shown, end string) string {
	c.tag++
	tag := fmt.Sprintf("p%d", c.tag)
	c.opts.Log.Debug("imap", "client", tag+" "+cmp.Or(shown, line))
	c.out.WriteString(tag + " " + line + end) // an error stays in out, and Flush returns it
	c.read = 0
	return tag
}

// command sends a command and waits for its end. each is called for each response that is
// not tagged; nil = none is expected. The error is a *Refusal if the server says NO or BAD.
func (c *Client) command(line string, each func(*response) error) (*response, error) {
	if c.failed != nil {
		return nil, c.failed
	}
	tag := c.send(line, "", "\r\n")
	return c.wait(tag, verb(line), each)
}

// verb is the name of a command.
func verb(line string) string {
	name, rest, _ := strings.Cut(line, " ")
	if name == "UID" {
		second, _, _ := strings.Cut(rest, " ")
		return name + " " + second
	}
	return name
}

// wait reads responses up to the tagged one.
func (c *Client) wait(tag, name string, each func(*response) error) (*response, error) {
	if err := c.flush(); err != nil {
		return nil, err
	}
	for {
		r, err := c.response()
		if err != nil {
			return nil, err
		}
		switch r.tag {
		case "*":
			if each != nil && r.status == "" {
				if err := each(r); err != nil {
					return nil, c.fail(err)
				}
			}
		case tag:
			return r, r.refusal(name)
		default:
			return nil, c.fail(r.unexpected(name))
		}
	}
}

// flush sends what was written.
func (c *Client) flush() error {
	if err := c.out.Flush(); err != nil {
		return c.fail(err)
	}
	return nil
}

// fail makes every later call fail with the error, which reason words for the user.
func (c *Client) fail(err error) error {
	if c.failed == nil {
		c.failed = c.reason(err)
		c.conn.Close()
	}
	return c.failed
}

func (c *Client) reason(err error) error {
	var timeout net.Error
	switch {
	case errors.As(err, new(*ProtocolError)):
		return err
	case c.bye != "":
		return fmt.Errorf("the server closed the connection and said %s (%w)", c.bye, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the server closed the connection (%w)", err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("the server did not answer in time (%w)", err)
	}
	return err
}

// limitedWriter writes to the connection with a time limit for each 64 KiB.
type limitedWriter struct{ c *Client }

func (w *limitedWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		part := p[:min(len(p), 64<<10)]
		w.c.setDeadline(w.c.conn.SetWriteDeadline, w.c.opts.Timeout)
		var m int
		m, err = w.c.conn.Write(part)
		n += m
		p = p[m:]
	}
	return n, err
}

// setDeadline sets a time limit, unless Interrupt has set the last one.
func (c *Client) setDeadline(set func(time.Time) error, limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		set(time.Now().Add(limit)) // an error means that the connection is closed
	}
}

// grace is how long replies that are due may take after Interrupt: without them nobody
// knows what became of a message.
const grace = 2 * time.Second

// Interrupt has the connection end: nothing new is sent, and what is under way has 2 more
// seconds. Any goroutine may call it.
func (c *Client) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.conn.SetDeadline(time.Now().Add(grace))
}

// interrupted reports whether Interrupt was called.
func (c *Client) interrupted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}
