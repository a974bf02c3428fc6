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

// portHint says which port goes with which setting.
const portHint = `port 995 goes with tls = "implicit", port 110 with tls = "starttls"`

// hint says what the user can do about an error, "" if the error says it all.
func hint(err error) string {
	var place *deliver.Error
	var lost *lostError
	switch {
	case errors.As(err, &place):
		return place.Hint
	case errors.As(err, &lost):
		return lost.hint()
	case errors.As(err, new(*fetch.RenumberedError)):
		return "popfetch state rebuild compares with the Maildir; popfetch state forget ACCOUNT fetches everything again"
	case errors.Is(err, state.ErrLost):
		return "popfetch state restore brings the snapshot back; to start over and have everything on the servers delivered again, move the snapshot away too"
	case errors.Is(err, state.ErrLocked):
		return "only one popfetch at a time can use a state file; a daemon may be running, or the previous run has not ended"
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
		return fmt.Sprintf("the certificate is not valid for %q; set server to a name that it is valid for, or tls_server_name if you know that the server uses another name", name.Host)
	case errors.As(err, &authority):
		return "if this is your own certificate authority, name it with tls_ca_file; popfetch check shows the fingerprint that tls_fingerprint can pin"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired, or the clock of this machine is wrong"
	case errors.As(err, &record):
		return "the server does not speak TLS on this port: " + portHint
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
		return "the server demands more time between two logins; set a longer interval"
	case pop3.SysTemp:
		return "the server has a temporary failure; the password may be right"
	case pop3.SysPerm:
		return "the server has a failure that its operator must fix; the password may be right"
	}
	return "check user and password; many providers require an app password, or POP3 to be enabled in the settings of the mailbox"
}

func networkHint(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host name in server does not exist; is it spelled correctly?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there; " + portHint
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "the server did not answer within timeout; if it sends no greeting, the port may expect TLS at once, as 995 does: tls = \"implicit\""
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
