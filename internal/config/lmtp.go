package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// lmtpPort is the usual port. RFC 2033 section 5 only forbids 25.
const lmtpPort = 24

// LMTP is the address of an LMTP server. The zero value is none.
type LMTP struct {
	Network string // "unix" or "tcp", "" = none
	Address string // absolute path of a socket, or host:port
}

// IsSet reports whether there is a server.
func (l LMTP) IsSet() bool { return l.Network != "" }

// String is the text of the key, "" for none.
func (l LMTP) String() string {
	if l.Network == "unix" {
		return "unix:" + escapeDollar(l.Address)
	}
	return l.Address
}

// local reports whether the mail stays on this machine.
func (l LMTP) local() bool {
	host, _, _ := net.SplitHostPort(l.Address)
	return l.Network != "tcp" || isLoopback(host)
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

// lmtp reads unix:PATH, host or host:port.
func (l *loader) lmtp(v any) (LMTP, error) {
	s, ok := v.(string)
	if !ok {
		return LMTP{}, expected(`a string such as "unix:/run/dovecot/lmtp" or "localhost:24"`, v)
	}
	if err := checkControl("the string", s); err != nil {
		return LMTP{}, err
	}
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path, err := socketPath(path, l.dir)
		return LMTP{"unix", path}, err
	}
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "~") {
		return LMTP{}, fmt.Errorf("a socket is written with unix: before its path: %q", "unix:"+s)
	}
	host, port, err := splitServer(s)
	if err != nil {
		return LMTP{}, err
	}
	if port == 0 {
		port = lmtpPort
	}
	return LMTP{"tcp", net.JoinHostPort(host, strconv.Itoa(port))}, nil
}
