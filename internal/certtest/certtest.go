// Package certtest makes the certificates that tests and benchmarks serve and trust:
// self-signed ones, authorities with intermediates, and what the two issue.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Request says what a certificate holds. The zero Request gives a server certificate for
// no host, valid from two hours ago until tomorrow, with an ECDSA key.
type Request struct {
	Subject pkix.Name // CommonName "" = the first of Names
	Names   []string  // DNS names
	IPs     []net.IP

	Start, End time.Time // zero = two hours ago, in 24 hours

	IssuerURL string // where the certificate of the issuer is published, "" = nowhere; RFC 5280 section 4.2.2.1

	Client   bool // for a TLS client instead of a server
	RSA      bool // an RSA key of 2048 bits instead of ECDSA P-256
	Negative bool // a negative serial number, as some devices have; crypto/x509 refuses to parse it
}

// Localhost is a Request for a server on a loopback address.
func Localhost() Request {
	return Request{Names: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
}

// SelfSigned makes a certificate that is its own issuer.
func SelfSigned(r Request) (tls.Certificate, error) {
	return issue(r.template(), r, nil)
}

// Authority signs certificates. It is an intermediate one if an Authority has made it.
type Authority struct {
	Certificate *x509.Certificate

	key   crypto.Signer
	chain [][]byte // DER, from this authority's certificate up to the root's, without the root's
}

// NewAuthority makes a root.
func NewAuthority(name string) (*Authority, error) { return newAuthority(name, nil) }

// Intermediate makes an authority whose certificate a has signed. What it issues carries
// that certificate along.
func (a *Authority) Intermediate(name string) (*Authority, error) { return newAuthority(name, a) }

func newAuthority(name string, parent *Authority) (*Authority, error) {
	r := Request{Subject: pkix.Name{CommonName: name}}
	template := r.template()
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageCertSign, nil
	made, err := issue(template, r, parent)
	if err != nil {
		return nil, err
	}
	a := &Authority{key: made.PrivateKey.(crypto.Signer)}
	if parent != nil {
		a.chain = made.Certificate
	}
	a.Certificate, err = x509.ParseCertificate(made.Certificate[0])
	return a, err
}

// Issue makes a certificate, followed by those of the intermediate authorities.
func (a *Authority) Issue(r Request) (tls.Certificate, error) { return issue(r.template(), r, a) }

// Pool trusts the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// PEM is the certificate of the authority.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
}

func (r Request) template() *x509.Certificate {
	if r.Subject.CommonName == "" && len(r.Names) > 0 {
		r.Subject.CommonName = r.Names[0]
	}
	now := time.Now()
	if r.Start.IsZero() {
		r.Start = now.Add(-2 * time.Hour)
	}
	if r.End.IsZero() {
		r.End = now.Add(24 * time.Hour)
	}
	t := &x509.Certificate{
		Subject: r.Subject, DNSNames: r.Names, IPAddresses: r.IPs, NotBefore: r.Start, NotAfter: r.End,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if r.IssuerURL != "" {
		t.IssuingCertificateURL = []string{r.IssuerURL}
	}
	if r.RSA {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment // for TLS 1.2 without ephemeral keys
	}
	if r.Client {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return t
}

// issue signs the template with the key of the authority, or for nil with its own.
func issue(template *x509.Certificate, r Request, by *Authority) (tls.Certificate, error) {
	var key crypto.Signer
	var err error
	if r.RSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	// Eight octets, the first one 0x40: positive, and negative with its top bit set.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 56))
	if err != nil {
		return tls.Certificate{}, err
	}
	template.SerialNumber = serial.SetBit(serial, 62, 1)
	parent, signer := template, key
	var chain [][]byte
	if by != nil {
		parent, signer, chain = by.Certificate, by.key, by.chain
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err == nil && r.Negative {
		der, err = negate(der, template.SerialNumber, signer)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: append([][]byte{der}, chain...), PrivateKey: key}, nil
}

// PEM returns the chain of a certificate and its private key (PKCS #8).
func PEM(c tls.Certificate) (chain, key []byte, err error) {
	private, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), nil
}

// Names of the files that WriteFiles makes.
const (
	CertFile = "cert.pem"
	KeyFile  = "key.pem"
)

// WriteFiles writes CertFile with the chain, for everybody to read, and KeyFile with the
// private key into a directory.
func WriteFiles(dir string, c tls.Certificate) error {
	chain, key, err := PEM(c)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, CertFile), chain, 0o644),
		os.WriteFile(filepath.Join(dir, KeyFile), key, 0o600),
	)
}
