package relay

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"popfetch/internal/mask"
)

// Security is how a connection is protected.
type Security int

const (
	ClearText   Security = iota
	StartTLS             // RFC 3207; a server without it is refused
	ImplicitTLS          // TLS from the first octet, RFC 8314
)

// Options are how to connect. The zero value is LMTP in clear text.
type Options struct {
	SMTP     bool   // SMTP in place of LMTP
	Name     string // of this machine, for EHLO or LHLO; "" = localhost
	Security Security
	TLS      *tls.Config // for any Security but ClearText
	// Dial makes the connection, nil = net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout is how long to wait for a connection, for the reply to a command, and until
	// the server takes the next 4 KiB of a message; 0 = 1 minute. The reply to a whole
	// message has 10 minutes, or Timeout if that is longer.
	Timeout time.Duration
	Log     *slog.Logger // of the dialog, at level debug and without secrets; nil = none

	final time.Duration // for the reply to a message; 0 = 10 minutes
	grace time.Duration // for a reply that is due when the context ends; 0 = 2 seconds
}

// Client is a connection to a server that takes mail, after EHLO or LHLO. It belongs to one
// goroutine at a time. After an error that is not a *Refusal only Close may be called.
//
// The library go-smtp waits for the reply to each command and cannot send several at once
// (RFC 2920); it also takes any reply but 250 to a message for a refusal.
type Client struct {
	opts       Options
	host, port string // that were dialled, for the login
	conn       *conn
	in         *bufio.Reader
	out        *bufio.Writer
	extensions map[string]string // by name in upper case
	secured    *tls.ConnectionState

	command, final time.Duration // see Options
	secrets        mask.Secrets  // of the login: no log and no error shows them
	loggedIn       bool
	stuck          bool // the server waits for a message that nobody will send
}

// Dial connects, greets the server and secures the connection.
func Dial(ctx context.Context, network, addr string, o Options) (*Client, error) {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: o.Timeout}).DialContext
	}
	raw, err := o.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr) // of a socket there are none
	c := &Client{
		opts: o, host: host, port: port, conn: &conn{Conn: raw, timeout: o.Timeout, grace: cmp.Or(o.grace, defaultGrace)},
		command: o.Timeout, final: max(o.Timeout, cmp.Or(o.final, defaultFinal)),
	}
	c.use(c.conn)
	stop := context.AfterFunc(ctx, c.conn.interrupt)
	err = c.begin()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// use reads from and writes to conn from now on.
func (c *Client) use(conn net.Conn) {
	c.in = bufio.NewReaderSize(conn, maxLine)
	c.out = bufio.NewWriterSize(conn, 4<<10)
}

func (c *Client) begin() error {
	if c.opts.Security == ImplicitTLS {
		if err := c.handshake(); err != nil {
			return err
		}
	}
	if _, err := c.expect("greeting", 220, c.command); errors.As(err, new(*Refusal)) {
		return err
	} else if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := c.hello(); err != nil || c.opts.Security != StartTLS {
		return err
	}
	if _, ok := c.Extension("STARTTLS"); !ok {
		return errNoStartTLS
	}
	if _, err := c.do("STARTTLS", 220); err != nil {
		return err
	}
	if c.in.Buffered() > 0 { // it came in clear text and would count as protected
		return errors.New("the server said more before TLS began")
	}
	if err := c.handshake(); err != nil {
		return err
	}
	return c.hello() // what came in clear text does not count. RFC 3207 section 4.2
}

var errNoStartTLS = errors.New("the server does not offer STARTTLS, so the connection would stay in clear text")

// handshake begins TLS.
func (c *Client) handshake() error {
	secured := tls.Client(c.conn, c.opts.TLS)
	c.conn.limit(c.command)
	if err := secured.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	state := secured.ConnectionState()
	c.secured = &state
	c.use(secured)
	return nil
}

// hello greets the server, and learns its extensions. RFC 5321 section 4.1.1.1
func (c *Client) hello() error {
	c.extensions = make(map[string]string)
	name := cmp.Or(c.opts.Name, "localhost")
	verb := "LHLO" // RFC 2033 section 4.1
	if c.opts.SMTP {
		verb = "EHLO"
	}
	r, err := c.do(verb+" "+name, 250)
	var refused *Refusal
	if errors.As(err, &refused) && (refused.Code == 500 || refused.Code == 502) {
		if !c.opts.SMTP {
			return errNoLHLO
		}
		_, err := c.do("HELO "+name, 250)
		return err
	}
	if err != nil {
		return err
	}
	for _, line := range r.lines[1:] {
		keyword, parameters, _ := strings.Cut(line, " ")
		c.extensions[strings.ToUpper(keyword)] = parameters
	}
	return nil
}

// Extension returns the parameters of an extension, and whether the server has announced it.
func (c *Client) Extension(name string) (parameters string, ok bool) {
	parameters, ok = c.extensions[name]
	return parameters, ok
}

// TLS returns the state of TLS, nil in clear text.
func (c *Client) TLS() *tls.ConnectionState { return c.secured }

// maxSize returns the length in octets of the largest message, 0 = not known. RFC 1870
func (c *Client) maxSize() int64 {
	text, _ := c.Extension("SIZE")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Close drops the connection.
func (c *Client) Close() error { return c.conn.Close() }

// quit ends the session. The server's reply is worth little time.
func (c *Client) quit() {
	c.conn.timeout, c.command = c.conn.grace, c.conn.grace
	_, _ = c.do("QUIT", 221) // everything is delivered or not by now
	c.Close()
}

// reset ends the transaction that has begun.
func (c *Client) reset() error {
	_, err := c.do("RSET", 250)
	return err
}
