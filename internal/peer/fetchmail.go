package peer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"popfetch/internal/config"
)

// FetchmailFiles returns the places where fetchmail looks for its configuration. fetchmailHome
// is $FETCHMAILHOME, "" if it is not set.
func FetchmailFiles(home, fetchmailHome string) []string {
	if fetchmailHome != "" {
		return []string{filepath.Join(fetchmailHome, "fetchmailrc")} // without the dot
	}
	return []string{filepath.Join(home, ".fetchmailrc"), "/etc/fetchmailrc"}
}

// Fetchmail reads a configuration file of fetchmail 6 and its file of unique-ids. It adds
// the accounts to c, which has none.
func Fetchmail(f Files, file string, c *config.Config) (*Moved, error) {
	data, err := f.Read(file)
	if err != nil {
		return nil, &Error{File: file, Msg: config.WithoutPath(err).Error(), Err: err}
	}
	m := newMove(f, c)
	tokens, err := fetchmailTokens(file, string(data))
	if err != nil {
		return nil, err
	}
	servers, idfile, err := m.fetchmailServers(file, tokens)
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		for _, u := range s.users {
			m.fetchmailAccount(file, s, u, idfile)
		}
		if len(s.users) == 0 {
			m.remark(file, s.line, "server "+s.name, "left out: it has no user; fetchmail takes the name of the caller")
		}
	}
	return m.moved, nil
}

// fetchmailAccount carries one user of a server over.
func (m *move) fetchmailAccount(file string, s *fetchmailServer, u *fetchmailUser, idfile string) {
	options := fetchmailOptions{}
	for _, from := range []fetchmailOptions{s.options, u.options} {
		for k, v := range from {
			options[k] = v
		}
	}
	get := options.value
	on := func(name string) bool { o, ok := options[name]; return ok && !o.off }
	remote, locals := u.name, slices.Concat(options["is"].words, options["to"].words)
	if u.here && len(locals) == 1 {
		remote, locals = locals[0], []string{u.name}
	}
	title := "user " + remote + " of " + s.name
	leave := func(line int, why string) { m.remark(file, line, title, "left out: "+why) }
	if len(locals) > 1 || slices.Contains(locals, "*") || len(options["envelope"].words) > 0 || len(options["localdomains"].words) > 0 {
		leave(u.line, "popfetch does not distribute the mail of one maildrop to several users")
		return
	}
	switch strings.ToLower(get("protocol")) {
	case "pop3", "apop":
	case "", "auto":
		m.remark(file, s.line, title, "the protocol is automatic; popfetch fetches by POP3")
	default:
		leave(options["protocol"].line, "popfetch fetches by POP3 alone")
		return
	}
	host := s.name
	if via := get("via"); via != "" {
		host = via
	}
	if host == "" || remote == "" {
		leave(u.line, "the name of the server or of the user is empty")
		return
	}
	name := s.name
	if len(s.users) > 1 {
		name = remote + "-" + s.name
	}
	a := m.moved.Config.NewAccount(m.name(name))
	a.Server, a.User, a.Enabled = host, remote, !s.skip
	a.Keep = config.Keep{Delete: !on("keep")} // fetchmail's default is to delete
	proto, hasProto := options["sslproto"]
	switch {
	case on("ssl"):
	case beginsTLS(get("plugin")):
		a.TLS = config.TLSNone
	case hasProto && strings.Join(proto.words, "") == "":
		a.TLS = config.TLSNone
	default:
		a.TLS = config.TLSStart
		m.remark(file, u.line, title, `fetchmail uses TLS if the server offers it, popfetch insists on it; for a server without TLS set tls = "none"`)
	}
	port := get("port") + get("service")
	switch port {
	case "pop3", "pop-3":
		port = "110"
	case "pop3s":
		port = "995"
	}
	if port != "" {
		a.Server = joinPort(host, port)
	} else if strings.Contains(host, ":") {
		a.Server = "[" + host + "]"
	}
	if strings.EqualFold(get("protocol"), "apop") {
		a.Auth = []string{"apop"}
	}
	m.fetchmailSettings(file, title, a, options)
	m.fetchmailDelivery(file, title, a, options, locals, u.line)
	m.add(a, file, u.line)
	m.fetchmailSeen(a.Name, idfile, remote, host)
}

// fetchmailSettings carries over the options that are a setting of popfetch each.
func (m *move) fetchmailSettings(file, title string, a *config.Account, options fetchmailOptions) {
	for _, name := range sortedKeys(options) {
		o := options[name]
		value := options.value(name)
		lost := func(why string) { m.remark(file, o.line, title+": "+name, why) }
		number, err := strconv.Atoi(value)
		isNumber := err == nil && number >= 0 && number < 1<<30
		tls := a.TLS != config.TLSNone
		switch name {
		case "protocol", "via", "port", "service", "uidl", "keep", "ssl", "is", "to", "sslproto", "aka", "dns", "checkalias", "fastuidl",
			"expunge", "rewrite", "stripcr", "forcecr", "pass8bits", "tracepolls", "localdomains", "envelope", "warnings", "batchlimit", "mda", "bsmtp", "smtphost", "smtpaddress", "smtpname", "lmtp", "folder", "idle":
		case "password":
			if value != "" {
				a.PasswordText = config.NewSecret(value)
			}
		case "authenticate":
			switch strings.ToLower(value) {
			case "any", "password":
			case "cram-md5", "external":
				a.Auth = []string{strings.ToLower(value)}
			default:
				lost("popfetch chooses a method itself; see auth in popfetch.toml(5)")
			}
		case "plugin":
			if a.Tunnel = fetchmailTunnel(value, a); a.Tunnel == nil {
				lost("it names no program")
			}
		case "timeout":
			if isNumber && number > 0 {
				a.Timeout = config.Duration(time.Duration(number) * time.Second)
			} else {
				lost("popfetch always has a timeout")
			}
		case "limit":
			if isNumber {
				a.MaxSize = config.Size(number)
			} else {
				lost("not a size")
			}
		case "fetchlimit":
			if isNumber {
				a.MaxMessages = number
			} else {
				lost("not a number")
			}
		case "fetchall":
			if !o.off && !a.Keep.Delete {
				lost("popfetch fetches each message once")
			}
		case "sslcertck":
			if o.off && tls {
				lost("popfetch always verifies the certificate; for a self-signed one set tls_fingerprint")
			}
		case "sslcertfile":
			if tls {
				a.TLSCAFile = m.expand(value)
			}
		case "sslcommonname":
			if tls {
				a.TLSServerName = value
			}
		case "sslcert", "sslkey":
			if tls && name == "sslcert" {
				a.TLSClientCert = m.expand(value)
			} else if tls {
				a.TLSClientKey = m.expand(value)
			}
		case "sslfingerprint":
			lost("it is an MD5 digest; set tls_fingerprint, which popfetch check shows")
		default:
			if !o.off {
				lost("popfetch has nothing like it")
			}
		}
	}
	if a.TLSClientKey == "" {
		a.TLSClientKey = a.TLSClientCert
	}
}

// fetchmailSeen reads the unique-ids of an account from the file that has those of all.
func (m *move) fetchmailSeen(account, file, user, host string) {
	what := "unique-ids of account " + account
	data, err := m.Read(file)
	if err != nil {
		why := config.WithoutPath(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			why = "there is no such file, as without the option uidl or when nothing is left on the server"
		}
		m.remark(file, 0, what, why+"; "+seedHint(account))
		return
	}
	var ids []ID
	n, damaged := 0, 0
	for line := range strings.Lines(string(data)) {
		n++
		text, whole := strings.CutSuffix(line, "\n")
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			continue
		}
		// user@host UID; the user may have an @, and blanks in front of the first one
		at := strings.IndexByte(text, '@')
		blank := -1
		if at >= 0 {
			blank = strings.IndexAny(text[at:], " \t")
		}
		if at < 0 || blank < 0 || !whole {
			if damaged == 0 {
				damaged = n
			}
			continue
		}
		owner, uid := text[:at+blank], strings.TrimSpace(text[at+blank:])
		last := strings.LastIndexByte(owner, '@')
		if uid != "" && strings.EqualFold(owner[:last], user) && strings.EqualFold(owner[last+1:], host) {
			ids = append(ids, ID{UID: uid})
		}
	}
	switch {
	case damaged > 0:
		m.remark(file, damaged, what, "the file is damaged; "+seedHint(account))
	case len(ids) == 0:
		m.remark(file, 0, what, fmt.Sprintf("the file has none for %s at %s; ", user, host)+seedHint(account))
	}
	if len(ids) > 0 {
		m.moved.Seen = append(m.moved.Seen, Seen{account, ids})
	}
}
