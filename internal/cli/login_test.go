package cli

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

// The second poll of a run resumes the TLS session of the first (RFC 8446 section
// 2.2), and checks a pinned certificate nevertheless.
func TestTLSSessionIsResumed(t *testing.T) {
	s := &pop3test.Server{
		Security: pop3test.ImplicitTLS,
		Users:    map[string]*pop3test.User{"me": {Password: "secret", Maildrop: pop3test.NewMaildrop()}},
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(s.CertPEM())
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pinned := func(fs ...config.Fingerprint) config.Login { return config.Login{TLSFingerprints: fs} }
	firstUse := pinned(config.Fingerprint{Kind: config.FirstUse})
	_, port, _ := net.SplitHostPort(s.Addr())
	number, _ := strconv.Atoi(port)
	for name, trust := range map[string]struct {
		config.Login
		trusted string
		other   config.Login // does not trust the server
		others  string
	}{
		"certificate authority": {Login: config.Login{TLSCAFile: ca}},
		"certificate":           {Login: pinned(certificateFingerprint(cert)), other: pinned(config.Fingerprint{Kind: config.OfCertificate})},
		"key":                   {Login: pinned(keyFingerprint(cert)), other: pinned(config.Fingerprint{Kind: config.OfKey})},
		"one of several":        {Login: pinned(config.Fingerprint{}, keyFingerprint(cert)), other: pinned(config.Fingerprint{}, config.Fingerprint{Kind: config.OfKey})},
		"digest of another kind": {Login: pinned(certificateFingerprint(cert)),
			other: pinned(config.Fingerprint{Kind: config.OfKey, Digest: certificateFingerprint(cert).Digest}, config.Fingerprint{Digest: keyFingerprint(cert).Digest})},
		"first use":  {Login: firstUse, other: firstUse, others: certificateFingerprint(cert).String()},
		"second use": {Login: firstUse, trusted: keyFingerprint(cert).String(), other: firstUse, others: (config.Fingerprint{Kind: config.OfKey}).String()},
	} {
		t.Run(name, func(t *testing.T) {
			account := func(of config.Login) *config.Account {
				of.Host, of.Port, of.User = "localhost", number, "me"
				of.TLS, of.TLSMinVersion = config.TLSImplicit, config.TLS12
				return &config.Account{Login: of}
			}
			d := &connector{account: account(trust.Login), log: slog.New(slog.DiscardHandler), secret: &secret.Source{Text: config.NewSecret("secret")}}
			for i, resumed := range []bool{false, true} {
				c, err := d.login(t.Context(), fetch.Opening{Trusted: trust.trusted})
				if err != nil {
					t.Fatal(err)
				}
				if tls, _ := c.TLS(); tls.DidResume != resumed {
					t.Errorf("poll %d: resumed %v", i+1, tls.DidResume)
				}
				c.Quit()
			}
			if trust.TLSCAFile != "" {
				return
			}
			d.account = account(trust.other)
			sessions := len(s.Commands())
			_, err := d.login(t.Context(), fetch.Opening{Trusted: trust.others})
			if !errors.As(err, new(*pop3.TLSError)) || fetch.Classify(err) != fetch.Protocol {
				t.Errorf("a resumed session with another certificate than the right one: %v", err)
			}
			if sent := s.Commands()[sessions:]; len(sent) > 0 {
				t.Errorf("sent %q", sent)
			}
		})
	}
}

// The server is remembered before the login, once, and the login is not sent if that
// fails.
func TestFirstUseIsRememberedBeforeTheLogin(t *testing.T) {
	s := &pop3test.Server{Users: map[string]*pop3test.User{"me": {Password: "secret"}}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a := &config.Account{Login: config.Login{
		Host: s.Host(), Port: s.Port(), User: "me", TLS: config.TLSImplicit, TLSMinVersion: config.TLS12,
		TLSFingerprints: []config.Fingerprint{{Kind: config.FirstUse}},
	}}
	d := &connector{account: a, log: slog.New(slog.DiscardHandler), secret: &secret.Source{Text: config.NewSecret("secret")}}
	full := errors.New("no space left on device")
	_, err := d.login(t.Context(), fetch.Opening{Trust: func(string) error { return full }})
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	s.Wait()
	if sent := s.Commands(); len(sent) > 0 {
		t.Errorf("sent %q", sent)
	}
	// The server closes the connection behind CAPA, so that there are two of them.
	s.SetFaults(pop3test.Fault{At: "CAPA", Do: pop3test.Raw, Text: "-ERR\r\n"}, pop3test.Fault{At: "USER", Session: 2, Do: pop3test.Drop})
	var trusted []string
	c, err := d.login(t.Context(), fetch.Opening{Trust: func(fingerprint string) error {
		if sent := s.Commands(); len(sent) > 0 {
			t.Errorf("%q was sent before the key is remembered", sent)
		}
		trusted = append(trusted, fingerprint)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	state, _ := c.TLS()
	c.Quit()
	if want := keyFingerprint(state.PeerCertificates[0]).String(); len(trusted) != 1 || trusted[0] != want {
		t.Errorf("remembered %q, want %q once", trusted, want)
	}
}
