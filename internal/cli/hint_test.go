package cli

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/deliver/relay"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/internal/imap"
	"popfetch/internal/login"
)

func TestHintExplainsErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string // part of the hint, "" = no hint
	}{
		{fmt.Errorf("state: %w", &fs.PathError{Op: "write", Path: "state.db", Err: syscall.ENOSPC}), "disk full"},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EROFS}, "read-only"},
		{&fs.PathError{Op: "open", Path: "config.toml", Err: syscall.ENOENT}, ""},
		{fmt.Errorf("work: %w", &pop3.ProtocolError{Command: "UIDL", TooLong: true}), "1,000,000 messages"},
		{&pop3.ProtocolError{Command: "CAPA", TooLong: true}, ""}, // which lists no messages
		// EACCES of a connection is not about the owner of a directory.
		{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EACCES)}, ""},
	} {
		got := hint(test.err, false)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%v: hint %q, want %q", test.err, got, test.want)
		}
	}
}

// certificate returns a certificate of subject that names issuer.
func certificate(subject, issuer string) *x509.Certificate {
	return &x509.Certificate{
		RawSubject: []byte(subject), Subject: pkix.Name{CommonName: subject},
		RawIssuer: []byte(issuer), Issuer: pkix.Name{CommonName: issuer},
	}
}

func TestHintTellsReasonsOfAnUntrustedCertificateApart(t *testing.T) {
	untrusted := func(chain ...*x509.Certificate) error {
		return &pop3.TLSError{Host: "pop.example.org", Err: &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: x509.UnknownAuthorityError{}}}
	}
	expired := func(start, end time.Duration) error {
		now := time.Now()
		return &pop3.TLSError{Err: x509.CertificateInvalidError{Cert: &x509.Certificate{NotBefore: now.Add(start), NotAfter: now.Add(end)}, Reason: x509.Expired}}
	}
	public := certificate("pop.example.org", "Public Intermediate")
	public.IssuingCertificateURL = []string{"http://ca.example.org/intermediate.der"}
	for _, x := range []struct {
		err  error
		want string
	}{
		{untrusted(certificate("me", "me")), "self-signed"},
		{untrusted(public), `the server does not send the intermediate certificate "CN=Public Intermediate"`},
		{untrusted(certificate("me", "Own"), certificate("Own", "Own")), `does not trust the certificate authority "CN=Own"`},
		{untrusted(certificate("me", "Own")), `does not know the certificate authority "CN=Own"`},
		{expired(time.Hour, 2*time.Hour), "not valid before"},
		{expired(-2*time.Hour, -time.Hour), "expired on"},
	} {
		for _, checking := range []bool{false, true} {
			got := hint(x.err, checking)
			if !strings.Contains(got, x.want) || checking && strings.Contains(got, "popfetch check") {
				t.Errorf("%v, checking %v: hint %q, want %q", x.err, checking, got, x.want)
			}
		}
	}
}

func TestHintRecognisesServersOfOtherProtocols(t *testing.T) {
	for line, want := range map[string]string{
		"* OK [CAPABILITY IMAP4rev1] ready": "IMAP server",
		"* PREAUTH welcome":                 "IMAP server",
		"220 mail.example.org ESMTP":        "SMTP server",
		"220-mail.example.org ESMTP":        "SMTP server",
		"554 go away":                       "SMTP server",
		"200 news.example.org":              "news server",
		"HTTP/1.1 400 Bad Request":          "web server",
		"SSH-2.0-OpenSSH":                   "SSH server",
		"hello":                             "",
		"":                                  "",
		"220":                               "",
		"2200 is no code":                   "",
		"+OK POP3, of too many octets":      "",
		"* is not how an IMAP server greets us OK": "",
	} {
		greeting := &pop3.ProtocolError{Command: "greeting", Line: line, Reason: "neither +OK nor -ERR"}
		if got := hint(greeting, false); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: hint %q, want %q", line, got, want)
		}
		if got := hint(&pop3.ProtocolError{Command: "STAT", Line: line}, false); got != "" {
			t.Errorf("%q to STAT: hint %q", line, got)
		}
	}
	for begin, want := range map[string]string{"* OK ": "IMAP", "220 m": "SMTP", "+OK P": "starttls", "xxxxx": "does not speak TLS"} {
		err := &pop3.TLSError{Err: tls.RecordHeaderError{RecordHeader: [5]byte([]byte(begin))}}
		if got := hint(err, false); !strings.Contains(got, want) {
			t.Errorf("%q before TLS: hint %q, want %q", begin, got, want)
		}
	}
}

func TestHintNamesLoginMethods(t *testing.T) {
	for _, x := range []struct {
		offered []string
		want    string
	}{
		{[]string{"SASL XOAUTH2", "SASL GS2-KRB5"}, "the server takes an access token and no password: set token_command; popfetch does not know GS2-KRB5 (needs Kerberos)"},
		{[]string{"USER", "SASL CRAM-MD5", "SASL NTLM"}, "auth may name user, cram-md5, which the server offers; popfetch does not know NTLM"},
		{nil, "popfetch knows plain"},
	} {
		err := &pop3.AuthError{User: "me", Err: &pop3.MethodError{Allowed: []string{"plain"}, Offered: x.offered}}
		if got := hint(err, true); !strings.HasPrefix(got, x.want) || strings.Contains(got, "popfetch check") {
			t.Errorf("%q: hint %q, want %q", x.offered, got, x.want)
		}
	}
}

func TestHintAboutTheLoginAtADestination(t *testing.T) {
	for _, x := range []struct {
		method string
		err    error
		want   string // part of the hint, "" = no hint
	}{
		{"plain", &imap.Refusal{Command: "AUTHENTICATE PLAIN", Text: "no"}, "IMAP to be switched on"},
		{"plain", &relay.Refusal{Step: "AUTH PLAIN", Code: 535, Text: "no"}, "check user and password"},
		{"scram-sha-256", &imap.Refusal{Text: "no"}, `auth = "plain"`},
		{"scram-sha-256", &relay.Refusal{Code: 535}, `auth = "plain"`},
		{"xoauth2", &imap.Refusal{Text: "no"}, "the token may have expired"},
		{"plain", &imap.Refusal{Code: "UNAVAILABLE"}, "the password may be right"},
		{"plain", &relay.Refusal{Code: 454}, "the password may be right"},
		{"", errors.New("the server offers none of external"), ""},
		{"scram-sha-256", login.ErrSkipped, ""},
	} {
		got := hint(&login.Error{Method: x.method, User: "me", Err: x.err}, false)
		if x.want == "" && got != "" || !strings.Contains(got, x.want) {
			t.Errorf("%s, %v: hint %q, want %q", x.method, x.err, got, x.want)
		}
	}
}

// With tls = "implicit" there is no hint to set tls = "implicit".
func TestHintAboutSilenceKnowsHowTheConnectionBegan(t *testing.T) {
	silence := fmt.Errorf("greeting: no whole reply within 1s: %w", os.ErrDeadlineExceeded)
	for mode, want := range map[config.TLSMode]bool{config.TLSImplicit: false, config.TLSStart: true, config.TLSNone: true} {
		if got := hint(&connectError{tls: mode, err: silence}, false); strings.Contains(got, `tls = "implicit"`) != want || got == "" {
			t.Errorf("%v: hint %q", mode, got)
		}
	}
	if got := hint(silence, false); got != "the server did not answer within timeout" {
		t.Errorf("after the login: hint %q", got)
	}
}

func TestHintAboutPortsOnlyWhereThePortIsUnusual(t *testing.T) {
	for _, x := range []struct {
		mode config.TLSMode
		port int
		want bool
	}{
		{config.TLSImplicit, 995, false}, {config.TLSStart, 110, false}, {config.TLSNone, 110, false},
		{config.TLSImplicit, 110, true}, {config.TLSStart, 995, true}, {config.TLSImplicit, 1995, true},
	} {
		err := &connectError{tls: x.mode, port: x.port, err: fmt.Errorf("connect: %w", syscall.ECONNREFUSED)}
		if got := hint(err, false); !strings.HasPrefix(got, "nothing listens there; ") || strings.Contains(got, "port 995") != x.want {
			t.Errorf("%s at port %d: hint %q", x.mode, x.port, got)
		}
	}
}
