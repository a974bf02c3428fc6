package pop3test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"popfetch/internal/certtest"
)

// serverTLS returns what to serve TLS with: config, or for nil one with a
// certificate of its own.
func serverTLS(config *tls.Config) (*tls.Config, error) {
	if config != nil {
		return config.Clone(), nil
	}
	cert, err := certtest.SelfSigned(certtest.Localhost())
	if err != nil {
		return nil, fmt.Errorf("pop3test: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}, nil
}

// chains returns the DER certificates that config serves.
func chains(config *tls.Config) [][]byte {
	var all [][]byte
	if config != nil {
		for _, c := range config.Certificates {
			all = append(all, c.Certificate...)
		}
	}
	return all
}

func caPool(config *tls.Config) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM(config))
	return pool
}

func certPEM(config *tls.Config) []byte {
	var text []byte
	for _, der := range chains(config) {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}
