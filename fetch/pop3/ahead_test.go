package pop3

import (
	"cmp"
	"crypto/tls"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// offering is the script of an answer to CAPA.
func offering(lines ...string) string {
	return "S: +OK\nS: " + strings.Join(append(lines, "."), "\nS: ") + "\n"
}

// everything is what a good server offers.
var everything = []string{"UIDL", "TOP", "PIPELINING", "USER", "SASL PLAIN CRAM-MD5"}

// relying logs in over TLS to a server that offered known in an earlier session.
func relying(t *testing.T, known Offer, method, script string) (*Client, error) {
	t.Helper()
	a := newAuthority(t)
	cert := issueFor(t, a, "pop.example.org")
	c, err := secure(t, &Options{TLS: &tls.Config{RootCAs: a.Pool()}}, &tls.Config{Certificates: []tls.Certificate{cert}}, "", script)
	if err != nil {
		t.Fatal(err)
	}
	return relyingOn(c, known, method)
}

// relyingInClear is relying without TLS.
func relyingInClear(t *testing.T, known Offer, method, script string) (*Client, error) {
	t.Helper()
	c, err := peer{script: script}.dialTCP(t, &Options{Security: ClearText})
	if err != nil {
		t.Fatal(err)
	}
	return relyingOn(c, known, method)
}

func relyingOn(c *Client, known Offer, method string) (*Client, error) {
	cred := Credentials{User: "u", Password: "secret", Expected: known, Next: []string{"UIDL", "LIST"}}
	if method != "" {
		cred.Methods = []string{method}
	}
	_, err := c.Login(cred)
	return c, err
}

// list reads both listings and leaves.
func list(t *testing.T, c *Client) {
	t.Helper()
	for u, err := range c.Uidl() {
		if err != nil || string(u.ID) != "a" {
			t.Error(u, err)
		}
	}
	for l, err := range c.List() {
		if err != nil || l.Octets != 5 {
			t.Error(l, err)
		}
	}
	if err := c.Bye(); err != nil {
		t.Error(err)
	}
}

const (
	sentListings = "C: UIDL\nC: LIST\n"
	gotListings  = "S: +OK\nS: 1 a\nS: .\nS: +OK\nS: 1 5\nS: .\n"
)

var authPlain = "C: AUTH PLAIN " + b64("\x00u\x00secret") + "\n"

// All that may share a flight does so: the server replies only after it has read all.
func TestLoginInOneFlight(t *testing.T) {
	before := Offer{Before: ParseCapabilities(everything)}
	scarce := ParseCapabilities([]string{"USER", "PIPELINING"})
	for name, tt := range map[string]struct {
		known   Offer
		method  string
		script  string
		flights int // with QUIT
	}{
		"plain": {before, "plain", "C: CAPA\n" + authPlain + sentListings + offering(everything...) + "S: +OK\n" + gotListings, 2},
		"user": {before, "user", "C: CAPA\nC: USER u\nC: PASS secret\n" + sentListings +
			offering(everything...) + "S: +OK\nS: +OK\n" + gotListings, 2},
		"cram-md5": {before, "cram-md5", "C: CAPA\nC: AUTH CRAM-MD5\n" + offering(everything...) + "S: + " + b64("<1@x>") + "\n" +
			"C: " + b64("u 4453c3d0fd168792d565c728b4df6739") + "\n" + sentListings + "S: +OK\n" + gotListings, 3},
		"capabilities told in two parts": {Offer{Before: scarce, After: ParseCapabilities(everything)}, "user",
			"C: CAPA\nC: USER u\nC: PASS secret\nC: CAPA\n" + sentListings +
				offering("USER", "PIPELINING") + "S: +OK\nS: +OK\n" + offering(everything...) + gotListings, 2},
		"more told before than expected": {Offer{Before: scarce}, "user",
			"C: CAPA\nC: USER u\nC: PASS secret\nC: CAPA\n" + sentListings +
				offering(everything...) + "S: +OK\nS: +OK\n" + offering(everything...) + gotListings, 2},
		"PIPELINING after the login": {Offer{Before: ParseCapabilities([]string{"USER", "SASL PLAIN"}), After: ParseCapabilities(everything)}, "plain",
			"C: CAPA\n" + offering("USER", "SASL PLAIN") + authPlain + "S: +OK\nC: CAPA\n" + sentListings + offering(everything...) + gotListings, 4},
		"nothing known": {Offer{}, "plain", "C: CAPA\n" + offering(everything...) + authPlain + "S: +OK\n" + sentListings + gotListings, 4},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := relying(t, tt.known, tt.method, "S: +OK <2@y>\n"+tt.script+"C: QUIT")
			if err != nil {
				t.Fatal(err)
			}
			list(t, c)
			if c.RoundTrips() != tt.flights {
				t.Errorf("%d flights, want %d", c.RoundTrips(), tt.flights)
			}
			if offer := c.Offer(); !c.Capabilities().Has("PIPELINING") || !offer.Before.Has("PIPELINING") && !offer.After.Has("PIPELINING") {
				t.Errorf("learned %v", offer)
			}
		})
	}
}

// A server without PIPELINING gets one command at a time, whatever is remembered of it.
func TestNothingAheadWithoutPIPELINING(t *testing.T) {
	serial := []string{"UIDL", "TOP", "USER"}
	c, err := relying(t, Offer{Before: ParseCapabilities(serial)}, "user",
		"S: +OK\nC: CAPA\n"+offering(serial...)+"C: USER u\nS: +OK\nC: PASS secret\nS: +OK\nC: CAPA\n"+offering(serial...)+"C: UIDL\nS: +OK\nS: 1 a\nS: .\nC: LIST\nS: +OK\nS: 1 5\nS: .\nC: QUIT")
	if err != nil {
		t.Fatal(err)
	}
	list(t, c)
}

// If the remembered method is no longer offered, the error says so, and no other method
// is tried: it may have been the password that was refused.
func TestExpectationThatFails(t *testing.T) {
	now := []string{"UIDL", "TOP", "PIPELINING", "USER"}
	known := Offer{Before: ParseCapabilities(everything)}
	refused := "S: -ERR no\nS: -ERR what\nS: -ERR what\n"
	c, err := relyingInClear(t, known, "", "S: +OK\nC: CAPA\n"+strings.Replace(authPlain, "PLAIN", "CRAM-MD5", 1)[:len("C: AUTH CRAM-MD5")]+"\n"+
		offering(now...)+"S: -ERR no\nC: QUIT")
	var gone *AuthError
	if !errors.As(err, &gone) || !strings.Contains(err.Error(), "does not now") {
		t.Errorf("got %v", err)
	}
	c.Bye()

	c, err = relying(t, known, "plain", "S: +OK\nC: CAPA\n"+authPlain+sentListings+offering(everything...)+refused+"C: QUIT")
	var wrong *AuthError
	if !errors.As(err, &wrong) || errors.As(err, new(*AheadError)) || c.State() != Authorization {
		t.Errorf("%v in state %v", err, c.State())
	}
	if err := c.Bye(); err != nil {
		t.Error(err)
	}
}

// An AheadError is for a server that loses a part of what was sent ahead, not for one
// that refuses, and not for one that answers nothing at all.
func TestAheadError(t *testing.T) {
	sent := "S: +OK\nC: CAPA\n" + authPlain + sentListings
	for name, tt := range map[string]struct {
		script string
		blamed bool
	}{
		"closed at once":          {sent + "CLOSE", false},
		"closed behind CAPA":      {sent + offering(everything...) + "CLOSE", true},
		"closed behind the login": {sent + offering(everything...) + "S: +OK\nCLOSE", true},
		"closed in the listing":   {sent + offering(everything...) + "S: +OK\nS: +OK\nS: 1 a\nCLOSE", true}, // LIST is owed
		"closed in the last one":  {sent + offering(everything...) + "S: +OK\n" + gotListings[:len("S: +OK\nS: 1 a\nS: .\nS: +OK\nS: 1 5\n")] + "CLOSE", false},
		"garbled":                 {sent + offering(everything...) + "S: 1 a\n", true},
		"a challenge":             {sent + offering(everything...) + "S: + \n", true},
		"refused":                 {sent + offering(everything...) + "S: -ERR no\nCLOSE", false},
		"asked for CAPA first":    {"S: +OK\nC: CAPA\n" + offering(everything...) + authPlain + sentListings + "S: +OK\nCLOSE", true},
		"nothing known":           {"S: +OK\nC: CAPA\n" + offering(everything...) + authPlain + "S: +OK\n" + sentListings + "CLOSE", false},
	} {
		t.Run(name, func(t *testing.T) {
			known := Offer{Before: ParseCapabilities(everything)}
			switch name {
			case "asked for CAPA first":
				known = Offer{After: known.Before}
			case "nothing known":
				known = Offer{}
			}
			c, err := relying(t, known, "plain", tt.script)
			for _, listed := range c.Uidl() {
				err = cmp.Or(err, listed)
			}
			if err == nil {
				for _, scanned := range c.List() {
					err = cmp.Or(err, scanned)
				}
			}
			if err == nil || errors.As(err, new(*AheadError)) != tt.blamed {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A patient login sends nothing before it is accepted.
func TestPatientLogin(t *testing.T) {
	c, err := peer{script: "S: +OK\nC: CAPA\n" + offering(everything...) + "C: USER u\nS: +OK\nC: PASS secret\nS: +OK\n" + sentListings + gotListings + "C: QUIT"}.
		dialTCP(t, &Options{Security: ClearText, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Login(Credentials{User: "u", Password: "secret", Methods: []string{"user"}, Patient: true,
		Expected: Offer{Before: ParseCapabilities(everything)}, Next: []string{"UIDL", "LIST"}})
	if err != nil {
		t.Fatal(err)
	}
	list(t, c)
}

// In clear text a method that shows the password waits for what CAPA says today, even
// if an earlier session offered nothing better; the listings may go with it.
func TestPasswordInClearTextWaitsForCapa(t *testing.T) {
	known := Offer{Before: ParseCapabilities([]string{"UIDL", "TOP", "PIPELINING", "USER"})}
	for name, script := range map[string]string{
		"nothing better": "C: CAPA\n" + offering("UIDL", "TOP", "PIPELINING", "USER") + "C: USER u\nC: PASS secret\n" + sentListings + "S: +OK\nS: +OK\n",
		"now CRAM-MD5": "C: CAPA\n" + offering(everything...) + "C: AUTH CRAM-MD5\nS: + " + b64("<1@x>") + "\n" +
			"C: " + b64("u 4453c3d0fd168792d565c728b4df6739") + "\n" + sentListings + "S: +OK\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := relyingInClear(t, known, "", "S: +OK\n"+script+gotListings+"C: QUIT")
			if err != nil {
				t.Fatal(err)
			}
			list(t, c)
		})
	}
}

// A server that accepts the login and loses what came with it is found out within
// seconds, however long the timeout is; one that was not sent anything with the
// login has the whole timeout.
func TestListingsLostBehindTheLoginCostSeconds(t *testing.T) {
	c, err := relying(t, Offer{Before: ParseCapabilities(everything)}, "plain",
		"S: +OK\nC: CAPA\n"+authPlain+sentListings+offering(everything...)+"S: +OK\n")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, listed := range c.Uidl() {
		err = listed
	}
	var lost *AheadError
	if took := time.Since(start); !errors.As(err, &lost) || !errors.Is(err, os.ErrDeadlineExceeded) || took > 20*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if c.Broken() == nil {
		t.Error("in step although a reply is missing")
	}
}

// A reply to another command in place of the listing that was sent with the login must not
// count as an empty listing: all mail would silently stay on the server.
func TestAnotherReplyInPlaceOfTheListingBehindTheLogin(t *testing.T) {
	known := Offer{Before: ParseCapabilities(everything)}
	capa := offering(everything...)
	// Cyrus 3.6 over TLS: UIDL and LIST are lost, CAPA is answered twice.
	c, err := relying(t, known, "plain", "S: +OK hi\nC: CAPA\n"+authPlain+sentListings+capa+"S: +OK\n"+capa)
	if err != nil {
		t.Fatal(err)
	}
	var got []error
	for _, err := range c.Uidl() {
		got = append(got, err)
	}
	var lost *AheadError
	if len(got) != 1 || !errors.As(got[0], &lost) {
		t.Errorf("got %v", got)
	}
	if c.Quit() == nil {
		t.Error("QUIT on a session that is out of step")
	}
}

// Cyrus 3.6 loses a part of what comes with the last step of SCRAM, and refuses the rest as
// a command that it does not know.
func TestRefusalOfWhatIsLeftBehindTheLogin(t *testing.T) {
	known := Offer{Before: ParseCapabilities(everything)}
	for text, blamed := range map[string]bool{"-ERR Unrecognized command": true, "-ERR [IN-USE] later": false, "-ERR [SYS/TEMP] later": false} {
		c, err := relying(t, known, "plain", "S: +OK hi\nC: CAPA\n"+authPlain+sentListings+offering(everything...)+"S: +OK\nS: "+text+"\nS: "+text+"\n")
		if err != nil {
			t.Fatal(err)
		}
		for _, listed := range c.Uidl() {
			err = listed
		}
		if got := errors.As(err, new(*AheadError)); got != blamed {
			t.Errorf("%s: %v", text, err)
		}
		c.Close()
	}
}

// The same if the server must accept USER before it sees PASS, and only one command comes
// next.
func TestOneListingLostBehindPASS(t *testing.T) {
	bare := []string{"UIDL", "TOP", "PIPELINING"}
	a := newAuthority(t)
	cert := issueFor(t, a, "pop.example.org")
	c, err := secure(t, &Options{TLS: &tls.Config{RootCAs: a.Pool()}}, &tls.Config{Certificates: []tls.Certificate{cert}}, "",
		"S: +OK\nC: CAPA\nC: USER u\n"+offering(bare...)+"S: +OK\nC: PASS secret\nC: UIDL\nS: +OK\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Login(Credentials{User: "u", Password: "secret", Methods: []string{"user"},
		Expected: Offer{Before: ParseCapabilities(bare)}, Next: []string{"UIDL"}})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, listed := range c.Uidl() {
		err = listed
	}
	if took := time.Since(start); !errors.As(err, new(*AheadError)) || took > 20*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestTimeOfTheReplyBehindTheLogin(t *testing.T) {
	for _, tt := range []struct {
		handover, proved    bool
		timeout, trip, want time.Duration
	}{
		{true, false, time.Minute, time.Millisecond, time.Second},
		{true, false, time.Minute, 200 * time.Millisecond, 1600 * time.Millisecond},
		{true, false, time.Minute, time.Second, 3 * time.Second},
		{true, false, 500 * time.Millisecond, time.Second, 500 * time.Millisecond},
		{false, false, time.Minute, time.Millisecond, time.Minute},
		{false, true, time.Minute, time.Millisecond, 10 * time.Second},
		{false, true, time.Second, time.Millisecond, time.Second},
	} {
		c := &Client{handover: tt.handover, proved: tt.proved, timeout: tt.timeout, roundTrip: tt.trip}
		if got := c.replyTime(); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// A refused password is not sent again, whatever CAPA says today, and PASS is not sent
// together with a USER that may be refused.
func TestRefusedPasswordIsSentOnce(t *testing.T) {
	known := Offer{Before: ParseCapabilities(everything)}
	sent := "S: +OK\nC: CAPA\n" + authPlain + sentListings
	for name, tt := range map[string]struct {
		known  Offer
		method string
		script string
	}{
		// The method that has gone is CRAM-MD5, chosen in clear text.
		"CAPA is refused":         {known, "plain", sent + "S: -ERR unknown\nS: -ERR wrong\nS: -ERR no\nS: -ERR no\nC: QUIT"},
		"the method is gone":      {known, "", strings.Replace(sent, authPlain, "C: AUTH CRAM-MD5\n", 1)[:len("S: +OK\nC: CAPA\nC: AUTH CRAM-MD5\n")] + offering("USER") + "S: -ERR [AUTH] wrong\nC: QUIT"},
		"closed behind it":        {known, "plain", sent + offering("USER", "PIPELINING") + "S: -ERR wrong\nCLOSE"},
		"PASS breaks the session": {known, "user", "S: +OK\nC: CAPA\nC: USER u\nC: PASS secret\n" + sentListings + offering("USER", "PIPELINING") + "S: -ERR no\nS: what\n"},
		"USER is not announced":   {Offer{Before: ParseCapabilities([]string{"PIPELINING"})}, "user", "S: +OK\nC: CAPA\nC: USER u\n" + offering("PIPELINING") + "S: -ERR not here\nC: QUIT"},
	} {
		t.Run(name, func(t *testing.T) {
			login := relying
			if tt.method == "" {
				login = relyingInClear
			}
			c, err := login(t, tt.known, tt.method, tt.script)
			var refused *AuthError
			if broken := c.Broken() != nil; err == nil || errors.As(err, &refused) == broken {
				t.Errorf("got %v, %v", err, c.Broken())
			}
			c.Bye()
		})
	}
}

// A caller that had listings sent ahead may call something else first.
func TestUnclaimedReplies(t *testing.T) {
	c, err := relying(t, Offer{Before: ParseCapabilities(everything)}, "plain",
		"S: +OK\nC: CAPA\n"+authPlain+sentListings+offering(everything...)+"S: +OK\n"+gotListings+"C: LIST\nS: +OK\nS: 1 7\nS: .\nC: QUIT")
	if err != nil {
		t.Fatal(err)
	}
	for _, octets := range []int64{5, 7} {
		for l, err := range c.List() {
			if err != nil || l.Octets != octets {
				t.Error(l, err)
			}
		}
	}
	if err := c.Bye(); err != nil {
		t.Error(err)
	}
}

// ParseCapabilities is the inverse of Lines.
func TestCapabilityLines(t *testing.T) {
	c := ParseCapabilities([]string{"top", "SASL PLAIN  login", "Sasl x"})
	if got := c.Lines(); !slices.Equal(got, []string{"TOP", "SASL PLAIN login x"}) || !c.Known {
		t.Errorf("%q, %v", got, c.Known)
	}
	if zero := ParseCapabilities(nil); zero.Known || zero.Asked || len(zero.Lines()) != 0 {
		t.Errorf("%+v", zero)
	}
}
