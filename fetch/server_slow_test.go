package fetch_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// slowServer sends its reply to one command at an octet a second, which takes
// longer than a minute.
type slowServer struct {
	at      string        // verb, "greeting" or "body"
	without string        // verb that is refused
	silent  bool          // nothing at all in place of the trickle
	octets  int           // of the body of message 1
	lines   int           // of the listings, 0 = 2
	pause   time.Duration // between two chunks, 0 = a second
	chunk   int           // octets sent at once, 0 = 1
}

func (s slowServer) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for verb, line := "greeting", ""; ; verb, _, _ = strings.Cut(strings.TrimSpace(line), " ") {
		for _, part := range s.reply(verb) {
			if !s.send(conn, part.name, part.octets) {
				return
			}
		}
		var err error
		if line, err = r.ReadString('\n'); err != nil || verb == "QUIT" {
			return
		}
	}
}

type part struct{ name, octets string }

func (s slowServer) reply(verb string) []part {
	pad := strings.Repeat("x", 100)
	ok := part{verb, "+OK " + pad + "\r\n"}
	first := part{"", "+OK\r\n"}
	switch verb {
	case s.without:
		return []part{{verb, "-ERR\r\n"}}
	case "TOP":
		return []part{first, {verb, "Subject: " + pad + "\r\n\r\n.\r\n"}}
	case "CAPA":
		known := slices.DeleteFunc([]string{"USER", "UIDL", "TOP", "X-" + pad}, func(c string) bool { return c == s.without })
		return []part{first, {verb, strings.Join(known, "\r\n") + "\r\n.\r\n"}}
	case "UIDL":
		if s.lines > 2 {
			return []part{{verb, "+OK\r\n" + s.listing("%d id-%[1]d\r\n") + ".\r\n"}}
		}
		return []part{first, {verb, "1 " + pad[:60] + "\r\n2 " + pad[:59] + "\r\n.\r\n"}}
	case "LIST":
		if s.lines > 2 {
			return []part{{verb, "+OK\r\n" + s.listing("%d 100\r\n") + ".\r\n"}}
		}
		return []part{{verb, "+OK " + pad + "\r\n1 100\r\n2 100\r\n.\r\n"}}
	case "RETR":
		return []part{ok, {"body", strings.Repeat("x", s.octets) + "\r\n.\r\n"}}
	}
	return []part{ok}
}

// listing returns the lines of a listing.
func (s slowServer) listing(format string) string {
	var b strings.Builder
	for i := range s.lines {
		fmt.Fprintf(&b, format, i+1)
	}
	return b.String()
}

func (s slowServer) send(conn net.Conn, name, octets string) bool {
	switch {
	case name == s.at && s.silent:
		io.Copy(io.Discard, conn)
		return false
	case name != s.at:
		_, err := io.WriteString(conn, octets)
		return err == nil
	}
	for chunk := range slices.Chunk([]byte(octets), max(s.chunk, 1)) {
		time.Sleep(cmp.Or(s.pause, time.Second))
		if _, err := conn.Write(chunk); err != nil {
			return false
		}
	}
	return true
}

// pollSlowly polls a slowServer in a synctest bubble, with the bubble's clock.
func pollSlowly(t *testing.T, s slowServer, deadline time.Duration, check func(a *fetch.Account, r fetch.Report, err error, took time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		notes := &fakeMaildrop{records: records{}}
		a := &fetch.Account{
			Name: "test", Key: "k", Maildrop: notes, Policy: plan.Policy{Delete: true}, Deadline: deadline,
			Destination: (&fixture{dir: scratch(t)}).maildir,
			Open: func(ctx context.Context, _ fetch.Opening) (fetch.Session, error) {
				wantGaps, far := net.Pipe()
				go func() {
					defer close(done)
					s.serve(far)
				}()
				c, err := pop3.NewClient(ctx, wantGaps, "h", &pop3.Options{Security: pop3.ClearText, Timeout: time.Minute})
				if err != nil {
					return nil, err
				}
				if _, err := c.Login(pop3.Credentials{User: "me", Password: "secret"}); err != nil {
					c.Close()
					return nil, err
				}
				return c, nil
			},
		}
		start := time.Now()
		r, err := a.Poll(t.Context())
		check(a, r, err, time.Since(start))
		<-done
	})
}

// Neither an octet a second nor silence keeps a session going: the timeout covers
// a whole reply, or 1024 octets of a listing or body.
func TestOneOctetASecondEndsAtTheTimeout(t *testing.T) {
	for _, silent := range []bool{false, true} {
		for phase, most := range map[string]time.Duration{
			"greeting": time.Minute, "CAPA": time.Minute, "USER": time.Minute, "PASS": time.Minute, "UIDL": time.Minute,
			"LIST": time.Minute, "RETR": time.Minute, "body": time.Minute, "DELE": time.Minute, "QUIT": time.Minute,
		} {
			t.Run(fmt.Sprintf("%s, silent %v", phase, silent), func(t *testing.T) {
				pollSlowly(t, slowServer{at: phase, silent: silent, octets: 10 << 20}.shorter(phase), 0, func(a *fetch.Account, r fetch.Report, err error, took time.Duration) {
					class(t, err, fetch.Temporary)
					if took < most || took > most+time.Second {
						t.Errorf("it took %v, want %v", took, most)
					}
					delivered := 0
					if phase == "DELE" || phase == "QUIT" {
						delivered = 2
					}
					if r.Delivered != delivered || r.Deleted != 0 {
						t.Errorf("%+v", r)
					}
				})
			})
		}
	}
}

// shorter makes the bodies small unless they are what comes slowly.
func (s slowServer) shorter(phase string) slowServer {
	if phase != "body" {
		s.octets = 100
	}
	return s
}

// A body that comes just fast enough is received until the deadline of the poll,
// and no longer.
func TestBodyThatIsJustFastEnoughEndsAtTheDeadline(t *testing.T) {
	s := slowServer{at: "none", octets: 100}
	pollSlowly(t, s, 10*time.Minute, func(_ *fetch.Account, r fetch.Report, err error, took time.Duration) {
		if err != nil || r.Delivered != 2 || took != 0 {
			t.Errorf("%+v after %v", r, took)
		}
	})
	clocked(t, 2, nil, func(t *testing.T, h *fixture) {
		h.account.Deadline = time.Second
		line := strings.Repeat("x", 78) + "\r\n"
		start := time.Now()
		h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: "RETR 1", Do: pop3test.Endless, After: pop3test.AfterStatus, Text: line},
			pop3test.Fault{At: "RETR 1", Do: pop3test.Slow, N: 80, Delay: 20 * time.Millisecond})
		if took := time.Since(start); took < time.Second {
			t.Errorf("given up after %v", took)
		}
		h.account.Deadline = 0
		h.converge(1, 2)
	})
}

// The server is silent during the TLS handshake, or sends an octet now and then.
func TestEndlessTLSHandshakeEndsAtTheTimeout(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"nothing":            {At: "TLS", Do: pop3test.Stall},
		"a part":             {At: "TLS", Do: pop3test.Stall, After: 200},
		"octet by octet":     {At: "TLS", Do: pop3test.Slow, N: 1, Delay: 20 * time.Millisecond},
		"reset in the midst": {At: "TLS", Do: pop3test.Reset, After: 200},
	} {
		for _, s := range []pop3test.Security{pop3test.ImplicitTLS, pop3test.StartTLS} {
			t.Run(fmt.Sprint(name, " ", s), func(t *testing.T) {
				test := func(t *testing.T, h *fixture) {
					h.secured(map[pop3test.Security]pop3.Security{pop3test.ImplicitTLS: pop3.ImplicitTLS, pop3test.StartTLS: pop3.StartTLS}[s])
					h.visitWith(fetch.Temporary, soon, f)
					h.options.Timeout = soon
					h.converge(1, 2)
				}
				if f.Do == pop3test.Reset {
					test(t, newFixture(t, 2, serving(s)))
					return
				}
				clocked(t, 2, serving(s), func(t *testing.T, h *fixture) {
					h.options.Timeout = brief
					test(t, h)
				})
			})
		}
	}
}

// A server that is silent or sends without end holds up its own account only.
func TestSilentServerHoldsUpItsOwnAccountOnly(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"silent":          {At: "connect", Do: pop3test.Stall},
		"silent in UIDL":  {At: "UIDL", Do: pop3test.Stall, After: 10},
		"endless body":    pop3test.EndlessBody("RETR"),
		"endless line":    pop3test.EndlessLine("UIDL"),
		"silent in QUIT":  {At: "QUIT", Do: pop3test.Stall},
		"reset in a body": {At: "RETR", Do: pop3test.Reset, After: 40},
	} {
		t.Run(name, func(t *testing.T) {
			bad, good := newFixture(t, 2, faults(f)), newFixture(t, 3, nil)
			bad.account.Name, good.account.Name = "bad", "good"
			bad.account.Deadline = 500 * time.Millisecond
			bad.account.Policy.Delete, good.account.Policy.Delete = true, true
			order := make(chan string, 2)
			s := &fetch.Scheduler{Accounts: []*fetch.Account{bad.account, good.account}, Parallel: 2, PerHost: 2,
				Done: func(r fetch.Report) { order <- r.Account }}
			err := s.Once(t.Context())
			if fetch.Classify(err) == fetch.OK {
				t.Error("no error")
			}
			good.server.Wait()
			good.delivered(1, 2, 3)
			good.onServer()
			bad.server.Wait()
			bad.onlyWholeMessages()
			bad.account.Deadline = 0
			bad.converge(1, 2)
		})
	}
}
