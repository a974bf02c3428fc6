package pop3

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a DNS server on a loopback address, and a dialer that uses no other.
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

// The error about a host that DNS does not know names it.
func TestHostThatDNSDoesNotKnow(t *testing.T) {
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

// If nobody listens on the IPv6 address of a host, its IPv4 address is used.
func TestOneOfTwoAddressesIsDead(t *testing.T) {
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
