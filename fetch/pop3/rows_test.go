package pop3

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"popfetch/internal/certtest"
)

// T09 of the fault matrix: which names of a certificate stand for which server.
func TestRowT08T09NamesOfCertificates(t *testing.T) {
	ca := newAuthority(t)
	for name, tt := range map[string]struct {
		server string
		cert   tls.Certificate
		good   bool
	}{
		"IDN as it stands in DNS":       {"xn--mnchen-3ya.example.org", issueFor(t, ca, "xn--mnchen-3ya.example.org"), true},
		"IDN of another name":           {"xn--mnchen-3ya.example.org", issueFor(t, ca, "munchen.example.org"), false},
		"upper case":                    {"POP.Example.ORG", issueFor(t, ca, "pop.example.org"), true},
		"wildcard for one label":        {"pop.example.org", issueFor(t, ca, "*.example.org"), true},
		"wildcard for two labels":       {"a.pop.example.org", issueFor(t, ca, "*.example.org"), false},
		"wildcard for the domain":       {"example.org", issueFor(t, ca, "*.example.org"), false},
		"wildcard for part of a label":  {"pop.example.org", issueFor(t, ca, "p*.example.org"), false},
		"wildcard alone":                {"pop.example.org", issueFor(t, ca, "*"), false},
		"wildcard for an address":       {"127.0.0.1", issueFor(t, ca, "*.0.0.1"), false},
		"address as a name":             {"127.0.0.1", issueFor(t, ca, "127.0.0.1"), false},
		"address":                       {"127.0.0.1", issue(t, ca, certtest.Request{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}), true},
		"another address":               {"127.0.0.1", issue(t, ca, certtest.Request{IPs: []net.IP{net.IPv4(127, 0, 0, 2)}}), false},
		"address and no name":           {"pop.example.org", issue(t, ca, certtest.Request{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}), false},
		"NUL within the name":           {"pop.example.org", issueFor(t, ca, "pop.example.org\x00.example.com"), false},
		"dot at the end":                {"pop.example.org", issueFor(t, ca, "pop.example.org."), false},
		"one of many names, the last":   {"pop.example.org", issueFor(t, ca, "a.example.com", "b.example.com", "pop.example.org"), true},
		"name with something behind it": {"pop.example.org", issueFor(t, ca, "pop.example.org.example.com"), false},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Options{TLS: &tls.Config{RootCAs: ca.Pool(), ServerName: tt.server}}
			server := &tls.Config{Certificates: []tls.Certificate{tt.cert}}
			_, err := secure(t, o, server, "", "S: +OK hi\n")
			var failed *TLSError
			if tt.good && err != nil || !tt.good && !errors.As(err, &failed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// T10: a key exchange without forward secrecy is refused.
func TestRowT10OnlyRSAKeyExchange(t *testing.T) {
	ca := newAuthority(t)
	server := &tls.Config{
		Certificates: []tls.Certificate{issue(t, ca, certtest.Request{Names: []string{"pop.example.org"}, RSA: true})},
		MaxVersion:   tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_GCM_SHA384},
	}
	_, err := secure(t, &Options{TLS: &tls.Config{RootCAs: ca.Pool()}}, server, "", "S: +OK hi\n")
	var failed *TLSError
	if !errors.As(err, &failed) {
		t.Errorf("got %v", err)
	}
}

// T14: a chain of certificates that is megabytes long ends the handshake.
func TestRowT14CertificateChainOfMegabytes(t *testing.T) {
	ca := newAuthority(t)
	cert := issueFor(t, ca, "pop.example.org")
	for range 4096 {
		cert.Certificate = append(cert.Certificate, ca.Certificate.Raw)
	}
	_, err := secure(t, &Options{TLS: &tls.Config{RootCAs: ca.Pool()}}, &tls.Config{Certificates: []tls.Certificate{cert}}, "", "S: +OK hi\n")
	if err == nil || len(err.Error()) > 1200 {
		t.Errorf("got %.300v", err)
	}
}

// names is a DNS server on the loopback, and a dialer that asks nobody else.
type names struct {
	conn net.PacketConn
	rule func(dnsmessage.Question) (dnsmessage.RCode, dnsmessage.ResourceBody)
}

func newNames(t *testing.T, rule func(dnsmessage.Question) (dnsmessage.RCode, dnsmessage.ResourceBody)) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{conn, rule}
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.serve()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return n
}

func (n *names) serve() {
	buf := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
		var body dnsmessage.ResourceBody
		answer.RCode, body = n.rule(q)
		if body != nil {
			answer.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, Body: body}}
		}
		if octets, err := answer.Pack(); err == nil {
			n.conn.WriteTo(octets, from)
		}
	}
}

// dial is for Options.Dial.
func (n *names) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}}
	return d.DialContext(ctx, network, addr)
}

// N01: a name that cannot be looked up is an error that names it.
func TestRowN01NameThatIsNotFound(t *testing.T) {
	for name, rcode := range map[string]dnsmessage.RCode{
		"SERVFAIL": dnsmessage.RCodeServerFailure, "NXDOMAIN": dnsmessage.RCodeNameError,
		"REFUSED": dnsmessage.RCodeRefused, "no address": dnsmessage.RCodeSuccess,
	} {
		t.Run(name, func(t *testing.T) {
			n := newNames(t, func(dnsmessage.Question) (dnsmessage.RCode, dnsmessage.ResourceBody) { return rcode, nil })
			_, err := Dial(t.Context(), "tcp", "mail.popfetch.invalid.:110", &Options{Security: ClearText, Dial: n.dial, Timeout: 20 * time.Second})
			var dns *net.DNSError
			if !errors.As(err, &dns) || !strings.Contains(err.Error(), "mail.popfetch.invalid") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// N01: where nobody listens at the IPv6 address, the IPv4 address is taken.
func TestRowN01OneOfTwoAddressesIsBroken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = peer{script: "S: +OK hi\nC: QUIT\nS: +OK\n"}.play(conn)
		}
		done <- err
	}()
	n := newNames(t, func(q dnsmessage.Question) (dnsmessage.RCode, dnsmessage.ResourceBody) {
		if q.Type == dnsmessage.TypeAAAA {
			return dnsmessage.RCodeSuccess, &dnsmessage.AAAAResource{AAAA: [16]byte(net.IPv6loopback)}
		}
		return dnsmessage.RCodeSuccess, &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c, err := Dial(t.Context(), "tcp", "pop.example.org.:"+port, &Options{Security: ClearText, Dial: n.dial, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.Quit(), <-done); err != nil {
		t.Error(err)
	}
}
