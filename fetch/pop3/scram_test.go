package pop3

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
	"popfetch/internal/mechanism"
)

// scramServer starts a server that offers these mechanisms over TLS of a version.
func scramServer(t *testing.T, version uint16, mechanisms ...string) *pop3test.Server {
	t.Helper()
	cert, err := certtest.SelfSigned(certtest.Localhost())
	if err != nil {
		t.Fatal(err)
	}
	s := &pop3test.Server{
		SASL: mechanisms, Users: map[string]*pop3test.User{"b,o=b": {Password: loginSecret}},
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version, ClientAuth: tls.RequestClientCert},
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func loginAt(t *testing.T, s *pop3test.Server, cred Credentials, more func(*tls.Config)) (*Client, string, error) {
	t.Helper()
	o := &Options{TLS: &tls.Config{RootCAs: s.CA()}}
	if more != nil {
		more(o.TLS)
	}
	c, err := Dial(t.Context(), "tcp", s.Addr(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	method, err := c.Login(cred)
	return c, method, err
}

func TestScramAndItsChannelBindings(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, method := range mechanism.Scrams() {
			t.Run(tls.VersionName(version)+" "+method, func(t *testing.T) {
				s := scramServer(t, version, strings.ToUpper(method))
				c, got, err := loginAt(t, s, Credentials{User: "b,o=b", Password: loginSecret, Methods: []string{method}}, nil)
				if err != nil || got != method || c.State() != Transaction {
					t.Errorf("%s, %v", got, err)
				}
				_, _, err = loginAt(t, s, Credentials{User: "b,o=b", Password: "wrong", Methods: []string{method}}, nil)
				var refused *ResponseError
				if !isAuthError(err) || !errors.As(err, &refused) || refused.Code != AuthCode {
					t.Errorf("wrong password: %v", err)
				}
			})
		}
	}
}

func TestStrongestMechanismIsChosen(t *testing.T) {
	for want, offered := range map[string][]string{
		// Cyrus offers a binding and refuses the one that TLS 1.3 has.
		"scram-sha-256": {"PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2", "EXTERNAL"},
		"scram-sha-1":   {"PLAIN", "CRAM-MD5", "SCRAM-SHA-1"},
		"plain":         {"LOGIN", "PLAIN", "CRAM-MD5"},
	} {
		s := scramServer(t, tls.VersionTLS13, offered...)
		if _, got, err := loginAt(t, s, Credentials{User: "b,o=b", Password: loginSecret}, nil); got != want || err != nil {
			t.Errorf("%q: %s, %v, want %s", offered, got, err, want)
		}
	}
}

// Somebody between client and server takes the -PLUS mechanisms away. The client says that
// it would have used one, and the server, which knows what it had offered, refuses.
func TestScramNoticesAStrippedOffer(t *testing.T) {
	s := scramServer(t, tls.VersionTLS13, "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
	s.SetFaults(pop3test.Fault{At: "CAPA", Do: pop3test.Raw, Text: "+OK\r\nSASL SCRAM-SHA-256\r\nUIDL\r\nTOP\r\n.\r\n"})
	_, method, err := loginAt(t, s, Credentials{User: "b,o=b", Password: loginSecret}, nil)
	if method != "scram-sha-256" || !isAuthError(err) {
		t.Errorf("%s, %v", method, err)
	}
	// Named, without the offer in sight: the client does not claim anything.
	s.SetFaults()
	if _, _, err := loginAt(t, s, Credentials{User: "b,o=b", Password: loginSecret, Methods: []string{"scram-sha-256"}}, nil); err != nil {
		t.Errorf("named: %v", err)
	}
}

func TestExternalWithACertificate(t *testing.T) {
	s := scramServer(t, tls.VersionTLS13, "EXTERNAL", "PLAIN")
	s.Users["carol"] = &pop3test.User{Maildrop: pop3test.NewMaildrop()}
	cert, err := certtest.SelfSigned(certtest.Request{Names: []string{"carol"}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	with := func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} }
	cred := Credentials{User: "carol", Methods: []string{"external"}}
	if c, method, err := loginAt(t, s, cred, with); err != nil || method != "external" || c.State() != Transaction {
		t.Errorf("%s, %v", method, err)
	}
	cred.User = "b,o=b"
	if _, _, err := loginAt(t, s, cred, with); !isAuthError(err) {
		t.Errorf("somebody else's certificate: %v", err)
	}
	if _, _, err := loginAt(t, s, cred, nil); !errors.As(err, new(*MethodError)) {
		t.Errorf("no certificate: %v", err)
	}
}

// impostor plays a server that does not know the password, or that demands too much.
func impostor(t *testing.T, first func(nonce string) string, last string) error {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		in := make([]byte, 4096)
		read := func() string {
			n, err := server.Read(in)
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(in[:n]))
		}
		fmt.Fprint(server, "+OK\r\n")
		read() // CAPA
		fmt.Fprint(server, "+OK\r\nSASL SCRAM-SHA-256\r\nUIDL\r\nTOP\r\nPIPELINING\r\n.\r\n")
		opening := unb64(strings.TrimPrefix(read(), "AUTH SCRAM-SHA-256 "))
		_, nonce, _ := strings.Cut(opening, "r=")
		fmt.Fprintf(server, "+ %s\r\n", b64(first(nonce)))
		if read() == "*" {
			fmt.Fprint(server, "-ERR cancelled\r\n")
			return
		}
		fmt.Fprint(server, last)
		if read() == "*" {
			fmt.Fprint(server, "-ERR cancelled\r\n")
		} else {
			fmt.Fprint(server, "+OK\r\n")
		}
		read()
	}()
	c, err := NewClient(t.Context(), client, "pop.example.org", &Options{Security: ClearText})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Login(Credentials{User: "bob", Password: loginSecret})
	if c.State() == Transaction {
		t.Error("the client believes it")
	}
	return err
}

func TestServerThatDoesNotKnowThePassword(t *testing.T) {
	honest := func(nonce string) string { return "r=" + nonce + "x,s=" + b64("salt") + ",i=4096" }
	for _, x := range []struct {
		name  string
		first func(string) string
		last  string
		want  string
	}{
		{"accepts without a proof", honest, "+OK\r\n", "accepted before the exchange was complete"},
		{"wrong proof", honest, "+ " + b64("v="+b64(strings.Repeat("x", 32))) + "\r\n", "the server cannot prove that it knows the password"},
		{"empty proof", honest, "+ \r\n", "the server cannot prove that it knows the password"},
		{"refuses in its own words", honest, "+ " + b64("e=you sent "+loginSecret) + "\r\n", "the server refused the proof: other-error"},
		{"refuses in the standard's words", honest, "+ " + b64("e=invalid-proof") + "\r\n", "the server refused the proof: invalid-proof"},
		{"ten million iterations", func(n string) string { return "r=" + n + "x,s=" + b64("salt") + ",i=10000000" }, "", "demands more than 1000000 iterations"},
		{"no iterations", func(n string) string { return "r=" + n + "x,s=" + b64("salt") + ",i=0" }, "", "iterations, or none"},
		{"another nonce", func(string) string { return "r=other,s=" + b64("salt") + ",i=4096" }, "", "not one of SCRAM"},
		{"nonsense", func(string) string { return "hello " + loginSecret }, "", "not one of SCRAM"},
	} {
		t.Run(x.name, func(t *testing.T) {
			err := impostor(t, x.first, x.last)
			if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), loginSecret) {
				t.Errorf("got %v, want %q", err, x.want)
			}
		})
	}
}

func TestPasswordsThatSASLprepRefusesAreSentAsTheyAre(t *testing.T) {
	for _, password := range []string{"pass\U0001F600word", "\u05d0a", "tab\tinside"} {
		m := mechanism.NewScram("scram-sha-256", "bob", password, nil, false)
		if _, first, err := m.Start(); err != nil || !strings.HasPrefix(string(first), "n,,n=bob,r=") {
			t.Errorf("%q: %q, %v", password, first, err)
		}
	}
	if _, err := scram.SHA256.NewClient("bob", "tab\tinside", ""); err == nil {
		t.Error("SASLprep takes it, so this test shows nothing")
	}
}

func unb64(s string) string {
	decoded, _ := base64.StdEncoding.DecodeString(s)
	return string(decoded)
}

// In clear text, a method that hid the password before is not replaced by one that shows
// it. A method that is named for it is used.
func TestNoWeakerMethodInClearTextThanBefore(t *testing.T) {
	const now = "S: +OK\nC: CAPA\nS: +OK\nS: SASL PLAIN\nS: USER\nS: UIDL\nS: TOP\nS: PIPELINING\nS: .\n"
	accepted := now + "C: AUTH PLAIN " + b64("\x00bob\x00"+loginSecret) + "\nS: +OK\n"
	for _, before := range []string{"SASL PLAIN CRAM-MD5", "SASL SCRAM-SHA-1"} {
		cred := Credentials{User: "bob", Password: loginSecret, Expected: Offer{Before: ParseCapabilities([]string{before})}}
		if _, err := connect(t, now).Login(cred); !errors.Is(err, ErrWeaker) || !isAuthError(err) {
			t.Errorf("%s before: %v", before, err)
		}
		cred.Methods = []string{"plain"}
		if _, err := connect(t, accepted).Login(cred); err != nil {
			t.Errorf("%s before, plain named: %v", before, err)
		}
	}
	cred := Credentials{User: "bob", Password: loginSecret, Expected: Offer{Before: ParseCapabilities([]string{"SASL PLAIN LOGIN"})}}
	if _, err := connect(t, accepted).Login(cred); err != nil {
		t.Errorf("nothing better before: %v", err)
	}
}
