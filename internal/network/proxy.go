package network

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/proxy"
)

// maxConnectReply bounds the reply of an HTTP proxy, in octets.
const maxConnectReply = 64 << 10

// socks has a SOCKS5 proxy connect to address. The proxy looks up the name. RFC 1928
func (w *Way) socks(ctx context.Context, raw net.Conn, address string) (net.Conn, error) {
	var auth *proxy.Auth // RFC 1929
	if user := w.Proxy.User; user != nil {
		password, _ := user.Password()
		auth = &proxy.Auth{User: user.Username(), Password: password}
	}
	d, err := proxy.SOCKS5("tcp", w.Proxy.Host, auth, connected{raw})
	if err != nil {
		return nil, err
	}
	conn, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	if err == nil {
		return conn, nil
	}
	var op *net.OpError
	if errors.As(err, &op) { // its text repeats the addresses
		err = op.Err
	}
	hint := ""
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the proxy closed the connection")
		hint = "is it a SOCKS5 proxy?"
	case !isTimeout(err):
		err = errors.New(strings.TrimPrefix(w.conceal(err.Error()), "unknown error "))
		hint = "the proxy may not reach the server, not be a SOCKS5 proxy, or want a login: socks5://user:password@host:port"
	}
	return nil, &Error{Hint: hint, Err: fmt.Errorf("SOCKS5 to %s: %w", address, err)}
}

// connected is a dialer that has connected already.
type connected struct{ net.Conn }

// Dial returns the connection.
func (c connected) Dial(string, string) (net.Conn, error) { return c.Conn, nil }

// DialContext returns the connection.
func (c connected) DialContext(context.Context, string, string) (net.Conn, error) { return c.Conn, nil }

// secure begins TLS with the proxy itself.
func (w *Way) secure(ctx context.Context, raw net.Conn) (net.Conn, error) {
	conn := tls.Client(raw, &tls.Config{ServerName: w.Proxy.Hostname(), MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(ctx); err != nil {
		var record tls.RecordHeaderError
		hint := "the certificate of the proxy has to be valid for its name, and of an authority that this machine trusts"
		if errors.As(err, &record) {
			hint = "the proxy does not speak TLS; is it http://?"
		}
		return nil, &Error{Hint: hint, Err: fmt.Errorf("secure the connection to the proxy: %w", err)}
	}
	return conn, nil
}

// connect has an HTTP proxy connect to address. RFC 9110 section 9.3.6
func (w *Way) connect(conn net.Conn, address string) (net.Conn, error) {
	request := &http.Request{Method: http.MethodConnect, Host: address, URL: &url.URL{Opaque: address}, Header: http.Header{"User-Agent": {"popfetch"}}}
	if w.Proxy.User != nil {
		request.Header.Set("Proxy-Authorization", "Basic "+basic(w.Proxy.User)) // RFC 7617
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxConnectReply}
	r := bufio.NewReader(limited)
	reply, err := http.ReadResponse(r, request)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return nil, &Error{Hint: "is it an HTTP proxy?", Err: errors.New("the proxy closed the connection in answer to CONNECT")}
	case isTimeout(err):
		return nil, err
	case err != nil:
		return nil, &Error{Hint: "is it an HTTP proxy?", Err: fmt.Errorf("CONNECT %s: %.200q", address, w.conceal(err.Error()))}
	case reply.StatusCode/100 == 2:
		limited.N = int64(r.Buffered()) // what came behind the reply is the server's
		return &resumed{Conn: conn, early: io.LimitReader(r, limited.N)}, nil
	}
	refused := &Error{Err: fmt.Errorf("CONNECT %s: the proxy said %.200q", address, w.conceal(reply.Status))}
	switch reply.StatusCode {
	case http.StatusProxyAuthRequired:
		refused.Lasting = true
		refused.Hint = "the proxy wants a login: http://user:password@host:port"
		if w.Proxy.User != nil {
			refused.Hint = "the proxy refuses user and password in its URL"
		}
		if offered := reply.Header.Get("Proxy-Authenticate"); offered != "" && !strings.HasPrefix(strings.ToLower(offered), "basic") {
			refused.Hint = fmt.Sprintf("the proxy wants a login by %.40q; popfetch supports Basic only", offered)
		}
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusBadRequest:
		refused.Hint = "many HTTP proxies let CONNECT through to port 443 only; ask the proxy's operator for the port of the server"
	default:
		refused.Hint = "the proxy does not reach the server; is its name right?"
	}
	return nil, refused
}

// basic returns the credentials of the scheme Basic.
func basic(user *url.Userinfo) string {
	password, _ := user.Password()
	return base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
}

// resumed is a connection of which some octets have been read already.
type resumed struct {
	net.Conn
	early io.Reader
}

func (c *resumed) Read(p []byte) (int, error) {
	if c.early == nil {
		return c.Conn.Read(p)
	}
	n, err := c.early.Read(p)
	if err == io.EOF {
		c.early = nil
		if n == 0 {
			return c.Conn.Read(p)
		}
		err = nil
	}
	return n, err
}
