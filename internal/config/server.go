package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// checkServer splits Server into Host and Port, and checks the name in the
// certificate.
func (l *loader) checkServer(g *login) {
	if g.TLSServerName != "" {
		if msg := checkASCIIHost(g.TLSServerName); msg != "" {
			l.add(g.at("tls_server_name"), quote(g.TLSServerName)+" "+msg, "")
		}
	}
	if g.Server == "" || g.Socket != "" {
		return
	}
	host, port, err := splitServer(g.Server)
	if err != nil {
		l.add(g.at("server"), err.Error(), "")
		return
	}
	g.Host, g.Port = host, port
	if port == 0 {
		g.Port = g.ports[g.TLS]
	}
}

// splitServer reads host, host:port, [v6] or [v6]:port. The host is returned in
// lower case, without brackets and final dot; the port is 0 if there is none.
func splitServer(s string) (host string, port int, err error) {
	if strings.Contains(s, "@") { // the message does not repeat s: a password may precede the @
		return "", 0, fmt.Errorf("the server contains an @; write the host alone, and the user with the key user")
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return "", 0, fmt.Errorf("%s is a URL of another kind; write the host alone, and the key tls instead of %q", quote(s), scheme+"://")
	}
	host, portText, hasPort := s, "", false
	if rest, ok := strings.CutPrefix(s, "["); ok {
		var after string
		if host, after, ok = strings.Cut(rest, "]"); !ok {
			return "", 0, fmt.Errorf("%s has no closing bracket", quote(s))
		}
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() {
			return "", 0, fmt.Errorf("%s is not an IPv6 address in brackets", quote(s))
		}
		if portText, hasPort = strings.CutPrefix(after, ":"); !hasPort && after != "" {
			return "", 0, fmt.Errorf("%s has more after the bracket; write [address]:port", quote(s))
		}
	} else {
		if strings.Count(s, ":") > 1 {
			if _, err := netip.ParseAddr(s); err == nil {
				return "", 0, fmt.Errorf("an IPv6 address needs brackets: %q", "["+s+"]")
			}
		}
		host, portText, hasPort = strings.Cut(s, ":")
	}
	if hasPort {
		n, err := strconv.ParseUint(portText, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("%s is not a port from 1 to 65535", quote(portText))
		}
		port = int(n)
	}
	if msg := checkHost(host); msg != "" {
		return "", 0, fmt.Errorf("%s %s", quote(host), msg)
	}
	return strings.ToLower(strings.TrimSuffix(host, ".")), port, nil
}

// checkASCIIHost is checkHost for ASCII names only.
func checkASCIIHost(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "is not ASCII; write the form that begins with xn--"
	}
	return checkHost(s)
}

// checkHost returns why s is neither a host name nor an IP address, "" if it is.
func checkHost(s string) string {
	const not = "is not the name of a host"
	if _, err := netip.ParseAddr(s); err == nil {
		return ""
	}
	if len(s) > 254 { // RFC 1035 section 2.3.4, with a final dot
		return not
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 {
			return not
		}
	}
	for _, r := range s {
		if !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Nd) && !strings.ContainsRune(".-_", r) {
			return not
		}
	}
	return ""
}
