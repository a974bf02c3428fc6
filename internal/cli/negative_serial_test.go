package cli

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

// Old devices have certificates with a negative serial number. One that is pinned is
// accepted, with the setting that main.go makes; one that is not pinned is verified.
func TestPinnedCertificateWithNegativeSerialNumber(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.DefaultGODEBUG}}", "popfetch").Output()
	if err != nil || !strings.Contains(string(out), "x509negativeserial=1") {
		t.Fatalf("the program is built with %q, %v", out, err)
	}
	t.Setenv("GODEBUG", "x509negativeserial=1")

	r := certtest.Localhost()
	r.Negative = true
	cert, err := certtest.SelfSigned(r)
	if err != nil {
		t.Fatal(err)
	}
	s := &pop3test.Server{
		Security: pop3test.ImplicitTLS,
		TLS:      &tls.Config{Certificates: []tls.Certificate{cert}},
		Users:    map[string]*pop3test.User{"me": {Password: "secret", Maildrop: pop3test.NewMaildrop()}},
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a := config.Account{Login: config.Login{
		Host: s.Host(), Port: s.Port(), User: "me", TLS: config.TLSImplicit, TLSMinVersion: config.TLS12,
		TLSFingerprints: []config.Fingerprint{{Digest: sha256.Sum256(cert.Certificate[0])}},
	}}
	d := &connector{account: &a, log: slog.New(slog.DiscardHandler), secret: &secret.Source{Text: config.NewSecret("secret")}}
	c, err := d.login(t.Context(), fetch.Opening{})
	if err != nil {
		t.Fatal(err)
	}
	c.Quit()

	a.TLSFingerprints = nil
	var unsafe *pop3.TLSError
	if _, err := d.login(t.Context(), fetch.Opening{}); !errors.As(err, &unsafe) {
		t.Errorf("not pinned and not verified: %v", err)
	}
}
