package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"popfetch/fetch/pop3"
	"popfetch/internal/config"
)

// tlsFault is why a connection could not be secured, and what the user can do about it.
// popfetch(1) lists the problems.
type tlsFault struct{ problem, hint string }

// tlsFaultOf recognises the usual mistakes, the zero value for another error. In the
// output of check the hint does not point to check.
func tlsFaultOf(err error, checking bool) tlsFault {
	var (
		other   *fingerprintError
		changed *keyChangedError
		first   *tlsFirstError
		refused *pop3.STLSError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		connect *connectError
	)
	switch {
	case errors.As(err, &changed):
		return tlsFault{"another key than at the first use", changed.hint()}
	case errors.As(err, &other):
		return tlsFault{"other fingerprint", "if the server has a new certificate, its operator can confirm the new fingerprint: put that into tls_fingerprint, where both may stand during a change; otherwise somebody between you and the server may be posing as it"}
	case errors.As(err, &first):
		return tlsFault{"TLS on a clear-text port", `the server expects TLS at once on this port: tls = "implicit"`}
	case errors.As(err, &refused):
		return stlsFault(refused)
	case errors.As(err, &name):
		return tlsFault{"wrong name", fmt.Sprintf("the certificate is not valid for %q; set server to a name that it is valid for, or tls_server_name if you know that the server uses another name", name.Host)}
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return authorityFault(err, checking)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return dateFault(invalid.Cert, time.Now())
	case errors.As(err, &record) && errors.As(err, &connect) && connect.tls == config.TLSStart:
		return tlsFault{"STLS fails", `TLS does not work at the server, perhaps for want of a certificate; its operator must fix that`}
	case errors.As(err, &record):
		return clearTextFault(string(record.RecordHeader[:]))
	}
	return handshakeFault(err)
}

func stlsFault(e *pop3.STLSError) tlsFault {
	if e.Announced {
		return tlsFault{"STLS refused", `the server knows STLS and cannot do it now, perhaps for want of a certificate; its operator must fix that`}
	}
	return tlsFault{"STLS not announced", `many servers have TLS on port 995 only: try tls = "implicit"; otherwise its operator must switch TLS on`}
}

// dateFault is about a certificate that is not valid now.
func dateFault(cert *x509.Certificate, now time.Time) tlsFault {
	if now.Before(cert.NotBefore) {
		return tlsFault{"not yet valid", fmt.Sprintf("the certificate is not valid before %s; is the clock of this machine right? It shows %s", shortTime(cert.NotBefore), shortTime(now))}
	}
	return tlsFault{"expired", fmt.Sprintf("the certificate expired on %s and the server's operator must renew it, unless the clock of this machine is wrong: it shows %s", shortTime(cert.NotAfter), shortTime(now))}
}

// shortTime formats a time for a hint.
func shortTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// authorityFault tells why no trusted authority vouches for a certificate: it
// vouches for itself, an intermediate certificate is missing, or the authority
// is unknown.
func authorityFault(err error, checking bool) tlsFault {
	pin := "popfetch check shows the tls_fingerprint line that trusts its key alone"
	if checking {
		pin = "the tls_fingerprint line above trusts its key alone"
	}
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return tlsFault{"unknown authority", "if this is your own certificate authority, name it with tls_ca_file; " + pin}
	}
	chain := refused.UnverifiedCertificates
	top := chain[len(chain)-1]
	switch {
	case len(chain) == 1 && selfSigned(top):
		return tlsFault{"self-signed", "the certificate is self-signed: no authority vouches for it; if you know that it is the right one, " + pin}
	case !selfSigned(top) && len(top.IssuingCertificateURL) > 0:
		return tlsFault{"missing intermediate", fmt.Sprintf("the server does not send the intermediate certificate %q, and its operator must add that; until then put it into a file and name that with tls_ca_file; %s", short(top.Issuer), pin)}
	case selfSigned(top):
		return tlsFault{"unknown authority", fmt.Sprintf("this machine does not trust the certificate authority %q; if it is your own, name it with tls_ca_file; %s", short(top.Subject), pin)}
	}
	return tlsFault{"unknown authority", fmt.Sprintf("this machine does not know the certificate authority %q; if it is your own, name it with tls_ca_file; if it is an intermediate one, the server must send its certificate; %s", short(top.Issuer), pin)}
}

// short returns as much of a name as is worth showing in a sentence.
func short(name pkix.Name) string {
	const most = 200
	text := name.String()
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func selfSigned(cert *x509.Certificate) bool {
	return string(cert.RawIssuer) == string(cert.RawSubject)
}

// clearTextFault is about a server that does not begin with TLS but with these octets.
func clearTextFault(begin string) tlsFault {
	const problem = "clear text on a TLS port"
	if strings.HasPrefix(begin, "+OK") {
		return tlsFault{problem, `this is a POP3 server that does not begin with TLS on this port; try tls = "starttls", or port 995`}
	}
	if hint := protocolHint(begin); hint != "" {
		return tlsFault{"another protocol", hint}
	}
	return tlsFault{problem, "the server does not speak TLS on this port: " + portHint}
}

// handshakeFault recognises what crypto/tls reports without a type of its own. A test
// holds the texts against crypto/tls.
func handshakeFault(err error) tlsFault {
	if !errors.As(err, new(*pop3.TLSError)) {
		return tlsFault{}
	}
	alert := ""
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		alert = op.Err.Error()
	}
	switch text := err.Error(); {
	case alert == "tls: protocol version not supported", strings.Contains(text, "server selected unsupported protocol version"):
		return tlsFault{"TLS too old", `the server has no version of TLS that is safe enough: its operator must switch on TLS 1.2 or 1.3; tls_min_version = "1.3" also refuses a server with 1.2`}
	case alert == "tls: handshake failure":
		return tlsFault{"no common cipher", "the server takes none of the ciphers that popfetch offers, perhaps because its TLS is too old, or it demands a client certificate (tls_client_cert)"}
	case alert == "tls: certificate required":
		return tlsFault{"client certificate demanded", "the server wants a certificate of the client: set tls_client_cert and tls_client_key to one that it takes; its operator knows which"}
	case strings.Contains(alert, "certificate"):
		return tlsFault{"client certificate refused", "the server does not take the certificate in tls_client_cert, which may have expired or be of another authority; without tls_client_cert, it wants one"}
	case strings.Contains(text, "x509: negative serial number"):
		return tlsFault{"negative serial number", "the serial number of the certificate is negative, which RFC 5280 forbids; the operator of the server must replace the certificate"}
	}
	return tlsFault{}
}

// tlsFirstError is a server that says nothing in clear text, and speaks TLS if the client
// begins with it.
type tlsFirstError struct{ err error }

func (e *tlsFirstError) Error() string { return e.err.Error() }

// Unwrap returns the error in clear text.
func (e *tlsFirstError) Unwrap() error { return e.err }

// probeTime bounds the attempt of explain.
const probeTime = 10 * time.Second

// explain finds out whether a server that did not greet in clear text waits for TLS. It
// sends nothing over that connection.
func (d *connector) explain(ctx context.Context, err error) error {
	a := d.account
	silent := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF)
	if a.TLS == config.TLSImplicit || len(a.Tunnel) > 0 || !silent || !errors.As(err, new(*connectError)) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	addr, host, _ := addressOf(&a.Login)
	dial, broken := dialer(&a.Login, d.log, nil)
	if broken != nil {
		return err
	}
	conn, refused := dial(ctx, "tcp", addr)
	if refused != nil {
		return err
	}
	defer conn.Close()
	// Whether the certificate is right does not matter: nothing is sent.
	if tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}).HandshakeContext(ctx) != nil {
		return err
	}
	return &tlsFirstError{err}
}
