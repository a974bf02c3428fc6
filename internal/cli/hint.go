package cli

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/internal/durable"
	"popfetch/internal/login"
	"popfetch/internal/network"
	"popfetch/internal/secret"
	"popfetch/state"
)

// portHint says which port goes with which setting.
const portHint = `port 995 goes with tls = "implicit", port 110 with tls = "starttls"`

// hint says what the user can do about an error, "" if the error says it all.
// In the output of check it does not point to check.
func hint(err error, checking bool) string {
	var told *fetch.RelayedError
	var owned *ownedError
	var place *deliver.Error
	var lost *lostError
	var way *network.Error
	var reply *pop3.ProtocolError
	switch {
	case errors.As(err, &told):
		return told.Hint
	case errors.As(err, &owned) && owned.hint != "":
		return owned.hint
	case errors.As(err, &place) && (place.Hint != "" || !errors.As(err, new(*connectError)) && !errors.As(err, new(*login.Error))):
		return place.Hint
	case errors.As(err, &way) && way.Hint != "":
		return way.Hint
	case errors.As(err, &lost):
		return lost.hint()
	case errors.Is(err, state.ErrLost):
		return "popfetch state restore brings the snapshot back; to start over and have everything on the servers delivered again, move the snapshot away too"
	case errors.As(err, &reply) && reply.TooLong && reply.Command != "CAPA":
		return "popfetch fetches from maildrops of up to 1,000,000 messages, fewer if their unique-ids are long; move or delete some on the server, for example with its web mail"
	case errors.Is(err, state.ErrLocked):
		return "that process does nothing for others: if it is a command, try again when it has ended; if it is a daemon, its log says why, and a restart may help"
	}
	if errors.As(err, new(*fetch.UndeletedError)) {
		return "the maildrop may be read-only, or the provider may keep mail whatever a client asks: look into the settings of the mailbox; keep = true leaves all mail there and ends this message"
	}
	if text := tunnelHint(err); text != "" {
		return text
	}
	if text := untrustedHint(err); text != "" {
		return text
	}
	if text := tlsFaultOf(err, checking).hint; text != "" {
		return text
	}
	for _, h := range []func(error) string{discoveryHint, greetingHint, serverLoginHint, loginHint, networkHint, fileHint} {
		if text := h(err); text != "" {
			return text
		}
	}
	return ""
}

// greetingHint recognises servers of other protocols by their greeting.
func greetingHint(err error) string {
	var protocol *pop3.ProtocolError
	if !errors.As(err, &protocol) || protocol.Command != "greeting" {
		return ""
	}
	return protocolHint(protocol.Line)
}

// protocolHint recognises the protocol of a server by the beginning of the first
// line that it sends, five octets at least; "" if it is not known.
func protocolHint(line string) string {
	const pop3Ports = `; POP3 has port 995 with tls = "implicit", or 110 with tls = "starttls"`
	for begin, name := range map[string]string{
		"* OK": "an IMAP server", "* PRE": "an IMAP server", "* BYE": "an IMAP server", // RFC 9051 section 7.1
		"220 ": "an SMTP server", "220-": "an SMTP server", "421 ": "an SMTP server", "554 ": "an SMTP server", // RFC 5321 section 3.1
		"200 ": "a news server", "201 ": "a news server", // RFC 3977 section 5.1
		"HTTP/": "a web server", "SSH-": "an SSH server",
	} {
		if strings.HasPrefix(line, begin) {
			return "this port belongs to " + name + pop3Ports
		}
	}
	return ""
}

// scramAdvice is what to do if SCRAM was refused although user and password are right.
const scramAdvice = `; if they are right, the server may have stored the password in a form that SCRAM cannot use: over TLS, auth = "plain" does without it`

func loginHint(err error) string {
	var auth *pop3.AuthError
	var method *pop3.MethodError
	var refused *pop3.ResponseError
	switch {
	case !errors.As(err, &auth):
		return ""
	case errors.As(err, &method):
		return methodHint(method)
	case errors.Is(err, pop3.ErrWeaker):
		return `set tls = "implicit" or "starttls"; if the server has really changed, auth can name a method that it still offers`
	case errors.Is(err, pop3.ErrClearToken):
		return `set tls = "implicit" or "starttls"; for a tunnel on this machine, auth = "xoauth2" or "oauthbearer" sends the token all the same`
	case errors.As(err, new(*pop3.TokenError)):
		return "the token may have expired, or be for another user or scope: POP3 takes the scope https://mail.google.com/ at Gmail and https://outlook.office.com/POP.AccessAsUser.All at Outlook; POP3 may also be switched off in the settings of the mailbox"
	case !errors.As(err, &refused):
		return ""
	case auth.Method == config.NoLogin:
		return `the server wants a login: leave auth = "none" out and name user and password, or have the tunnel start the server for the user, as doveadm exec pop3 does`
	}
	var login *loginError
	advice := ""
	if errors.As(err, &login) {
		advice = adviceOf(login.host)
	}
	advice = cmp.Or(adviceFor(refused.Text), advice)
	switch {
	case fetch.Classify(err) == fetch.Temporary && refused.Code == "":
		return "the server is busy, or another program has this maildrop open; the next poll tries again"
	case advice != "" && (refused.Code == pop3.SysPerm || refused.Code == pop3.AuthCode || refused.Code == ""):
		return advice
	}
	switch refused.Code {
	case pop3.InUse:
		return "another program has this maildrop open; the next poll tries again"
	case pop3.LoginDelay:
		return "the server demands more time between two logins; set a longer interval"
	case pop3.SysTemp:
		return "the server has a temporary failure; the password may be right"
	case pop3.SysPerm:
		return "the server refuses for good: if POP3 is switched off, switch it on in the settings of the mailbox; otherwise ask the server's operator; the password may be right"
	}
	if strings.HasPrefix(auth.Method, "scram-") {
		return "check user and password" + scramAdvice
	}
	return "check user and password; many providers require an app password, or POP3 to be switched on in the settings of the mailbox"
}

// methodHint says which of the methods that the server offers auth could name,
// and what the others would need.
func methodHint(e *pop3.MethodError) string {
	var usable, unknown []string
	for _, offered := range e.Offered {
		name := strings.ToLower(strings.TrimPrefix(offered, "SASL "))
		if slices.Contains(pop3.Methods(), name) {
			usable = append(usable, name)
		} else {
			unknown = append(unknown, mechanismNeeds(strings.ToUpper(name)))
		}
	}
	var parts []string
	tokens := func(methods []string) int {
		return len(slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return !sendsToken(m) }))
	}
	switch {
	case len(usable) == 0:
	case tokens(e.Allowed) == len(e.Allowed) && len(e.Allowed) > 0 && tokens(usable) == 0:
		parts = append(parts, "the account has an access token, and the server takes none: set a source of a password, which many providers call an app password")
	case tokens(e.Allowed) == 0 && tokens(usable) == len(usable):
		parts = append(parts, "the server takes an access token and no password: set token_command")
	default:
		parts = append(parts, fmt.Sprintf("auth may name %s, which the server offers", strings.Join(usable, ", ")))
	}
	if len(unknown) > 0 {
		parts = append(parts, "popfetch does not know "+strings.Join(unknown, ", "))
	}
	if len(usable) == 0 {
		parts = append(parts, "popfetch knows "+strings.Join(pop3.Methods(), ", ")+"; the server may offer more over TLS, or after a change in the settings of the mailbox")
	}
	return strings.Join(parts, "; ")
}

// sendsToken reports whether a login method sends an access token.
func sendsToken(method string) bool { return method == "xoauth2" || method == "oauthbearer" }

// mechanismNeeds names a SASL mechanism that popfetch does not know, and what it
// needs in place of a password.
func mechanismNeeds(mechanism string) string {
	switch mechanism {
	case "GS2-KRB5":
		return mechanism + " (needs Kerberos)"
	}
	return mechanism
}

// tunnelHint is about a program that is not the connection that it should be. Errors that
// say so themselves need no hint.
func tunnelHint(err error) string {
	var connect *connectError
	var protocol *pop3.ProtocolError
	switch {
	case !errors.As(err, &connect) || !connect.tunnel:
		return ""
	case errors.As(err, new(tls.RecordHeaderError)):
		return `what the program of tunnel prints is not TLS; write tls = "none" if it begins TLS itself, or leads to a port in clear text`
	case errors.As(err, &protocol):
		return "what the program of tunnel prints is not POP3: run it by hand; it must print nothing of its own"
	case errors.Is(err, os.ErrDeadlineExceeded) && connect.tls == config.TLSImplicit:
		return `the program of tunnel runs and prints nothing: run it by hand; if it begins TLS itself, write tls = "none"`
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "the program of tunnel runs and prints nothing: run it by hand; ssh may be waiting for a passphrase, and a port for TLS"
	}
	return ""
}

func networkHint(err error) string {
	var dns *net.DNSError
	var connect *connectError
	switch {
	case errors.As(err, new(*secret.Error)): // about an OAuth 2.0 provider, which says itself what to do
		return ""
	case errors.As(err, &connect) && errors.Is(err, fs.ErrNotExist):
		return "there is no such socket; is the server running?"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host name in server does not exist; is it spelled correctly?"
	case errors.Is(err, syscall.ECONNREFUSED) && errors.As(err, &connect) && connect.usual():
		return "nothing listens there; is the name of the server right, and does the server run?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there; " + portHint
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return ""
	case errors.As(err, &connect) && connect.tls != config.TLSImplicit:
		return `the server did not answer within timeout; the port may expect TLS at once, as 995 does: tls = "implicit"`
	}
	return "the server did not answer within timeout"
}

// fileHint explains errors of files and directories, such as a full disk. An
// error about a missing file needs no explanation.
func fileHint(err error) string {
	if errors.Is(err, fs.ErrNotExist) || !errors.As(err, new(*fs.PathError)) && !errors.As(err, new(*os.LinkError)) && !errors.As(err, new(*state.FileError)) {
		return ""
	}
	return durable.Explain(err).Hint
}
