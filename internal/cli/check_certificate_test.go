package cli

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

func TestTimeLeftOfACertificate(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		begins, expires time.Duration // from now
		want            string
		soon            bool
	}{
		{-day, 60*day + time.Hour, "(60 days left)", false},
		{-day, 14 * day, "(14 days left)", false},
		{-day, 14*day - time.Second, "(warning: 13 days left)", true},
		{-day, day + time.Hour, "(warning: 1 day left)", true},
		{-day, time.Second, "(warning: less than a day left)", true},
		{-9 * day, -time.Second, "(expired less than a day ago)", true},
		{-9 * day, -3 * day, "(expired 3 days ago)", true},
		{day, 60 * day, "(not valid before 2026-03-02T12:00:00Z)", false},
	} {
		r := certtest.Localhost()
		r.Start, r.End = now.Add(x.begins), now.Add(x.expires)
		made, err := certtest.SelfSigned(r)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(made.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		var f shownCertificate
		f.show([]*x509.Certificate{cert}, now)
		if want := r.End.Format(time.RFC3339); f.Expires != want || f.dates != want+" "+x.want || f.Soon != x.soon {
			t.Errorf("%v: %q, %v, want %q", x.expires, f.dates, f.Soon, x.want)
		}
	}
}

// visitServer starts a server, looks at it as check does, and returns what is wrong.
func visitServer(t *testing.T, s *pop3test.Server, change func(a *config.Account), trusted string) (*inspection, tlsFault, error) {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	found, fault, err := lookAt(t, s.Host(), s.Port(), change, trusted)
	for _, line := range s.Commands() {
		verb, _, _ := strings.Cut(line, " ")
		if err != nil && slices.Contains([]string{"USER", "PASS", "AUTH", "APOP"}, verb) {
			t.Errorf("the server was sent %q", line)
		}
	}
	return found, fault, err
}

// lookAt looks at a server as check does.
func lookAt(t *testing.T, host string, port int, change func(a *config.Account), trusted string) (*inspection, tlsFault, error) {
	t.Helper()
	a := &config.Account{
		Name:    "work",
		Login:   config.Login{Host: host, Port: port, User: "alice", TLS: config.TLSImplicit, TLSMinVersion: config.TLS12},
		Timeout: config.Duration(20 * time.Second), Deadline: config.Duration(time.Minute),
	}
	change(a)
	found := &inspection{Account: a.Name, Server: a.Address()}
	source := &secret.Source{Text: config.NewSecret("secret")}
	err := found.visit(t.Context(), a, source, trusted, &console{log: slog.New(slog.DiscardHandler)})
	fault := tlsFaultOf(err, true)
	found.Problem = fault.problem
	return found, fault, err
}

// Each of the usual mistakes has its own name and its own advice, and no secret is sent.
func TestCheckNamesTheMistake(t *testing.T) {
	root, err := certtest.NewAuthority("Example Root")
	if err != nil {
		t.Fatal(err)
	}
	middle, err := root.Intermediate("Example Issuer")
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, root.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	made := func(by *certtest.Authority, change func(r *certtest.Request)) tls.Certificate {
		t.Helper()
		r := certtest.Localhost()
		if change != nil {
			change(&r)
		}
		cert, err := certtest.SelfSigned(r)
		if by != nil {
			cert, err = by.Issue(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	serving := func(c tls.Certificate) *pop3test.Server {
		return &pop3test.Server{TLS: &tls.Config{Certificates: []tls.Certificate{c}}}
	}
	bare := made(middle, func(r *certtest.Request) { r.IssuerURL = "http://ca.example.org/issuer.crt" })
	bare.Certificate = bare.Certificate[:1]
	trust := func(a *config.Account) { a.TLSCAFile = ca }
	inClear := func(mode config.TLSMode) func(a *config.Account) {
		return func(a *config.Account) { a.TLS, a.Timeout = mode, config.Duration(300*time.Millisecond) }
	}
	startTLS := func(a *config.Account) { a.TLS = config.TLSStart }
	good := made(middle, nil)
	own := t.TempDir()
	if err := certtest.WriteFiles(own, made(nil, nil)); err != nil {
		t.Fatal(err)
	}
	withOwn := func(a *config.Account) {
		trust(a)
		a.TLSClientCert, a.TLSClientKey = filepath.Join(own, "cert.pem"), filepath.Join(own, "key.pem")
	}
	for problem, x := range map[string]struct {
		server *pop3test.Server
		change func(a *config.Account)
		hint   string
	}{
		"self-signed":                       {serving(made(nil, nil)), func(*config.Account) {}, "the tls_fingerprint line above"},
		"unknown authority":                 {serving(good), func(*config.Account) {}, `"CN=Example Root"`},
		"missing intermediate":              {serving(bare), trust, `intermediate certificate "CN=Example Issuer"`},
		"expired":                           {serving(made(root, func(r *certtest.Request) { r.Start, r.End = time.Now().AddDate(-1, 0, 0), time.Now().Add(-time.Hour) })), trust, "must renew it"},
		"not yet valid":                     {serving(made(root, func(r *certtest.Request) { r.Start, r.End = time.Now().Add(time.Hour), time.Now().Add(9*time.Hour) })), trust, "is the clock of this machine right?"},
		"wrong name":                        {serving(made(root, func(r *certtest.Request) { r.Names, r.IPs = []string{"mx.example.org"}, nil })), trust, "tls_server_name"},
		"negative serial number":            {serving(made(root, func(r *certtest.Request) { r.Negative = true })), trust, "must replace the certificate"},
		"other fingerprint":                 {serving(good), func(a *config.Account) { a.TLSFingerprints = []config.Fingerprint{{Kind: config.OfKey}} }, "its operator can confirm"},
		"another key than at the first use": {serving(good), func(a *config.Account) { a.TLSFingerprints = []config.Fingerprint{{Kind: config.FirstUse}} }, "popfetch state trust work"},
		"TLS too old":                       {&pop3test.Server{TLS: &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}, trust, "TLS 1.2 or 1.3"},
		"no common cipher":                  {&pop3test.Server{TLS: &tls.Config{Certificates: []tls.Certificate{made(root, func(r *certtest.Request) { r.RSA = true })}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}}, trust, "none of the ciphers"},
		"client certificate demanded":       {&pop3test.Server{TLS: &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}}, trust, "set tls_client_cert"},
		"client certificate refused":        {&pop3test.Server{TLS: &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}}, withOwn, "be of another authority"},
		"clear text on a TLS port":          {&pop3test.Server{Security: pop3test.ClearText}, trust, `tls = "starttls"`},
		"another protocol":                  {&pop3test.Server{Security: pop3test.ClearText, Faults: []pop3test.Fault{{At: "greeting", Do: pop3test.Raw, Text: "* OK IMAP4rev1 ready\r\n"}}}, trust, "an IMAP server"},
		"TLS on a clear-text port":          {serving(good), inClear(config.TLSStart), `tls = "implicit"`},
		"STLS not announced":                {&pop3test.Server{Security: pop3test.StartTLS, Without: []string{"STLS"}}, startTLS, "port 995 only"},
		"STLS refused":                      {&pop3test.Server{Security: pop3test.StartTLS, Faults: []pop3test.Fault{{At: "STLS", Do: pop3test.Err, Text: "TLS is not available"}}}, startTLS, "its operator must fix that"},
	} {
		t.Run(problem, func(t *testing.T) {
			found, fault, err := visitServer(t, x.server, x.change, "pin-sha256:another")
			if fault.problem != problem || !strings.Contains(fault.hint, x.hint) || strings.Contains(fault.hint, "popfetch check") {
				t.Errorf("%q, hint %q, %v", fault.problem, fault.hint, err)
			}
			if class := fetch.Classify(err); class != fetch.Protocol && problem != "TLS on a clear-text port" {
				t.Errorf("class %v", class)
			}
			var said bytes.Buffer
			found.write(&said, 80)
			if pinned := strings.Contains(said.String(), "tls_fingerprint ="); pinned != (found.Pin != "" && !found.firstUse) {
				t.Errorf("the line that pins the key: %v in\n%s", pinned, &said)
			}
		})
	}
	t.Run("STLS fails", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			io.WriteString(conn, "+OK ready\r\n")
			r.ReadString('\n') // STLS
			io.WriteString(conn, "+OK begin\r\n")
			r.ReadByte() // the client begins
			io.WriteString(conn, "-ERR TLS initialization failed.\r\n")
			io.Copy(io.Discard, r)
		}()
		at := l.Addr().(*net.TCPAddr)
		_, fault, err := lookAt(t, at.IP.String(), at.Port, startTLS, "")
		if fault.problem != "STLS fails" || !strings.Contains(err.Error(), "no credentials were sent") {
			t.Errorf("%q, %v", fault.problem, err)
		}
	})
	t.Run("client certificate demanded behind STLS", func(t *testing.T) {
		s := &pop3test.Server{Security: pop3test.StartTLS, TLS: &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}}
		_, fault, err := visitServer(t, s, func(a *config.Account) { trust(a); startTLS(a) }, "")
		if fault.problem != "client certificate demanded" || fetch.Classify(err) != fetch.Protocol {
			t.Errorf("%q, %v", fault.problem, err)
		}
	})
	t.Run("TLS on a clear-text port, none", func(t *testing.T) {
		if _, fault, err := visitServer(t, serving(good), inClear(config.TLSNone), ""); fault.problem != "TLS on a clear-text port" {
			t.Errorf("%q, %v", fault.problem, err)
		}
	})
}

// The report fits on a terminal of 80 and 40 columns, but for the lines to be copied and
// single words that are wider.
func TestCheckFitsOnTheTerminal(t *testing.T) {
	root, err := certtest.NewAuthority("Example Trust Services International Root Certification Authority")
	if err != nil {
		t.Fatal(err)
	}
	middle, err := root.Intermediate("Example Trust Services International Issuing Authority Number Four")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := middle.Issue(certtest.Localhost())
	if err != nil {
		t.Fatal(err)
	}
	s := &pop3test.Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Users: map[string]*pop3test.User{"alice": {Password: "secret"}}}
	found, _, _ := visitServer(t, s, func(a *config.Account) {}, "")
	text := ""
	for _, width := range []int{0, 80, 40} {
		var said bytes.Buffer
		found.write(&said, width)
		for line := range strings.Lines(said.String()) {
			line = strings.TrimSuffix(line, "\n")
			copied := strings.Contains(line, "tls_fingerprint =") && (width == 40 || runewidth.StringWidth(line) <= 80)
			if width > 0 && runewidth.StringWidth(line) > width && strings.Contains(strings.TrimSpace(line), " ") && !copied {
				t.Errorf("%d columns: %q", width, line)
			}
		}
		words := strings.Join(strings.Fields(said.String()), " ")
		if text == "" {
			text = words
		}
		if words != text {
			t.Errorf("%d columns: %q, not %q", width, words, text)
		}
	}
	for _, want := range []string{"TLS problem unknown authority", "sent with it CN=Example Trust Services", "checked by the authorities that this machine knows", "if this is the right server, a line"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	var decoded struct{ Chain []chainLink }
	encoded, err := json.Marshal(found)
	if err == nil {
		err = json.Unmarshal(encoded, &decoded)
	}
	if err != nil || len(decoded.Chain) != 2 || decoded.Chain[1].Issuer != decoded.Chain[0].Issuer && !strings.Contains(decoded.Chain[1].Issuer, "Root") {
		t.Errorf("%v, %s", err, encoded)
	}
}
