package fetch_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
)

// noCredentialsSent checks that no session has sent a user name or a secret.
func (h *fixture) noCredentialsSent() {
	h.t.Helper()
	for _, line := range h.server.Commands() {
		verb, _, _ := strings.Cut(line, " ")
		if slices.Contains([]string{"USER", "PASS", "AUTH", "APOP"}, verb) {
			h.t.Errorf("the server was sent %q", line)
		}
	}
}

// Octets behind the reply to STLS, or another reply in its place, end the session
// before any credentials.
func TestTamperedStartTLSSendsNoCredentials(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*pop3test.Server)
		faults []pop3test.Fault
	}{
		"reply behind STLS":    {nil, []pop3test.Fault{{At: "STLS", Do: pop3test.Extra, Text: "+OK\r\n"}}},
		"half a line behind":   {nil, []pop3test.Fault{{At: "STLS", Do: pop3test.Extra, Text: "+"}}},
		"CAPA behind STLS":     {nil, []pop3test.Fault{{At: "STLS", Do: pop3test.Extra, Text: "+OK\r\nUSER\r\n.\r\n"}}},
		"NUL behind STLS":      {nil, []pop3test.Fault{{At: "STLS", Do: pop3test.Extra, Text: "\x00"}}},
		"STLS not there":       {without("STLS"), nil},
		"no TLS at all":        {serving(pop3test.ClearText), nil},
		"STLS refused":         {nil, []pop3test.Fault{{At: "STLS", Do: pop3test.Err, Text: "no"}}},
		"greeting is no +OK":   {nil, []pop3test.Fault{{At: "greeting", Do: pop3test.Raw, Text: "* OK IMAP\r\n"}}},
		"greeting as if in":    {without("STLS"), []pop3test.Fault{{At: "greeting", Do: pop3test.Raw, Text: "+OK already logged in, maildrop has 3 messages\r\n"}}},
		"clear text after +OK": {nil, []pop3test.Fault{{At: "STLS", Do: pop3test.Raw, Text: "+OK\r\n+OK not TLS\r\n"}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, func(s *pop3test.Server) {
				s.Security = pop3test.StartTLS
				if tt.change != nil {
					tt.change(s)
				}
			})
			h.secured(pop3.StartTLS)
			h.visitWith(fetch.Protocol, soon, tt.faults...)
			h.noCredentialsSent()
			h.delivered()
			if tt.change == nil {
				h.converge(1, 2, 3)
			}
		})
	}
}

// Only the capabilities announced inside TLS count. Without any, the methods that
// every server takes are tried, inside TLS.
func TestOnlyCapabilitiesInsideTLSCount(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"refused": {At: "CAPA", Do: pop3test.Err, Text: "no"},
		"empty":   {At: "CAPA", Do: pop3test.Raw, Text: "+OK\r\n.\r\n"},
		"no SASL": {At: "CAPA", Do: pop3test.Raw, Text: "+OK\r\nUIDL\r\nUSER\r\n.\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, func(s *pop3test.Server) { s.Security = pop3test.StartTLS })
			h.secured(pop3.StartTLS)
			h.visitWith(fetch.OK, soon, f)
			h.delivered(1, 2, 3)
			if first := h.server.SessionCommands(1)[0]; first != "STLS" {
				t.Errorf("%q came before STLS", first)
			}
			h.account.Policy.Delete = true
			h.converge(1, 2, 3)
		})
	}
	clocked(t, 3, serving(pop3test.StartTLS), func(t *testing.T, h *fixture) {
		h.secured(pop3.StartTLS)
		h.options.Timeout = brief
		h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: "CAPA", Do: pop3test.Stall, After: pop3test.AfterStatus})
		h.noCredentialsSent()
		h.options.Timeout = soon
		h.converge(1, 2, 3)
	})
}

// An untrusted certificate ends the session before any credentials, with implicit
// TLS and with STLS.
func TestUntrustedCertificateSendsNoCredentials(t *testing.T) {
	for name, change := range map[string]func(c *tls.Config){
		"unknown CA":      func(c *tls.Config) { c.RootCAs = x509.NewCertPool() },
		"wrong name":      func(c *tls.Config) { c.ServerName = "pop.example.org" },
		"wrong IP":        func(c *tls.Config) { c.ServerName = "192.0.2.1" },
		"no CA is known":  func(c *tls.Config) { c.RootCAs = new(x509.CertPool) },
		"name with a NUL": func(c *tls.Config) { c.ServerName = "127.0.0.1\x00.example.org" },
	} {
		for s, mine := range map[pop3test.Security]pop3.Security{pop3test.ImplicitTLS: pop3.ImplicitTLS, pop3test.StartTLS: pop3.StartTLS} {
			t.Run(fmt.Sprint(name, " ", s), func(t *testing.T) {
				h := newFixture(t, 2, serving(s))
				h.secured(mine)
				change(h.options.TLS)
				h.visitWith(fetch.Protocol, soon)
				h.noCredentialsSent()
				h.delivered()
				h.secured(mine)
				h.converge(1, 2)
			})
		}
	}
}

// The expiry of the certificate is in the report of each poll, and in the state. Servers
// with different certificates behind one name do not make each poll write.
func TestExpiryOfTheCertificateIsReportedAndRecorded(t *testing.T) {
	var shown atomic.Pointer[tls.Certificate]
	h := newFixture(t, 1, func(s *pop3test.Server) {
		s.Security = pop3test.ImplicitTLS
		s.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shown.Load(), nil }}
	})
	authority, err := certtest.NewAuthority("test authority")
	if err != nil {
		t.Fatal(err)
	}
	h.options.Security, h.options.TLS = pop3.ImplicitTLS, &tls.Config{RootCAs: authority.Pool()}
	now := time.Now()
	h.account.Now = func() time.Time { return now }
	poll := func(days int) (recorded int) {
		t.Helper()
		r := certtest.Localhost()
		r.End = now.Add(time.Duration(days)*24*time.Hour + time.Hour)
		cert, err := authority.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		shown.Store(&cert)
		report, err := h.visit(soon)
		if err != nil || !report.CertificateExpires.Equal(r.End.Truncate(time.Second)) || report.CertificateExpires.Location() != time.UTC {
			t.Errorf("the report says %v, want %v; %v", report.CertificateExpires, r.End, err)
		}
		facts, err := h.account.Maildrop.Facts()
		if err != nil {
			t.Fatal(err)
		}
		return int(facts.CertificateExpires.Sub(now) / (24 * time.Hour))
	}
	for _, step := range []struct {
		name       string
		after      time.Duration
		days, want int
	}{
		{"first", 0, 60, 60},
		{"another server", time.Minute, 90, 60},
		{"a day later", 25 * time.Hour, 90, 90},
		{"ends soon", 25 * time.Hour, 5, 5},
		{"renewed", time.Minute, 90, 90},
	} {
		now = now.Add(step.after)
		if got := poll(step.days); got != step.want && got != step.want-1 {
			t.Errorf("%s: recorded %d days, want %d", step.name, got, step.want)
		}
	}
}

// A refused login tells whether the credentials are wrong or the server is busy.
func TestRefusedLoginIsAWrongPasswordOrABusyServer(t *testing.T) {
	for text, want := range map[string]fetch.Class{
		"[AUTH] no":               fetch.Auth,
		"no":                      fetch.Auth,
		"":                        fetch.Auth,
		"[in-use] wait":           fetch.Temporary,
		"[IN-USE]":                fetch.Temporary,
		"[LOGIN-DELAY] wait":      fetch.Temporary,
		"[SYS/TEMP] later":        fetch.Temporary,
		"[SYS/TEMP/DISK] later":   fetch.Temporary,
		"[SYS/PERM] never":        fetch.Auth,
		"unable to lock maildrop": fetch.Temporary,
		"[X-UNKNOWN] who knows":   fetch.Temporary,
		"[AUTH no end":            fetch.Auth,
		"no [IN-USE] in front":    fetch.Auth,
		strings.Repeat("x", 2000): fetch.Auth,
	} {
		for _, at := range []string{"PASS", "AUTH"} {
			t.Run(fmt.Sprintf("%s %.30s", at, text), func(t *testing.T) {
				h := newFixture(t, 2, func(s *pop3test.Server) {
					if at == "PASS" {
						s.Without = []string{"SASL"}
					}
				})
				_, err := h.visitWith(want, soon, pop3test.Fault{At: at, Do: pop3test.Err, Text: text})
				if err != nil && (len(err.Error()) > 1500 || strings.Contains(err.Error(), "secret")) {
					t.Errorf("%v", err)
				}
				if tries := len(h.sent(1, at)); tries != 1 {
					t.Errorf("%d tries with one login", tries)
				}
				h.delivered()
				h.converge(1, 2)
			})
		}
	}
}

// A greeting with -ERR says that the server is busy.
func TestRefusedGreetingIsTemporary(t *testing.T) {
	for _, text := range []string{"", "too many connections", "[IN-USE] wait", "[SYS/TEMP] down"} {
		h := newFixture(t, 2, nil)
		h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: "greeting", Do: pop3test.Err, Text: text})
		h.noCredentialsSent()
		h.converge(1, 2)
	}
}

// Senseless challenges end the login after one answer at most.
func TestSenselessChallengesEndTheLogin(t *testing.T) {
	for name, text := range map[string]string{
		"no base64":      "+ ***\r\n",
		"no plus":        "challenge\r\n",
		"empty line":     "\r\n",
		"NUL":            "+ \x00\r\n",
		"64 KB and more": "+ " + strings.Repeat("QUJD", 20_000) + "\r\n",
		"two at once":    "+ QUJD\r\n+ QUJD\r\n+ QUJD\r\n+ QUJD\r\n",
		"success early":  "+OK\r\n+OK\r\n",
	} {
		for _, mechanism := range []string{"CRAM-MD5", "LOGIN"} {
			t.Run(mechanism+" "+name, func(t *testing.T) {
				clocked(t, 2, func(s *pop3test.Server) { s.SASL, s.Without = []string{mechanism}, []string{"USER"} }, func(t *testing.T, h *fixture) {
					h.options.Timeout = brief
					h.server.SetFaults(pop3test.Fault{At: "challenge", Do: pop3test.Raw, Text: text})
					_, err := h.visit(soon)
					if err == nil {
						t.Error("no error")
					}
					if err != nil && strings.Contains(err.Error(), "secret") {
						t.Errorf("%v", err)
					}
					h.delivered()
					h.options.Timeout = soon
					h.converge(1, 2)
				})
			})
		}
	}
}
