package cli

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"slices"

	"popfetch/internal/config"
)

// settingError is a setting that is of no use: the file that it names is missing,
// or does not hold what it should.
type settingError struct {
	key string
	err error
}

func (e *settingError) Error() string { return e.key + ": " + e.err.Error() }

func (e *settingError) Unwrap() error { return e.err }

// tls returns how to verify the server, and the client's own certificate.
func (d *connector) tls(host string) (*tls.Config, error) {
	a := d.account
	if d.sessions == nil {
		d.sessions = tls.NewLRUClientSessionCache(4)
	}
	c := &tls.Config{
		ServerName:         host,
		MinVersion:         uint16(a.TLSMinVersion),
		ClientSessionCache: d.sessions,
	}
	if a.TLSServerName != "" {
		c.ServerName = a.TLSServerName
	}
	if a.TLSCAFile != "" {
		pem, err := os.ReadFile(a.TLSCAFile)
		if err != nil {
			return nil, &settingError{"tls_ca_file", err}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &settingError{"tls_ca_file", fmt.Errorf("%s: no PEM certificate in it", a.TLSCAFile)}
		}
	}
	if a.TLSClientCert != "" {
		pair, err := tls.LoadX509KeyPair(a.TLSClientCert, a.TLSClientKey)
		if err != nil {
			return nil, &settingError{"tls_client_cert, tls_client_key", err}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if len(a.TLSFingerprints) > 0 {
		// The pin replaces the check of chain and name. VerifyConnection is
		// called for resumed sessions too.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error { return pinned(s, a.TLSFingerprints) }
	}
	return c, nil
}

// pinned returns nil if the server's own certificate is one of pins.
func pinned(s tls.ConnectionState, pins []config.Fingerprint) error {
	sum := sha256.Sum256(s.PeerCertificates[0].Raw)
	if slices.Contains(pins, config.Fingerprint(sum)) {
		return nil
	}
	return fmt.Errorf("the server's certificate has the fingerprint %s, which is not in tls_fingerprint", hex.EncodeToString(sum[:]))
}
