package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// lmtpPort is the usual port. RFC 2033 section 5 only forbids 25.
const lmtpPort = 24

// Endpoint is where a server on this machine or another one is reached. The zero value
// is none.
type Endpoint struct {
	Network string // "unix" or "tcp", "" = none
	Address string // absolute path of a socket, or host:port
}

// IsSet reports whether there is one.
func (e Endpoint) IsSet() bool { return e.Network != "" }

// String is the text of the key, "" for none.
func (e Endpoint) String() string {
	if e.Network == "unix" {
		return "unix:" + escapeDollar(e.Address)
	}
	return e.Address
}

// local reports whether what is sent there stays on this machine.
func (e Endpoint) local() bool {
	host, _, _ := net.SplitHostPort(e.Address)
	return e.Network != "tcp" || isLoopback(host)
}

// recipients reads one address or a list.
func (l *loader) recipients(f field, v any) ([]string, error) {
	list, err := oneOrMore("an address or a list of addresses", v)
	for _, to := range list {
		if err == nil {
			_, err = l.text(f, to)
		}
	}
	return list, err
}

// endpoint reads unix:PATH, host:port or, for LMTP, a host alone.
func (l *loader) endpoint(f field, v any) (Endpoint, error) {
	example := `"unix:/run/dovecot/lmtp" or "localhost:24"`
	if f.kind == "listen" {
		example = `"localhost:9110" or "unix:/run/popfetch/metrics"`
	}
	s, ok := v.(string)
	if !ok {
		return Endpoint{}, expected("a string such as "+example, v)
	}
	if err := checkControl("the string", s); err != nil {
		return Endpoint{}, err
	}
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path, err := socketPath(path, l.dir)
		return Endpoint{"unix", path}, err
	}
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "~") {
		return Endpoint{}, fmt.Errorf("a socket is written with unix: before its path: %q", "unix:"+s)
	}
	if f.kind == "listen" && strings.HasPrefix(s, ":") {
		return Endpoint{}, fmt.Errorf("the address is missing before the port; write %q, or %q for every address of this machine", "localhost"+s, "[::]"+s)
	}
	host, port, err := splitServer(s)
	switch {
	case err != nil:
		return Endpoint{}, err
	case port == 0 && f.kind == "listen":
		return Endpoint{}, fmt.Errorf("the port is missing; write %s", example)
	case port == 0:
		port = lmtpPort
	}
	return Endpoint{"tcp", net.JoinHostPort(host, strconv.Itoa(port))}, nil
}
