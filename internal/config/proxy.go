package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Proxy is a proxy to connect through. The zero value leaves it to the environment.
type Proxy struct {
	// URL is socks5, http or https://host:port, with user and password if they are
	// written, and nothing else. nil = none is written.
	URL  *url.URL
	None bool // no proxy, whatever the environment says
}

// String is the text of the key with the password masked, "" for the zero value.
func (p Proxy) String() string { return p.text(mask) }

// Reveal is String with the password.
func (p Proxy) Reveal() string {
	if p.URL == nil || p.URL.User == nil {
		return p.text("")
	}
	return p.URL.String()
}

func (p Proxy) text(password string) string {
	switch {
	case p.None:
		return "none"
	case p.URL == nil:
		return ""
	case p.HoldsPassword():
		return p.URL.Scheme + "://" + url.User(p.URL.User.Username()).String() + ":" + password + "@" + p.URL.Host
	}
	return p.URL.String()
}

// HoldsPassword reports whether the URL has a password.
func (p Proxy) HoldsPassword() bool {
	if p.URL == nil {
		return false
	}
	_, ok := p.URL.User.Password()
	return ok
}

// MarshalText returns String.
func (p Proxy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalTOML accepts what ParseProxy does.
func (p *Proxy) UnmarshalTOML(v any) (err error) {
	s, ok := v.(string)
	if !ok {
		return expected("the URL of a proxy such as "+proxyExample, v)
	}
	*p, err = ParseProxy(s)
	return err
}

const proxyExample = `"socks5://localhost:1080"`

// ParseProxy reads "none", or the URL of a proxy with its port. "socks" and "socks5h" are
// other words for "socks5": the proxy always looks up the name of the server. An error does
// not repeat the URL, which may contain a password.
func ParseProxy(s string) (Proxy, error) {
	if s == "none" {
		return Proxy{None: true}, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return Proxy{}, fmt.Errorf("not the URL of a proxy; write one such as %s, or \"none\"", proxyExample)
	}
	host, port, err := net.SplitHostPort(u.Host)
	n, numErr := strconv.ParseUint(port, 10, 16)
	scheme := strings.ToLower(u.Scheme)
	if scheme == "socks" || scheme == "socks5h" {
		scheme = "socks5"
	}
	password, _ := u.User.Password()
	switch {
	case !slices.Contains([]string{"socks5", "http", "https"}, scheme):
		return Proxy{}, fmt.Errorf("a proxy of the kind %s is not supported; the kinds are socks5, http and https: %s", quote(u.Scheme), proxyExample)
	case err != nil || host == "" || numErr != nil || n == 0:
		return Proxy{}, fmt.Errorf("the URL of the proxy needs a host and a port: %s", proxyExample)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return Proxy{}, fmt.Errorf("the URL of the proxy ends after the port: %s; in a password write / ? # @ as %%2F %%3F %%23 %%40", proxyExample)
	case scheme == "socks5" && u.User != nil && (password == "" || u.User.Username() == ""): // RFC 1929 section 2
		return Proxy{}, fmt.Errorf("a SOCKS5 proxy that wants a login wants both user and password: socks5://user:password@host:port")
	case scheme == "socks5" && max(len(password), len(u.User.Username())) > 255:
		return Proxy{}, fmt.Errorf("user and password of a SOCKS5 proxy have at most 255 octets each")
	}
	return Proxy{URL: &url.URL{Scheme: scheme, User: u.User, Host: u.Host}}, nil
}
