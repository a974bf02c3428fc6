package cli_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"popfetch/internal/certtest"
	"popfetch/internal/cli"
)

// popinit is popfetch in a world of its own: DNS is asked at $POPFETCH_TEST_DNS, and all
// web servers are the one at $POPFETCH_TEST_WEB.
func popinit() {
	dial := func(network, addr string) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	resolver := &net.Resolver{PreferGo: true, Dial: dial("udp", os.Getenv("POPFETCH_TEST_DNS"))}
	web := &http.Transport{DialContext: dial("tcp", os.Getenv("POPFETCH_TEST_WEB"))}
	os.Exit(cli.Run(append([]string{"popfetch"}, os.Args[1:]...), os.Stdout, os.Stderr, "test", resolver, web))
}

// initWorld is a DNS server and a web server.
type initWorld struct {
	dns, web string
	srv      map[string]dnsmessage.SRVResource // by full name, such as "_pop3s._tcp.example.org."
	pages    map[string]string                 // by host and path
}

// env is for the program popinit.
func (w *initWorld) env() []string {
	return []string{"POPFETCH_TEST_DNS=" + w.dns, "POPFETCH_TEST_WEB=" + w.web}
}

// startInitWorld starts both servers. The web server has the certificate.
func startInitWorld(t *testing.T, cert *tls.Certificate, srv map[string]dnsmessage.SRVResource, pages map[string]string) *initWorld {
	t.Helper()
	w := &initWorld{srv: srv, pages: pages}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w.dns = conn.LocalAddr().String()
	go w.answerDNS(conn)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*cert}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		page, ok := w.pages[r.Host+r.URL.Path]
		if !ok {
			http.NotFound(out, r)
			return
		}
		fmt.Fprint(out, page)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	w.web = listener.Addr().String()
	return w
}

// answerDNS answers questions for SRV records; nothing else exists.
func (w *initWorld) answerDNS(conn net.PacketConn) {
	buffer := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.Additionals = true, nil
		q := m.Questions[0]
		record, ok := w.srv[strings.ToLower(q.Name.String())]
		switch {
		case ok && q.Type == dnsmessage.TypeSRV:
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}, Body: &record}}
		case !ok:
			m.RCode = dnsmessage.RCodeNameError
		}
		if data, err := m.Pack(); err == nil {
			conn.WriteTo(data, from)
		}
	}
}

// initCertificate is for the web server, and for a POP3 server on localhost.
func initCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	cert, err := certtest.SelfSigned(certtest.Request{
		Names: []string{"localhost", "example.org", "autoconfig.example.org", "autoconfig.thunderbird.net"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &cert
}

// initPage is the page of a provider whose POP3 server, with TLS, is at an address.
func initPage(t *testing.T, addr, user string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`<clientConfig version="1.1"><emailProvider id="example.org"><incomingServer type="pop3"><hostname>%s</hostname><port>%s</port>`+
		`<socketType>SSL</socketType><username>%s</username><authentication>password-cleartext</authentication></incomingServer></emailProvider></clientConfig>`, host, port, user)
}
