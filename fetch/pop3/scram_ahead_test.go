package pop3

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"popfetch/fetch/pop3/pop3test"
)

// visited returns what a session learns of the server, as a poll remembers it.
func visited(t *testing.T, s *pop3test.Server, cred Credentials) Credentials {
	t.Helper()
	c, _, err := loginAt(t, s, cred, nil)
	if err != nil {
		t.Fatal(err)
	}
	cred.Expected, cred.Next = c.Offer(), []string{"UIDL", "LIST"}
	c.Quit()
	return cred
}

// listAndLeave reads both listings and quits.
func listAndLeave(c *Client) error {
	for _, err := range c.Uidl() {
		if err != nil {
			return err
		}
	}
	for _, err := range c.List() {
		if err != nil {
			return err
		}
	}
	return c.Bye()
}

func TestScramTakesOneRoundTripMoreThanPlain(t *testing.T) {
	for method, want := range map[string]int{"plain": 2, "scram-sha-256": 3, "scram-sha-1": 3, "scram-sha-256-plus": 3} {
		s := scramServer(t, tls.VersionTLS13, "PLAIN", strings.ToUpper(method))
		cred := visited(t, s, Credentials{User: "b,o=b", Password: loginSecret, Methods: []string{method}})
		c, _, err := loginAt(t, s, cred, nil)
		if err == nil {
			err = listAndLeave(c)
		}
		if got := c.RoundTrips(); err != nil || got != want {
			t.Errorf("%s: %d round trips, not %d, %v", method, got, want, err)
		}
	}
}

// Nothing is sent ahead at a server that was not visited before, or that loses it.
func TestScramWaitsForTheProofAtAnUnknownServer(t *testing.T) {
	s := scramServer(t, tls.VersionTLS13, "SCRAM-SHA-256")
	known := visited(t, s, Credentials{User: "b,o=b", Password: loginSecret})
	patient, unknown := known, known
	patient.Patient, unknown.Expected = true, Offer{}
	for name, cred := range map[string]Credentials{"patient": patient, "unknown": unknown} {
		c, _, err := loginAt(t, s, cred, nil)
		if err == nil {
			err = listAndLeave(c)
		}
		if got := c.RoundTrips(); err != nil || got != 6 { // CAPA, AUTH, proof, answer, listings, QUIT
			t.Errorf("%s: %d round trips, %v", name, got, err)
		}
	}
}

func TestWrongPasswordAtAServerThatGotScramInOneFlight(t *testing.T) {
	s := scramServer(t, tls.VersionTLS13, "SCRAM-SHA-256")
	cred := visited(t, s, Credentials{User: "b,o=b", Password: loginSecret})
	cred.Password = "wrong"
	c, _, err := loginAt(t, s, cred, nil)
	var refused *ResponseError
	if !isAuthError(err) || !errors.As(err, &refused) || refused.Code != AuthCode || c.State() != Authorization || c.Broken() == nil {
		t.Errorf("%v, %v, %v", err, c.State(), c.Broken())
	}
}

// The server reads the answer to its proof and loses what is behind it.
func TestListingsLostBehindScram(t *testing.T) {
	s := scramServer(t, tls.VersionTLS13, "SCRAM-SHA-256")
	cred := visited(t, s, Credentials{User: "b,o=b", Password: loginSecret})
	loses := &pop3test.Server{SASL: s.SASL, Users: s.Users, TLS: s.TLS, Habits: pop3test.Habits{DropBehindLogin: true}}
	if err := loses.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loses.Close() })
	c, _, err := loginAt(t, loses, cred, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := listAndLeave(c); !errors.As(err, new(*AheadError)) {
		t.Error(err)
	}
}

// knownImpostor plays a server that the client has visited before, up to the proof: last is
// its whole answer to that of the client.
func knownImpostor(t *testing.T, last string) (c *Client, err error) {
	t.Helper()
	client, server := net.Pipe()
	ended := make(chan struct{})
	t.Cleanup(func() { client.Close(); <-ended })
	go func() {
		defer close(ended)
		defer server.Close()
		in := make([]byte, 4096)
		fmt.Fprint(server, "+OK\r\n")
		n, _ := server.Read(in)
		_, opening, _ := strings.Cut(strings.TrimSpace(string(in[:n])), "AUTH SCRAM-SHA-256 ")
		_, nonce, _ := strings.Cut(unb64(opening), "r=")
		fmt.Fprintf(server, "+OK\r\nSASL SCRAM-SHA-256\r\nUIDL\r\nTOP\r\nPIPELINING\r\n.\r\n+ %s\r\n", b64("r="+nonce+"x,s="+b64("salt")+",i=4096"))
		server.Read(in)
		fmt.Fprint(server, last)
		server.Read(in) // until the client closes
	}()
	c, err = NewClient(t.Context(), client, "pop.example.org", &Options{Security: ClearText})
	if err != nil {
		t.Fatal(err)
	}
	before := ParseCapabilities([]string{"SASL SCRAM-SHA-256", "UIDL", "TOP", "PIPELINING"})
	_, err = c.Login(Credentials{User: "bob", Password: loginSecret, Expected: Offer{Before: before}, Next: []string{"UIDL"}})
	return c, err
}

// The server gets the answer to its proof before it has sent the proof. Its listing is not
// believed all the same.
func TestServerThatDoesNotKnowThePasswordAndGotTheAnswerAhead(t *testing.T) {
	listing := "+OK welcome\r\n+OK\r\n1 a\r\n.\r\n"
	for _, x := range []struct {
		name, last, want string
		auth             bool
	}{
		{"accepts without a proof", listing, "accepted before the exchange was complete", false},
		{"wrong proof", "+ " + b64("v="+b64(strings.Repeat("x", 32))) + "\r\n" + listing, "the server cannot prove that it knows the password", true},
		{"empty proof", "+ \r\n" + listing, "the server cannot prove that it knows the password", true},
		{"refuses in its own words", "+ " + b64("e=you sent "+loginSecret) + "\r\n-ERR\r\n-ERR\r\n", "the server refused the proof: other-error", true},
		{"refuses in the standard's words", "+ " + b64("e=invalid-proof") + "\r\n-ERR\r\n-ERR\r\n", "the server refused the proof: invalid-proof", true},
	} {
		t.Run(x.name, func(t *testing.T) {
			c, err := knownImpostor(t, x.last)
			if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), loginSecret) || isAuthError(err) != x.auth {
				t.Errorf("got %v, want %q", err, x.want)
			}
			if c.State() == Transaction || c.Broken() == nil {
				t.Error("the client believes it")
			}
			for u, err := range c.Uidl() {
				if err == nil {
					t.Errorf("it lists %q", u.ID)
				}
			}
		})
	}
}
