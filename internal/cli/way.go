package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"golang.org/x/net/http/httpproxy"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/network"
)

// dialer returns the function that connects to the server of g. A way that cannot work until
// somebody changes the configuration is a *fetch.ConfigError. connected, if not nil, is told
// the route of each connection.
func dialer(g *config.Login, log *slog.Logger, connected func(network.Route)) (func(ctx context.Context, kind, address string) (net.Conn, error), error) {
	w, err := wayTo(g, log)
	if err != nil {
		return nil, err
	}
	w.Connected = func(r network.Route) {
		log.Debug("connected", "to", describe(r))
		if connected != nil {
			connected(r)
		}
	}
	return func(ctx context.Context, kind, address string) (net.Conn, error) {
		if g.Socket != "" {
			kind, address = "unix", g.Socket
		}
		conn, err := w.Dial(ctx, kind, address)
		return conn, lastingWay(err)
	}, nil
}

// lastingWay gives the error of a way that cannot work until somebody changes the
// configuration its class.
func lastingWay(err error) error {
	var known *network.Error
	if errors.As(err, &known) && known.Lasting {
		return &fetch.ConfigError{Err: err}
	}
	return err
}

// describe tells where a connection goes, and which other addresses did not answer.
func describe(r network.Route) string {
	text := r.Peer
	if r.Via != "" {
		text += ", by the proxy " + r.Via
	}
	for _, failed := range r.Failed {
		if !failed.Unrouted() { // a machine without IPv6 is nothing to report
			text += "; not " + failed.String()
		}
	}
	return text
}

// addressOf returns what to dial for the server of g, and its name for TLS.
func addressOf(g *config.Login) (addr, host string, err error) {
	if g.Socket != "" {
		return g.Address(), g.Host, nil
	}
	if host, err = asciiHost(g.Host); err != nil {
		return "", "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(g.Port)), host, nil
}

// address is where a server is and how to get there.
type address struct {
	addr string      // what to dial
	tls  *tls.Config // nil = clear text
	dial func(ctx context.Context, kind, address string) (net.Conn, error)
}

// address returns the address of the server. trusted is as for connector.tls.
func (d *connector) address(trusted string) (to address, err error) {
	g := &d.account.Login
	addr, host, err := addressOf(g)
	if err != nil {
		return to, err
	}
	to.addr = addr
	if g.TLS != config.TLSNone {
		if to.tls, err = d.tls(host, trusted); err != nil {
			return to, &fetch.ConfigError{Err: err}
		}
	}
	to.dial, err = dialer(g, d.log, d.routed)
	return to, err
}

// wayTo returns how the server of g is reached. An error is lasting: somebody has to change
// the configuration or the environment.
func wayTo(g *config.Login, log *slog.Logger) (*network.Way, error) {
	w := &network.Way{Source: g.SourceAddress, Tunnel: g.Tunnel, Log: log, Proxy: g.Proxy.URL}
	if g.Proxy.URL != nil || g.Proxy.None || len(g.Tunnel) > 0 || g.Socket != "" {
		return w, nil
	}
	proxy, err := environmentProxy(g.Address())
	w.Proxy = proxy
	return w, err
}

// webTransport returns what carries the requests of the login g to the web: those to its
// OAuth 2.0 provider. They leave from the source address of g. They take the proxy of the
// account, else that of https_proxy, else that of all_proxy.
func webTransport(g *config.Login) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	chosen := g.Proxy.URL != nil || g.Proxy.None
	if _, text := firstSet("https_proxy", "HTTPS_PROXY"); text != "" && !chosen {
		t.DialContext = func(ctx context.Context, kind, address string) (net.Conn, error) { // to the proxy, as programs for the web do
			conn, err := (&network.Way{Source: g.SourceAddress}).Dial(ctx, kind, address)
			return conn, lastingWay(err)
		}
		return t
	}
	t.Proxy = nil
	t.DialContext = func(ctx context.Context, kind, address string) (net.Conn, error) {
		proxy := g.Proxy.URL
		if !chosen {
			var err error
			if proxy, err = environmentProxy(address); err != nil {
				return nil, err
			}
		}
		conn, err := (&network.Way{Proxy: proxy, Source: g.SourceAddress}).Dial(ctx, kind, address)
		return conn, lastingWay(err)
	}
	return t
}

// environmentProxy returns the proxy that all_proxy or ALL_PROXY names for connections of
// every kind; nil for none, for this machine, and for a server that no_proxy or NO_PROXY
// lists. http_proxy and https_proxy are about the web and do not count.
func environmentProxy(address string) (*url.URL, error) {
	name, text := firstSet("all_proxy", "ALL_PROXY")
	if text == "" {
		return nil, nil
	}
	_, exceptions := firstSet("no_proxy", "NO_PROXY")
	// The package knows only of the web, but the rules for exceptions are the same.
	rules := httpproxy.Config{HTTPSProxy: "http://proxy.invalid:1", NoProxy: exceptions}
	if u, err := rules.ProxyFunc()(&url.URL{Scheme: "https", Host: address}); err != nil || u == nil {
		return nil, err
	}
	p, err := config.ParseProxy(text)
	if err != nil {
		return nil, &fetch.ConfigError{Err: &network.Error{What: "environment variable " + name, Err: err, Lasting: true,
			Hint: `proxy = "none" connects without a proxy`}}
	}
	return p.URL, nil
}

// firstSet returns the first of some environment variables that is not empty.
func firstSet(names ...string) (name, value string) {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}
