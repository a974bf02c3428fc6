package certtest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// verify parses the leaf of a chain and verifies it with the rest of the chain.
func verify(t *testing.T, c tls.Certificate, roots *x509.CertPool, name string, usage x509.ExtKeyUsage) error {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	between := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		between.AddCert(cert)
	}
	_, err = leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestWhatIsVerified(t *testing.T) {
	root, err := NewAuthority("root")
	if err != nil {
		t.Fatal(err)
	}
	between, err := root.Intermediate("intermediate")
	if err != nil {
		t.Fatal(err)
	}
	const host = "pop.example.org"
	names := []string{host}
	for what, tt := range map[string]struct {
		by    *Authority
		r     Request
		strip bool // the intermediates
		usage x509.ExtKeyUsage
		want  string // in the error, "" = verified
	}{
		"by the root":             {root, Request{Names: names}, false, x509.ExtKeyUsageServerAuth, ""},
		"RSA":                     {root, Request{Names: names, RSA: true}, false, x509.ExtKeyUsageServerAuth, ""},
		"by an intermediate":      {between, Request{Names: names}, false, x509.ExtKeyUsageServerAuth, ""},
		"intermediate not served": {between, Request{Names: names}, true, x509.ExtKeyUsageServerAuth, "unknown authority"},
		"another name":            {root, Request{Names: []string{"mail.example.org"}}, false, x509.ExtKeyUsageServerAuth, "not " + host},
		"expired":                 {root, Request{Names: names, End: time.Now().Add(-time.Minute)}, false, x509.ExtKeyUsageServerAuth, "has expired"},
		"not yet valid":           {root, Request{Names: names, Start: time.Now().Add(time.Hour)}, false, x509.ExtKeyUsageServerAuth, "not yet valid"},
		"client":                  {root, Request{Names: names, Client: true}, false, x509.ExtKeyUsageClientAuth, ""},
		"client as a server":      {root, Request{Names: names, Client: true}, false, x509.ExtKeyUsageServerAuth, "incompatible key usage"},
	} {
		c, err := tt.by.Issue(tt.r)
		if err != nil {
			t.Fatal(err)
		}
		if tt.strip {
			c.Certificate = c.Certificate[:1]
		}
		err = verify(t, c, root.Pool(), host, tt.usage)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", what, err, tt.want)
		}
	}
}

func TestNegativeSerialNumberIsRefusedByTheParserAlone(t *testing.T) {
	for _, r := range []Request{{Negative: true}, {Negative: true, RSA: true}} {
		c, err := SelfSigned(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x509.ParseCertificate(c.Certificate[0]); err == nil || !strings.Contains(err.Error(), "negative serial number") {
			t.Fatalf("got %v", err)
		}
		t.Setenv("GODEBUG", "x509negativeserial=1")
		cert, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if cert.SerialNumber.Sign() >= 0 {
			t.Errorf("serial number %v", cert.SerialNumber)
		}
		if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
			t.Error(err)
		}
		t.Setenv("GODEBUG", "")
	}
}

func TestWrittenFilesLoad(t *testing.T) {
	made, err := SelfSigned(Localhost())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := WriteFiles(dir, made); err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Error("no certificate in the file")
	}
	if err := verify(t, made, pool, "localhost", x509.ExtKeyUsageServerAuth); err != nil {
		t.Error(err)
	}
	block, _ := pem.Decode(text)
	if block == nil || string(block.Bytes) != string(made.Certificate[0]) {
		t.Error("the file holds another certificate")
	}
}
