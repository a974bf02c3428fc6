package pop3

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"popfetch/internal/certtest"
)

// Which names in a certificate match which server. RFC 6125
func TestNamesInCertificates(t *testing.T) {
	ca := newAuthority(t)
	for name, tt := range map[string]struct {
		server string
		cert   tls.Certificate
		good   bool
	}{
		"IDN as it stands in DNS":       {"xn--mnchen-3ya.example.org", issueFor(t, ca, "xn--mnchen-3ya.example.org"), true},
		"IDN of another name":           {"xn--mnchen-3ya.example.org", issueFor(t, ca, "munchen.example.org"), false},
		"upper case":                    {"POP.Example.ORG", issueFor(t, ca, "pop.example.org"), true},
		"wildcard for one label":        {"pop.example.org", issueFor(t, ca, "*.example.org"), true},
		"wildcard for two labels":       {"a.pop.example.org", issueFor(t, ca, "*.example.org"), false},
		"wildcard for the domain":       {"example.org", issueFor(t, ca, "*.example.org"), false},
		"wildcard for part of a label":  {"pop.example.org", issueFor(t, ca, "p*.example.org"), false},
		"wildcard alone":                {"pop.example.org", issueFor(t, ca, "*"), false},
		"wildcard for an address":       {"127.0.0.1", issueFor(t, ca, "*.0.0.1"), false},
		"address as a name":             {"127.0.0.1", issueFor(t, ca, "127.0.0.1"), false},
		"address":                       {"127.0.0.1", issue(t, ca, certtest.Request{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}), true},
		"another address":               {"127.0.0.1", issue(t, ca, certtest.Request{IPs: []net.IP{net.IPv4(127, 0, 0, 2)}}), false},
		"address and no name":           {"pop.example.org", issue(t, ca, certtest.Request{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}), false},
		"NUL within the name":           {"pop.example.org", issueFor(t, ca, "pop.example.org\x00.example.com"), false},
		"dot at the end":                {"pop.example.org", issueFor(t, ca, "pop.example.org."), false},
		"one of many names, the last":   {"pop.example.org", issueFor(t, ca, "a.example.com", "b.example.com", "pop.example.org"), true},
		"name with something behind it": {"pop.example.org", issueFor(t, ca, "pop.example.org.example.com"), false},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Options{TLS: &tls.Config{RootCAs: ca.Pool(), ServerName: tt.server}}
			server := &tls.Config{Certificates: []tls.Certificate{tt.cert}}
			_, err := secure(t, o, server, "", "S: +OK hi\n")
			var failed *TLSError
			if tt.good && err != nil || !tt.good && !errors.As(err, &failed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A server that has only key exchanges without forward secrecy is refused.
func TestNoForwardSecrecyIsRefused(t *testing.T) {
	ca := newAuthority(t)
	server := &tls.Config{
		Certificates: []tls.Certificate{issue(t, ca, certtest.Request{Names: []string{"pop.example.org"}, RSA: true})},
		MaxVersion:   tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_GCM_SHA384},
	}
	_, err := secure(t, &Options{TLS: &tls.Config{RootCAs: ca.Pool()}}, server, "", "S: +OK hi\n")
	var failed *TLSError
	if !errors.As(err, &failed) {
		t.Errorf("got %v", err)
	}
}

// A chain of certificates that is megabytes long ends the handshake with a short error.
func TestCertificateChainOfMegabytesIsRefused(t *testing.T) {
	ca := newAuthority(t)
	cert := issueFor(t, ca, "pop.example.org")
	for range 4096 {
		cert.Certificate = append(cert.Certificate, ca.Certificate.Raw)
	}
	_, err := secure(t, &Options{TLS: &tls.Config{RootCAs: ca.Pool()}}, &tls.Config{Certificates: []tls.Certificate{cert}}, "", "S: +OK hi\n")
	if err == nil || len(err.Error()) > 1200 {
		t.Errorf("got %.300v", err)
	}
}
