package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"popfetch/internal/config"
)

// expiresSoon is how long before the end of a certificate check warns of it.
const expiresSoon = 14 * 24 * time.Hour

// shownCertificate is what the server says about itself, verified or not, as a part of the
// JSON of check. popfetch(1) describes the fields.
type shownCertificate struct {
	Certificate string      `json:"certificate"`
	Chain       []chainLink `json:"chain"`
	Names       []string    `json:"names"`
	Expires     string      `json:"expires"`
	Soon        bool        `json:"expires_soon"`
	Fingerprint string      `json:"fingerprint"`
	Pin         string      `json:"pin"`
	Trust       string      `json:"trust"`

	dates     string // when the certificate begins, if that is to come, and expires
	serial    string // what is wrong with the serial number
	firstUse  bool   // the key is trusted on first use
	pinned    bool   // the configuration has fingerprints
	untrusted bool   // the certificate was refused
}

// chainLink is one certificate of those that the server sends.
type chainLink struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	Expires string `json:"expires"`
}

// trust notes what decides whether the server of a is the right one.
func (f *shownCertificate) trust(a *config.Account, trusted string) {
	switch {
	case a.TLS == config.TLSNone:
	case a.TrustsFirstUse() && trusted == "":
		f.Trust, f.firstUse = "first use: no key is remembered yet, and the next poll remembers the one that the server shows", true
	case a.TrustsFirstUse():
		f.Trust, f.firstUse = "first use: the key "+trusted+" is remembered", true
	case len(a.TLSFingerprints) > 0:
		f.Trust, f.pinned = "tls_fingerprint", true
	case a.TLSCAFile != "":
		f.Trust = "the authorities in " + a.TLSCAFile
	default:
		f.Trust = "the authorities that this machine knows"
	}
}

// refused notes the certificate that an error is about.
func (f *shownCertificate) refused(err error) {
	f.untrusted = true
	var chain []*x509.Certificate
	var unverified *tls.CertificateVerificationError
	var other *fingerprintError
	var changed *keyChangedError
	switch {
	case errors.As(err, &unverified):
		chain = unverified.UnverifiedCertificates
	case errors.As(err, &other):
		chain = other.chain
	case errors.As(err, &changed):
		chain = changed.chain
	}
	f.show(chain, time.Now())
}

// show notes the certificates that the server has sent, its own first.
func (f *shownCertificate) show(chain []*x509.Certificate, now time.Time) {
	if len(chain) == 0 {
		return
	}
	f.Chain = nil
	for _, c := range chain {
		f.Chain = append(f.Chain, chainLink{c.Subject.String(), c.Issuer.String(), c.NotAfter.UTC().Format(time.RFC3339)})
	}
	cert := chain[0]
	f.Certificate = fmt.Sprintf("%s, issued by %s", cert.Subject, cert.Issuer)
	f.Names = namesOf(cert)
	f.Expires = f.Chain[0].Expires
	f.Soon = cert.NotAfter.Sub(now) < expiresSoon
	f.dates = f.Expires + " " + whenExpires(cert, now)
	f.Fingerprint = certificateFingerprint(cert).String()
	f.Pin = keyFingerprint(cert).String()
	if cert.SerialNumber.Sign() < 0 {
		f.serial = "negative, which RFC 5280 forbids: popfetch accepts it, many other programs do not"
	}
}

// namesOf returns the host names and addresses that a certificate is valid for.
func namesOf(cert *x509.Certificate) []string {
	names := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// whenExpires tells how much time a certificate has left, for people.
func whenExpires(cert *x509.Certificate, now time.Time) string {
	left := cert.NotAfter.Sub(now)
	switch {
	case now.Before(cert.NotBefore):
		return fmt.Sprintf("(not valid before %s)", cert.NotBefore.UTC().Format(time.RFC3339))
	case left < 0:
		return fmt.Sprintf("(expired %s ago)", days(-left))
	case left < expiresSoon:
		return fmt.Sprintf("(warning: %s left)", days(left))
	}
	return fmt.Sprintf("(%s left)", days(left))
}

// days is a time in whole days, in words.
func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

// write shows the certificate to a person.
func (f *shownCertificate) write(l *sheet) {
	if f.Certificate == "" {
		return
	}
	l.line("certificate", quoteUnlessPlain(f.Certificate))
	for _, c := range f.Chain[1:] {
		l.line("sent with it", quoteUnlessPlain(c.Subject+", issued by "+c.Issuer))
	}
	l.line("valid for", quoteUnlessPlain(strings.Join(f.Names, ", ")))
	l.line("expires", f.dates)
	l.line("serial number", f.serial)
	l.line("fingerprint", f.Fingerprint)
	l.line("checked by", quoteUnlessPlain(f.Trust))
	switch {
	case f.firstUse:
	case f.untrusted:
		l.code("if this is the right server, a line in the configuration pins its key:", f.pinLine())
	case !f.pinned:
		l.code("to trust this key alone, in place of the authorities:", f.pinLine())
	}
}

// pinLine is the line of the configuration that pins the key.
func (f *shownCertificate) pinLine() string { return fmt.Sprintf("tls_fingerprint = %q", f.Pin) }
