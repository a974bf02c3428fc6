// Package network connects to servers: directly, to a unix socket, through a SOCKS5 or
// HTTP proxy, or through a program whose standard input and output are the connection.
//
// It knows no protocol of mail. TLS to the server and all timeouts of a session are the
// business of whoever uses the connection.
package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Way is how a server is reached. The zero value connects directly. Nothing changes it
// during Dial, which several goroutines may call at once.
type Way struct {
	// Proxy is the URL of a proxy, with a port: socks5, http or https, with user and
	// password if the proxy wants them. nil = none.
	Proxy *url.URL
	// Tunnel is a program and its arguments, run without a shell. Its standard input and
	// output are the connection, whatever address is dialled. nil = none.
	Tunnel []string
	// Source is the address of this machine to connect from. The zero value leaves the
	// choice to the system.
	Source netip.Addr
	// Resolver looks up names. nil = the system's.
	Resolver *net.Resolver
	// Log gets at level debug what a tunnel writes to its standard error. nil = no log.
	Log *slog.Logger
	// Connected is called with the route of each connection that Dial has made. nil = not called.
	Connected func(Route)
}

// Route is where a connection goes.
type Route struct {
	// Peer is the other end: an address with its port, the path of a socket, the name of
	// the program of a tunnel.
	Peer string
	// Via is the proxy without its password, "" for none. Peer is its address then.
	Via string
	// Failed are the addresses of the same host that did not answer, or not as soon as Peer.
	Failed []Attempt
}

// Attempt is an address that could not be connected to.
type Attempt struct {
	Address netip.AddrPort
	Err     error
}

func (a Attempt) String() string { return a.Address.String() + ": " + a.Err.Error() }

// Error is a connection that could not be made, or that a tunnel has ended, for a reason
// that is known better than by the system's error. No text in it holds a password of Proxy.
type Error struct {
	What    string // what was tried: `proxy socks5://localhost:1080`, `tunnel "ssh"`
	Lasting bool   // it stays until somebody changes the configuration
	Hint    string // what the user can do, or ""
	Err     error
}

func (e *Error) Error() string { return e.What + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Dial connects to address: host:port for network "tcp", a path for "unix". ctx bounds
// the attempt; the connection outlives it. Whoever gets the connection closes it.
func (w *Way) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	var route Route
	var err error
	switch {
	case len(w.Tunnel) > 0:
		conn, err = w.dialTunnel()
	case network == "unix":
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
	case w.Proxy != nil:
		route.Via = w.Proxy.Redacted()
		conn, route.Failed, err = w.dialProxy(ctx, address)
	default:
		conn, route.Failed, err = w.dialHost(ctx, address)
	}
	if err != nil {
		return nil, err
	}
	if w.Connected != nil {
		route.Peer = conn.RemoteAddr().String()
		if network == "unix" && len(w.Tunnel) == 0 {
			route.Peer = address
		}
		w.Connected(route)
	}
	return conn, nil
}

// dialProxy connects to the proxy and has it connect to address.
func (w *Way) dialProxy(ctx context.Context, address string) (net.Conn, []Attempt, error) {
	what := "proxy " + w.Proxy.Redacted()
	raw, failed, err := w.dialHost(ctx, w.Proxy.Host)
	if err != nil {
		return nil, nil, &Error{What: what, Err: fmt.Errorf("connect to the proxy: %w", err), Hint: `is the proxy running? proxy = "none" connects without one`}
	}
	// Whatever waits for the proxy ends with ctx. Deadlines are taken back below.
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	conn, err := w.handOver(ctx, raw, address)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	if err == nil {
		return conn, failed, nil
	}
	raw.Close()
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
	var known *Error
	if errors.As(err, &known) {
		known.What = what
		return nil, nil, known
	}
	return nil, nil, &Error{What: what, Err: fmt.Errorf("connect to %s: %w", address, err)}
}

// handOver has the proxy at the other end of raw connect to address.
func (w *Way) handOver(ctx context.Context, raw net.Conn, address string) (net.Conn, error) {
	switch w.Proxy.Scheme {
	case "socks5":
		return w.socks(ctx, raw, address)
	case "http":
		return w.connect(raw, address)
	case "https":
		secure, err := w.secure(ctx, raw)
		if err != nil {
			return nil, err
		}
		return w.connect(secure, address)
	}
	return nil, &Error{Lasting: true, Err: fmt.Errorf("unknown kind of proxy %q", w.Proxy.Scheme)}
}

// conceal takes the password of the proxy out of a text that the proxy has sent.
func (w *Way) conceal(text string) string {
	if password, _ := w.Proxy.User.Password(); password != "" {
		text = strings.ReplaceAll(text, password, "***")
	}
	if w.Proxy.User != nil {
		text = strings.ReplaceAll(text, basic(w.Proxy.User), "***")
	}
	return text
}

// isTimeout reports whether err only says that time is up.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
