package pop3

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"popfetch/internal/certtest"
)

func newAuthority(t *testing.T) *certtest.Authority {
	t.Helper()
	ca, err := certtest.NewAuthority("test authority")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *certtest.Authority, r certtest.Request) tls.Certificate {
	t.Helper()
	cert, err := ca.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issueFor makes a certificate for a server with these DNS names.
func issueFor(t *testing.T, ca *certtest.Authority, names ...string) tls.Certificate {
	t.Helper()
	return issue(t, ca, certtest.Request{Names: names})
}

// secure connects a client to a server that plays before in clear text, does a
// handshake, and plays after.
func secure(t *testing.T, o *Options, server *tls.Config, before, after string) (*Client, error) {
	t.Helper()
	client, conn := tcpPair(t)
	done := make(chan error, 1)
	go func() {
		defer conn.Close()
		r := bufio.NewReader(conn)
		if before != "" {
			io.WriteString(conn, "+OK in clear <1@x>\r\n")
			if line, _ := r.ReadString('\n'); line != "STLS\r\n" {
				done <- errors.New("not STLS: " + line)
				return
			}
			io.WriteString(conn, before)
		}
		secured := tls.Server(conn, server)
		if err := secured.Handshake(); err != nil {
			done <- nil
			return
		}
		done <- peer{script: after}.play(secured)
	}()
	c, err := NewClient(t.Context(), client, "pop.example.org", o)
	t.Cleanup(func() {
		if c != nil {
			c.Close()
		}
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return c, err
}

func TestCertificates(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	unknown := new(x509.UnknownAuthorityError)
	hostname := new(x509.HostnameError)
	invalid := new(x509.CertificateInvalidError)
	for _, tt := range []struct {
		name string
		cert tls.Certificate
		max  uint16
		want any
		text string
	}{
		{name: "good", cert: issueFor(t, ours, "pop.example.org")},
		{name: "wildcard", cert: issueFor(t, ours, "*.example.org")},
		{name: "wrong name", cert: issueFor(t, ours, "pop.example.com"), want: hostname},
		{name: "wide wildcard", cert: issueFor(t, ours, "*.org"), want: hostname},
		{name: "name in CN only", cert: issue(t, ours, certtest.Request{Subject: pkix.Name{CommonName: "pop.example.org"}}), want: hostname},
		{name: "expired", cert: issue(t, ours, certtest.Request{Names: []string{"pop.example.org"}, End: time.Now().Add(-time.Minute)}), want: invalid},
		{name: "unknown authority", cert: issueFor(t, other, "pop.example.org"), want: unknown},
		{name: "TLS 1.1", cert: issueFor(t, ours, "pop.example.org"), max: tls.VersionTLS11, text: "protocol version"},
	} {
		for _, security := range []Security{ImplicitTLS, StartTLS} {
			t.Run(tt.name, func(t *testing.T) {
				server := &tls.Config{Certificates: []tls.Certificate{tt.cert}, MinVersion: tls.VersionTLS10, MaxVersion: tt.max}
				before, after := "", "S: +OK hi\nC: QUIT\nS: +OK\n"
				if security == StartTLS {
					before, after = "+OK\r\n", "C: QUIT\nS: +OK\n"
				}
				c, err := secure(t, &Options{Security: security, TLS: &tls.Config{RootCAs: ours.Pool()}}, server, before, after)
				if tt.want == nil && tt.text == "" {
					if err != nil {
						t.Fatal(err)
					}
					if state, ok := c.TLS(); !ok || state.Version < tls.VersionTLS12 {
						t.Errorf("TLS state %v, %v", ok, state.Version)
					}
					if err := c.Quit(); err != nil {
						t.Error(err)
					}
					return
				}
				var failed *TLSError
				if !errors.As(err, &failed) || failed.Host != "pop.example.org" {
					t.Fatalf("got %v", err)
				}
				if tt.want != nil && !errors.As(err, tt.want) {
					t.Errorf("%v is not a %T", err, tt.want)
				}
				if !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%v does not say %q", err, tt.text)
				}
			})
		}
	}
}

func TestServerNameOfTheCaller(t *testing.T) {
	ca := newAuthority(t)
	o := &Options{TLS: &tls.Config{RootCAs: ca.Pool(), ServerName: "mail.example.net"}}
	server := &tls.Config{Certificates: []tls.Certificate{issueFor(t, ca, "mail.example.net")}}
	if _, err := secure(t, o, server, "", "S: +OK hi\n"); err != nil {
		t.Fatal(err)
	}
	if o.TLS.MinVersion != 0 {
		t.Error("the caller's TLS configuration was changed")
	}
}

func TestStartTLSRefused(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"stripped", "S: +OK hi\nC: STLS\nS: -ERR unknown command\nC: CAPA\nS: +OK\nS: USER\nS: .\n", "does not offer STLS on this port"},
		{"no CAPA", "S: +OK hi\nC: STLS\nS: -ERR unknown command\nC: CAPA\nS: -ERR unknown command\n", "does not offer STLS on this port"},
		{"closed", "S: +OK hi\nC: STLS\nS: -ERR unknown command\nC: CAPA\nCLOSE\n", "does not offer STLS on this port"},
		{"announced", "S: +OK hi\nC: STLS\nS: -ERR TLS is not available\nC: CAPA\nS: +OK\nS: STLS\nS: .\n", "announces STLS and refuses it"},
		{"injected", "S: +OK hi\nC: STLS\nS= \"+OK\\r\\n+OK injected\\r\\n\"\n", "+OK injected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := peer{script: tt.script}.dial(t, &Options{Security: StartTLS})
			var failed *TLSError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "no credentials were sent") {
				t.Errorf("got %v", err)
			}
			var refused *STLSError
			if errors.As(err, &refused) && (refused.Announced != (tt.name == "announced") || !errors.As(err, new(*ResponseError))) {
				t.Errorf("announced %v, %v", refused.Announced, err)
			}
		})
	}
}

// The client sends nothing more to a server that breaks the rules before TLS.
func TestStartTLSNonsense(t *testing.T) {
	for _, tt := range []struct{ name, script string }{
		{"greeting", "S: * OK IMAP4 ready\n"},
		{"reply", "S: +OK\nC: STLS\nS: * BAD\n"},
		{"before the reply", "S= \"+OK\\r\\n+OK\\r\\n\"\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := peer{script: tt.script}.dial(t, &Options{Security: StartTLS})
			var broken *ProtocolError
			if !errors.As(err, &broken) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The client forgets what it learned in clear text.
func TestStartTLSForgets(t *testing.T) {
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{issueFor(t, ca, "pop.example.org")}}
	c, err := secure(t, &Options{Security: StartTLS, TLS: &tls.Config{RootCAs: ca.Pool()}}, server, "+OK\r\n", "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Capabilities().Asked {
		t.Error("capabilities are known")
	}
	var refused *AuthError
	if err := c.Apop("u", "secret"); !errors.As(err, &refused) {
		t.Errorf("APOP with a timestamp from clear text: %v", err)
	}
}

func TestNoTLSOnThisPort(t *testing.T) {
	client, server := tcpPair(t)
	defer server.Close()
	io.WriteString(server, "+OK POP3 ready\r\n")
	_, err := NewClient(t.Context(), client, "pop.example.org", nil)
	var failed *TLSError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "does not speak TLS first") {
		t.Errorf("got %v", err)
	}
}

// A TLS connection that ends inside a message without close_notify cuts the message.
func TestTruncationInABody(t *testing.T) {
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{issueFor(t, ca, "pop.example.org")}}
	client, conn := tcpPair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer conn.Close() // below TLS
		secured := tls.Server(conn, server)
		r := bufio.NewReader(secured)
		io.WriteString(secured, "+OK hi\r\n")
		for _, reply := range []string{"+OK\r\n", "+OK\r\n", "+OK\r\nhalf a mess"} {
			r.ReadString('\n')
			io.WriteString(secured, reply)
		}
	}()
	c, err := NewClient(t.Context(), client, "pop.example.org", &Options{TLS: &tls.Config{RootCAs: ca.Pool()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { c.Close(); <-done }()
	if err := c.UserPass("u", "secret"); err != nil {
		t.Fatal(err)
	}
	var last error
	for m, err := range c.Retr([]int{1}, nil) {
		last = err
		if err == nil {
			if b, err := io.ReadAll(m.Body); string(b) != "half a mess" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("read %q, %v", b, err)
			}
		}
	}
	if !errors.Is(last, io.ErrUnexpectedEOF) || !errors.Is(c.Quit(), ErrBroken) {
		t.Errorf("got %v", last)
	}
}

// A connection that is lost in the handshake is not a TLSError.
func TestLostInTheHandshake(t *testing.T) {
	client, server := tcpPair(t)
	server.Close()
	_, err := NewClient(t.Context(), client, "pop.example.org", nil)
	var failed *TLSError
	if err == nil || errors.As(err, &failed) {
		t.Errorf("got %v", err)
	}
}

func TestDialErrors(t *testing.T) {
	cause := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Dial(ctx, "tcp", "127.0.0.1:1", nil); !errors.Is(err, cause) {
		t.Errorf("over context: %v", err)
	}
	never := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err := Dial(t.Context(), "tcp", "x:1", &Options{Dial: never, Timeout: time.Millisecond})
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "x:1") {
		t.Errorf("no answer: %v", err)
	}
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, cause }
	if _, err := Dial(t.Context(), "tcp", "x:1", &Options{Dial: refuse}); !errors.Is(err, cause) {
		t.Errorf("refused: %v", err)
	}
}
