package peer

import (
	"cmp"
	"strings"
	"unicode"

	"popfetch/internal/config"
)

// fetchmailDelivery carries over where the mail goes: a program, or the mail server that
// fetchmail hands it to, by default that of this machine. line is that of the user.
func (m *move) fetchmailDelivery(file, title string, a *config.Account, options fetchmailOptions, locals []string, line int) {
	why := "fetchmail writes the mail to a file in BSMTP"
	switch o, program := options["mda"]; {
	case program && !o.off:
		line = o.line
		if m.fetchmailProgram(a, options.value("mda"), locals) {
			return
		}
		why = "its program needs the name of the local user in another form"
	case options.value("bsmtp") != "":
		line = options["bsmtp"].line
	default:
		to := m.fetchmailRecipient(options, locals)
		if to != "" && m.fetchmailServer(file, title, a, options) {
			a.Recipients = []string{to}
			return
		}
		why = "fetchmail hands the mail to a mail server for a local user, and one of both is not known here"
	}
	a.Maildir = m.maildir(a.Name)
	m.remark(file, line, title+": delivery", why+"; here it goes into the Maildir "+a.Maildir+", unless you set mda, lmtp or smtp")
}

// fetchmailProgram carries a program over, and reports whether that is possible.
func (m *move) fetchmailProgram(a *config.Account, command string, locals []string) bool {
	plain := func(r rune) bool {
		return r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("._-@+", r)
	}
	if len(locals) == 1 && strings.IndexFunc(locals[0], func(r rune) bool { return !plain(r) }) < 0 {
		command = strings.ReplaceAll(command, "%T", locals[0])
	}
	if command == "" || strings.Contains(command, "%T") {
		return false
	}
	a.MDA = mda(command, "%F")
	return true
}

// fetchmailRecipient returns the address that fetchmail names to the mail server, "" if it is
// not known: the local user, by default who runs fetchmail, and as its domain the name of the
// server.
func (m *move) fetchmailRecipient(options fetchmailOptions, locals []string) string {
	if name := options.value("smtpname"); name != "" {
		return name
	}
	user := m.User
	if len(locals) > 0 {
		user = locals[0]
	}
	if user == "" || strings.Contains(user, "@") {
		return user
	}
	host, _ := fetchmailHost(options)
	if strings.HasPrefix(host, "/") {
		host = "localhost"
	}
	return user + "@" + cmp.Or(options.value("smtpaddress"), host)
}

// fetchmailHost returns the first of the mail servers, or the path of its socket.
func fetchmailHost(options fetchmailOptions) (host, port string) {
	host = "localhost"
	if servers := options["smtphost"].words; len(servers) > 0 {
		host = servers[0]
	}
	if !strings.HasPrefix(host, "/") {
		host, port, _ = strings.Cut(host, "/")
	}
	return host, port
}

// fetchmailServer carries the mail server over, and reports whether that is possible.
func (m *move) fetchmailServer(file, title string, a *config.Account, options fetchmailOptions) bool {
	host, port := fetchmailHost(options)
	lmtp, set := options["lmtp"]
	switch overLMTP := set && !lmtp.off; {
	case strings.HasPrefix(host, "/"):
		a.LMTP = config.Endpoint{Network: "unix", Address: host}
	case overLMTP:
		a.LMTP = config.Endpoint{Network: "tcp", Address: joinPort(host, cmp.Or(port, "24"))}
	default:
		a.SMTP.Server, a.SMTP.TLS = joinPort(host, cmp.Or(port, "25")), config.TLSNone
	}
	if list := options["smtphost"]; len(list.words) > 1 {
		m.remark(file, list.line, title+": smtphost", "popfetch delivers to one server, here the first one")
	}
	return host != ""
}
