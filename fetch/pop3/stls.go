package pop3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// stls secures the connection before anything else is sent. It does not send CAPA
// first: nothing that comes in clear text can be trusted, and without STLS in the
// reply it would have to fail all the same. RFC 2595 section 4
func (c *Client) stls() error {
	c.queue("STLS", "STLS", "STLS")
	_, err := c.status()
	if errors.As(err, new(*ResponseError)) {
		return c.fail(&TLSError{Host: c.host, Err: &STLSError{Announced: c.announcesSTLS(), Err: err}})
	}
	if err != nil {
		return err
	}
	// An attacker appends replies in clear text to the +OK, to have them taken
	// for replies that came under TLS (CVE-2021-22947 and many more).
	if c.lines.r.Buffered() > 0 {
		return c.fail(&TLSError{Host: c.host, Err: &ProtocolError{
			Command: "STLS", Line: c.lines.head(), Reason: "octets in clear text after the reply; no credentials were sent"}})
	}
	return c.handshake()
}

// announcesSTLS reports whether the server announces STLS. It is asked after a refusal, for
// the error; the session goes no further.
func (c *Client) announcesSTLS() bool {
	caps, err := c.Capa()
	return err == nil && caps.Has("STLS")
}

// handshake starts TLS over the link and forgets what the server has announced before.
func (c *Client) handshake() error {
	cfg := c.opts.TLS.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = c.host
	}
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS12 // RFC 8314 section 4.1
	}
	conn := tls.Client(c.link, cfg)
	c.link.whole(c.timeout)
	if err := conn.Handshake(); err != nil {
		return c.fail(c.tlsError(err))
	}
	c.tls = conn
	c.lines.conn = conn
	c.lines.r.Reset(&c.lines)
	c.caps, c.offer = Capabilities{}, Offer{}
	return nil
}

// tlsError returns the error for the caller after a handshake that did not succeed: a
// *TLSError unless the connection was lost.
func (c *Client) tlsError(err error) error {
	what := "TLS handshake with " + c.host
	var (
		syscall *os.SyscallError
		clear   tls.RecordHeaderError
	)
	switch {
	case c.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, context.Cause(c.ctx))
	case isTimeout(err):
		return fmt.Errorf("%s: not finished within %v: %w", what, c.timeout, os.ErrDeadlineExceeded)
	case isEnd(err), errors.As(err, &syscall):
		return fmt.Errorf("%s: %w", what, err)
	case errors.As(err, &clear) && c.opts.Security == StartTLS:
		return &TLSError{Host: c.host, Err: fmt.Errorf("the server accepts STLS and then answers in clear text; no credentials were sent: %w", err)}
	case errors.As(err, &clear):
		return &TLSError{Host: c.host, Err: fmt.Errorf("the server does not speak TLS first on this port (starttls or another port may): %w", err)}
	}
	return &TLSError{Host: c.host, Err: err}
}

// certificateAlert reports whether err is what the server says of the certificate of the
// client. RFC 8446 section 6.2
func certificateAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate")
}
