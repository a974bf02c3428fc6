package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/internal/durable"
	"popfetch/state"
)

// hint says what the user can do about an error, "" where the error says all.
func hint(err error) string {
	var place *deliver.Error
	var lost *lostError
	switch {
	case errors.As(err, &place):
		return place.Hint
	case errors.As(err, &lost):
		return lost.hint()
	case errors.As(err, new(*fetch.RenumberedError)):
		return "popfetch state rebuild compares with the Maildir; popfetch state forget ACCOUNT has everything fetched again"
	case errors.Is(err, state.ErrLost):
		return "popfetch state restore brings the snapshot back; to begin anew, and have everything that is kept on the servers delivered again, move the snapshot away too"
	case errors.Is(err, state.ErrLocked):
		return "only one popfetch at a time uses a state file; a daemon may be running, or the last run is not over"
	}
	for _, h := range []func(error) string{tlsHint, loginHint, networkHint, fileHint} {
		if text := h(err); text != "" {
			return text
		}
	}
	return ""
}

func tlsHint(err error) string {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate had to be valid for %q; set server to a name that it is valid for, or tls_server_name if the server is known to answer with another one", name.Host)
	case errors.As(err, &authority):
		return "if this is your own certificate authority, name it with tls_ca_file; popfetch check shows the fingerprint that tls_fingerprint can pin"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired, or the clock of this machine is wrong"
	case errors.As(err, &record):
		return "the server does not speak TLS on this port: port 995 goes with tls = \"implicit\", port 110 with tls = \"starttls\""
	}
	return ""
}

func loginHint(err error) string {
	var auth *pop3.AuthError
	var refused *pop3.ResponseError
	if !errors.As(err, &auth) {
		return ""
	}
	if !errors.As(err, &refused) {
		return "popfetch check shows what the server offers"
	}
	switch refused.Code {
	case pop3.InUse:
		return "another program has this maildrop open; the next poll tries again"
	case pop3.LoginDelay:
		return "the server wants more time between two logins; choose a longer interval"
	case pop3.SysTemp:
		return "the server has a passing problem; the password may well be right"
	case pop3.SysPerm:
		return "the server has a problem that its operator has to mend; the password may well be right"
	}
	return "check user and password; many providers want an app password, or POP3 to be switched on"
}

func networkHint(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host name of server is not known; is it spelled correctly?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there; port 995 goes with tls = \"implicit\", port 110 with tls = \"starttls\""
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "the server was silent for the time that timeout allows; where that happens before its greeting, the port may begin with TLS, as 995 does: tls = \"implicit\""
	}
	return ""
}

// fileHint explains errors of files and directories, such as a full disk. That one is
// missing its error says clearly enough.
func fileHint(err error) string {
	if errors.Is(err, fs.ErrNotExist) || !errors.As(err, new(*fs.PathError)) && !errors.As(err, new(*os.LinkError)) {
		return ""
	}
	return durable.Explain(err).Hint
}
