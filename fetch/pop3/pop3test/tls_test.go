package pop3test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"

	"popfetch/internal/certtest"
)

func TestImplicitTLS(t *testing.T) {
	s := start(t, func(s *Server) { s.Security = ImplicitTLS })
	p := loggedIn(t, s)
	p.send("STLS", "CAPA")
	p.expect("-ERR not in this state", "+OK capabilities follow")
	for line := p.line(); line != "."; line = p.line() {
		if line == "STLS" {
			t.Error("STLS is offered inside TLS")
		}
	}
	p.ask("QUIT", "+OK bye")
	p.ends("")
}

func TestCertificate(t *testing.T) {
	s := start(t, func(s *Server) { s.Security = ImplicitTLS })
	fromPEM := x509.NewCertPool()
	if !fromPEM.AppendCertsFromPEM(s.CertPEM()) {
		t.Fatal("CertPEM holds no certificate")
	}
	for _, name := range []string{"127.0.0.1", "::1", "localhost"} {
		for _, pool := range []*x509.CertPool{s.CA(), fromPEM} {
			c, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: pool, ServerName: name})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			c.Close()
		}
	}
	if c, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: s.CA(), ServerName: "example.org"}); err == nil {
		c.Close()
		t.Error("another name is trusted")
	}
	if !start(t, nil).CA().Equal(x509.NewCertPool()) {
		t.Error("clear text has a certificate")
	}
}

func TestOwnTLSConfig(t *testing.T) {
	cert, err := certtest.SelfSigned(certtest.Localhost())
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(s *Server) {
		s.Security = ImplicitTLS
		s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}
	})
	p := loggedIn(t, s)
	if v := p.conn.(*tls.Conn).ConnectionState().Version; v != tls.VersionTLS12 {
		t.Errorf("TLS version %x", v)
	}
}

func TestStls(t *testing.T) {
	s := start(t, func(s *Server) { s.Security = StartTLS })
	p := fresh(t, s)
	offered := func() bool {
		p.send("CAPA")
		found := false
		for line := p.line(); line != "."; line = p.line() {
			found = found || line == "STLS"
		}
		return found
	}
	if !offered() {
		t.Error("STLS is not offered")
	}
	// What is sent behind STLS in clear text must not count inside TLS.
	p.send("STLS", "USER mallory")
	p.expect("+OK begin TLS now")
	p = newPeer(t, tls.Client(p.conn, &tls.Config{RootCAs: s.CA(), ServerName: "127.0.0.1"}))
	if offered() {
		t.Error("STLS is offered inside TLS")
	}
	p.ask("STLS", "-ERR TLS is not available here")
	p.ask("PASS secret", "-ERR USER comes first")
	p.login()

	p = fresh(t, start(t, nil))
	p.ask("STLS", "-ERR TLS is not available here")
	p = fresh(t, start(t, func(s *Server) { s.Security, s.Without = StartTLS, []string{"STLS"} }))
	p.ask("STLS", "-ERR unknown command")
}

func TestInjectionBehindStls(t *testing.T) {
	s := start(t, func(s *Server) {
		s.Security = StartTLS
		s.Faults = []Fault{{At: "STLS", Do: Extra, Text: "+OK injected\r\n"}}
	})
	p := fresh(t, s)
	p.ask("STLS", "+OK begin TLS now", "+OK injected")
	p = newPeer(t, tls.Client(p.conn, &tls.Config{RootCAs: s.CA(), ServerName: "127.0.0.1"}))
	p.login()
}

// recorded keeps what came over a connection.
type recorded struct {
	net.Conn
	octets []byte
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.octets = append(r.octets, p[:n]...)
	return n, err
}

// lastRecord is the type of the last TLS 1.2 record: RFC 5246 section 6.2.1.
func (r *recorded) lastRecord() (last byte) {
	for rest := r.octets; len(rest) >= 5; {
		last = rest[0]
		rest = rest[5+(int(rest[3])<<8|int(rest[4])):]
	}
	return last
}

func TestEndInsideTLS(t *testing.T) {
	const alert, data = 21, 23
	for kind, want := range map[Kind]byte{Drop: alert, CutTLS: data} {
		s := start(t, func(s *Server) {
			s.Security = ImplicitTLS
			s.Faults = []Fault{{At: "RETR", Do: kind, After: 30}}
		})
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		raw := &recorded{Conn: conn}
		p := newPeer(t, tls.Client(raw, &tls.Config{RootCAs: s.CA(), ServerName: "localhost", MaxVersion: tls.VersionTLS12}))
		p.expect("+OK pop3test ready")
		p.login()
		p.send("RETR 1")
		p.ends("+OK 21 octets\r\nSubject: one\r\n\r\n"[:30])
		if got := raw.lastRecord(); got != want {
			t.Errorf("kind %d: the last record has type %d, want %d", kind, got, want)
		}
	}
}

func TestFaultsBelowTLS(t *testing.T) {
	for _, kind := range []Kind{Drop, CutTLS, Reset} {
		for after := range int64(40) {
			s := start(t, func(s *Server) {
				s.Log = nil
				s.Security = ImplicitTLS
				s.Faults = []Fault{{At: "TLS", Do: kind, After: after}}
			})
			raw, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			counted := &recorded{Conn: raw}
			err = tls.Client(counted, &tls.Config{RootCAs: s.CA(), ServerName: "localhost"}).Handshake()
			raw.Close()
			if err == nil || len(counted.octets) != int(after) {
				t.Fatalf("kind %d after %d octets: got %d and %v", kind, after, len(counted.octets), err)
			}
		}
	}
}

func TestTLSInPieces(t *testing.T) {
	s := start(t, func(s *Server) {
		s.Security = ImplicitTLS
		s.Faults = []Fault{{At: "TLS", Do: Slow, N: 1}, {At: "", Do: Slow, N: 3}}
	})
	p := loggedIn(t, s)
	p.ask("RETR 1", "+OK 21 octets", "Subject: one", "", "hi.", ".")
}

func TestConnectBeforeTLS(t *testing.T) {
	s := start(t, func(s *Server) {
		s.Security = ImplicitTLS
		s.Faults = []Fault{{At: "connect", Do: Raw, Text: "SSH-2.0-x\r\n"}, {At: "connect", Do: Drop, After: 11}}
	})
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	newPeer(t, conn).ends("SSH-2.0-x\r\n")
}

func TestStallInHandshake(t *testing.T) {
	s := start(t, func(s *Server) {
		s.Security = ImplicitTLS
		s.Faults = []Fault{{At: "TLS", Do: Stall, After: 5}}
	})
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	done := make(chan error)
	go func() {
		done <- tls.Client(conn, &tls.Config{RootCAs: s.CA(), ServerName: "localhost"}).Handshake()
	}()
	head := make(chan struct{})
	go func() { s.Wait(); close(head) }()
	select {
	case err := <-done:
		t.Fatalf("the handshake ended: %v", err)
	case <-head:
		t.Fatal("the session ended")
	default:
	}
	conn.Close()
	if err := <-done; err == nil || strings.Contains(err.Error(), "certificate") {
		t.Errorf("handshake: %v", err)
	}
	<-head
}
