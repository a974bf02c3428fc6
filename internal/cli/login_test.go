package cli

import (
	"crypto/sha256"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"popfetch/fetch"
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
	right, wrong := config.Fingerprint(sha256.Sum256(block.Bytes)), config.Fingerprint{1}
	_, port, _ := net.SplitHostPort(s.Addr())
	number, _ := strconv.Atoi(port)
	for name, trust := range map[string]config.Login{
		"certificate authority": {TLSCAFile: ca},
		"fingerprint":           {TLSFingerprints: []config.Fingerprint{right}},
	} {
		t.Run(name, func(t *testing.T) {
			a := config.Account{Login: trust}
			a.Host, a.Port, a.User = "localhost", number, "me"
			a.TLS, a.TLSMinVersion = config.TLSImplicit, config.TLS12
			d := &connector{account: &a, log: slog.New(slog.DiscardHandler), secret: &secret.Source{Text: config.NewSecret("secret")}}
			for i, resumed := range []bool{false, true} {
				c, err := d.login(t.Context(), fetch.Opening{})
				if err != nil {
					t.Fatal(err)
				}
				if tls, _ := c.TLS(); tls.DidResume != resumed {
					t.Errorf("poll %d: resumed %v", i+1, tls.DidResume)
				}
				c.Quit()
			}
			if a.TLSFingerprints = []config.Fingerprint{wrong}; a.TLSCAFile == "" {
				if _, err := d.login(t.Context(), fetch.Opening{}); err == nil {
					t.Error("a resumed session with another certificate than the pinned one")
				}
			}
		})
	}
}
