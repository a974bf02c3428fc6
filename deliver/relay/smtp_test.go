package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/internal/certtest"
)

// secured returns an SMTP receiver with STARTTLS that accepts user "me" with "pa55", and the
// settings that trust it.
func secured(t *testing.T) (*receiver, *tls.Config) {
	t.Helper()
	authority, err := certtest.NewAuthority("tests")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Issue(certtest.Request{Names: []string{"mx.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	r := newReceiver(t)
	r.smtp, r.secret, r.login = true, &tls.Config{Certificates: []tls.Certificate{cert}}, "AG1lAHBhNTU="
	r.greets = append(r.greets, "STARTTLS", "AUTH LOGIN PLAIN XOAUTH2")
	return r, &tls.Config{RootCAs: authority.Pool(), ServerName: "mx.example.org"}
}

// logIn sets d up to connect as o says and to log in.
func logIn(d *Relay, o Options, cred Credentials) {
	o.SMTP = true
	d.Connect = func(ctx context.Context) (*Client, error) {
		c, err := Dial(ctx, d.Network, d.Address, o)
		if err != nil {
			return nil, err
		}
		if _, err := c.Login(cred); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}
}

func TestLoginOverTLS(t *testing.T) {
	r, trust := secured(t)
	d := r.relay()
	defer d.Close()
	logIn(d, Options{Security: StartTLS, TLS: trust}, Credentials{User: "me", Password: "pa55"})
	if err := deliverOne(t, d, "x"); err != nil {
		t.Fatal(err)
	}
	want := []string{"EHLO localhost", "STARTTLS", "EHLO localhost", "AUTH PLAIN AG1lAHBhNTU=", "MAIL FROM:<> BODY=8BITMIME", "RCPT TO:<me@example.org>", "DATA"}
	if !slices.Equal(r.lines, want) {
		t.Errorf("sent %q", r.lines)
	}
}

// Whatever goes wrong before the login has succeeded, no mail is sent, and no secret in clear text.
func TestServerThatDoesNotProtectTheSecretDoesNotGetIt(t *testing.T) {
	for name, x := range map[string]struct {
		o     Options
		cred  Credentials
		greet []string // in place of what the receiver announces
		step  string
		reply string
		auth  bool // it is a refused login
		says  string
	}{
		"no STARTTLS":           {o: Options{Security: StartTLS}, greet: []string{"AUTH PLAIN"}, says: "does not offer STARTTLS"},
		"STARTTLS refused":      {o: Options{Security: StartTLS}, step: "STARTTLS", reply: "454 4.7.0 not now", says: "454"},
		"more behind STARTTLS":  {o: Options{Security: StartTLS}, step: "STARTTLS", reply: "220 go\r\n250 ok", says: "before TLS began"},
		"clear text":            {o: Options{}, auth: true, says: "clear text"},
		"no login":              {o: Options{Security: StartTLS}, greet: []string{"STARTTLS"}, auth: true, says: "offers no login"},
		"no method":             {o: Options{Security: StartTLS}, greet: []string{"STARTTLS", "AUTH GSSAPI"}, auth: true, says: "offers none of"},
		"wrong password":        {o: Options{Security: StartTLS}, cred: Credentials{User: "me", Password: "wrong"}, auth: true, says: "535"},
		"secret repeated":       {o: Options{Security: StartTLS}, step: "AUTH", reply: "535 5.7.8 not pa55", auth: true, says: `535 "***"`},
		"line repeated":         {o: Options{Security: StartTLS}, step: "AUTH", reply: "535 5.7.8 AG1lAHBhNTU=?", auth: true, says: `535 "***"`},
		"half of it repeated":   {o: Options{Security: StartTLS}, step: "AUTH", reply: "535 5.7.8 not PA5", auth: true, says: `535 "***"`},
		"no reply, the secret":  {o: Options{Security: StartTLS}, step: "AUTH", reply: "pa55", says: `"***", which is not a reply`},
		"login later":           {o: Options{Security: StartTLS}, step: "AUTH", reply: "454 4.7.0 busy", says: "454"},
		"line end in a secret":  {o: Options{Security: StartTLS}, cred: Credentials{User: "me", Password: "a\r\nDATA"}, auth: true, says: "control character"},
		"certificate of others": {o: Options{Security: StartTLS, TLS: &tls.Config{ServerName: "mx.example.org"}}, says: "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			r, trust := secured(t)
			if x.greet != nil {
				r.greets = x.greet
			}
			if x.o.TLS == nil {
				x.o.TLS = trust
			}
			if x.cred.User == "" {
				x.cred = Credentials{User: "me", Password: "pa55"}
			}
			r.Answers(x.step, x.reply)
			d := r.relay()
			defer d.Close()
			logIn(d, x.o, x.cred)
			err := deliverOne(t, d, "x")
			var e *deliver.Error
			if !errors.As(err, &e) || e.Scope != deliver.Place || errors.Is(err, deliver.ErrLogin) != x.auth || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(strings.ToLower(fmt.Sprint(err)), "pa5") || strings.Contains(fmt.Sprint(err), "AG1l") {
				t.Errorf("the secret is in %v", err)
			}
			if got := r.delivered(); len(got) > 0 {
				t.Errorf("%q arrived", got)
			}
		})
	}
}

// A method that is named may send the password in clear text.
func TestNamedMethodIsUsedInClearText(t *testing.T) {
	r, _ := secured(t)
	d := r.relay()
	defer d.Close()
	logIn(d, Options{}, Credentials{User: "me", Password: "pa55", Methods: []string{"plain"}})
	if err := deliverOne(t, d, "x"); !errors.Is(err, deliver.ErrLogin) || len(r.commands("AUTH PLAIN")) != 1 {
		t.Errorf("%v, sent %q", err, r.lines) // the receiver accepts no login in clear text
	}
}

func TestOldServerWithoutEHLOGetsHELO(t *testing.T) {
	r := newReceiver(t)
	r.smtp = true
	r.Answers("EHLO", "502 5.5.1 what")
	d := r.relay()
	defer d.Close()
	if err := deliverOne(t, d, "x"); err == nil || len(r.commands("HELO")) != 1 {
		t.Errorf("%v, sent %q", err, r.lines) // the receiver does not know it
	}
}

// A server that sends one octet now and then does not stretch the time for a reply.
func TestSlowDripDoesNotStretchTheTimeForAReply(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if _, err := server.Write([]byte("2")); err != nil {
				return
			}
		}
	}()
	_, err := Dial(t.Context(), "tcp", "", Options{Timeout: 100 * time.Millisecond,
		Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A server that offers a login, and refuses all mail without one, may say no more than "access
// denied".
func TestRefusalWithoutALoginHintsAtIt(t *testing.T) {
	for name, x := range map[string]struct {
		greets []string
		reply  string
		hints  bool
	}{
		"access denied":    {[]string{"AUTH PLAIN"}, "554 5.7.1 access denied", true},
		"no login offered": {[]string{"8BITMIME"}, "554 5.7.1 access denied", false},
		"mailbox full":     {[]string{"AUTH PLAIN"}, "552 5.2.2 full", false},
		"busy":             {[]string{"AUTH PLAIN"}, "450 4.7.1 greylisted", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			r.smtp, r.greets = true, x.greets
			d := r.relay()
			defer d.Close()
			r.Answers("RCPT", x.reply)
			var e *deliver.Error
			if err := deliverOne(t, d, "x"); !errors.As(err, &e) || e.Scope != deliver.Message || strings.Contains(e.Hint, "login") != x.hints {
				t.Errorf("got %#v: %v", e, err)
			}
		})
	}
}
