package cli

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
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

// tls returns how to verify the server, and the client's own certificate. trusted is the
// fingerprint that was remembered at the first use, "" for none.
func (d *connector) tls(host, trusted string) (*tls.Config, error) {
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
		// The fingerprint replaces the check of chain and name. VerifyConnection is
		// called for resumed sessions too.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error { return checkFingerprint(s.PeerCertificates, a, trusted) }
	}
	return c, nil
}

// trustFirst has the server remembered if a trusts on first use and no server is yet. The
// server has proved by now that it holds the private key.
func trustFirst(a *config.Account, c *pop3.Client, how *fetch.Opening) error {
	s, secured := c.TLS()
	if !secured || !a.TrustsFirstUse() || how.Trusted != "" {
		return nil
	}
	fingerprint := keyFingerprint(s.PeerCertificates[0]).String()
	if how.Trust != nil {
		if err := how.Trust(fingerprint); err != nil {
			return err
		}
	}
	how.Trusted = fingerprint
	return nil
}

func certificateFingerprint(cert *x509.Certificate) config.Fingerprint {
	return config.Fingerprint{Kind: config.OfCertificate, Digest: sha256.Sum256(cert.Raw)}
}

func keyFingerprint(cert *x509.Certificate) config.Fingerprint {
	return config.Fingerprint{Kind: config.OfKey, Digest: sha256.Sum256(cert.RawSubjectPublicKeyInfo)}
}

// checkFingerprint returns nil if the first of the server's certificates, its own, is one
// that a accepts. trusted is the fingerprint that was remembered at the first use, "" for
// none.
func checkFingerprint(chain []*x509.Certificate, a *config.Account, trusted string) error {
	shown := []config.Fingerprint{certificateFingerprint(chain[0]), keyFingerprint(chain[0])}
	if a.TrustsFirstUse() {
		if trusted == "" || trusted == shown[1].String() {
			return nil
		}
		return &keyChangedError{chain: chain, account: a.Name, now: shown[1].String(), before: trusted}
	}
	if slices.ContainsFunc(shown, func(f config.Fingerprint) bool { return slices.Contains(a.TLSFingerprints, f) }) {
		return nil
	}
	return &fingerprintError{chain: chain, shown: shown, wanted: a.TLSFingerprints}
}

// fingerprintError is a certificate that tls_fingerprint does not name.
type fingerprintError struct {
	chain  []*x509.Certificate
	shown  []config.Fingerprint // of the certificate and of its key
	wanted []config.Fingerprint
}

// Error names the fingerprints of the kinds that tls_fingerprint has.
func (e *fingerprintError) Error() string {
	var shown, wanted []string
	for _, f := range e.shown {
		if slices.ContainsFunc(e.wanted, func(w config.Fingerprint) bool { return w.Kind == f.Kind }) {
			shown = append(shown, f.String())
		}
	}
	for _, f := range e.wanted {
		wanted = append(wanted, f.String())
	}
	return fmt.Sprintf("the server's certificate has the fingerprint %s, which is not in tls_fingerprint: %s", strings.Join(shown, " and "), strings.Join(wanted, ", "))
}

// keyChangedError is a server that shows another key than at the first use.
type keyChangedError struct {
	chain                []*x509.Certificate
	account, now, before string // now and before are fingerprints
}

func (e *keyChangedError) Error() string {
	return fmt.Sprintf("the server's public key is %s, but it was %s when popfetch first met the server; no credentials were sent", e.now, e.before)
}

func (e *keyChangedError) hint() string {
	return fmt.Sprintf("if you know that the server has a new key, popfetch state trust %s accepts the key that it shows at the next poll; otherwise somebody between you and the server may be posing as the server: ask its operator", e.account)
}
