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
	"unicode"

	"popfetch/internal/config"
)

// FetchmailFiles returns the places where fetchmail looks for its configuration.
func FetchmailFiles(home, _ string) []string {
	return []string{filepath.Join(home, ".fetchmailrc"), "/etc/fetchmailrc"}
}

// token is a word of a configuration of fetchmail.
type token struct {
	text   string
	quoted bool // never a keyword
	line   int
}

// fetchmailTokens splits a configuration into words.
func fetchmailTokens(file, text string) (list []token, err error) {
	const blanks = " \t\r\n,:;"
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case strings.IndexByte(blanks, c) >= 0:
			if c == '\n' {
				line++
			}
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '=':
			list = append(list, token{"=", false, line})
			i++
		case c == '"' || c == '\'':
			end := strings.IndexByte(text[i+1:], c) // quotes cannot be escaped
			if end < 0 || strings.Contains(text[i+1:i+1+end], "\n") {
				return nil, &Error{File: file, Line: line, Msg: "a quotation mark has no partner"}
			}
			list = append(list, token{unescape(text[i+1 : i+1+end]), true, line})
			i += end + 2
		default:
			end := i
			for end < len(text) && strings.IndexByte(blanks+"=", text[end]) < 0 {
				end++
			}
			list = append(list, token{unescape(text[i:end]), false, line})
			i = end
		}
	}
	return list, nil
}

// unescape replaces the escapes of C: \n, \x22, \042 (octal) and \34 (decimal).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		base, digits := 0, ""
		switch c := s[i]; {
		case c == 'x':
			base, digits = 16, "0123456789abcdefABCDEF"
			i++
		case c == '0':
			base, digits = 8, "01234567"
		case c >= '1' && c <= '9':
			base, digits = 10, "0123456789"
		default:
			if at := strings.IndexByte("ntbr", c); at >= 0 {
				c = "\n\t\b\r"[at]
			}
			b.WriteByte(c)
			continue
		}
		end := i
		for end < len(s) && end < i+3 && strings.IndexByte(digits, s[end]) >= 0 {
			end++
		}
		n, _ := strconv.ParseUint(s[i:end], base, 16)
		b.WriteByte(byte(n))
		i = end - 1
	}
	return b.String()
}

// arity is how many words follow a keyword: a list ends at the next keyword.
type arity int

const (
	flag arity = iota
	one
	list
	noise
	begins // a part of the file
)

// fetchmailWords are the keywords in full length, and what follows them.
func fetchmailWords() map[string]arity {
	words := make(map[string]arity)
	for kind, names := range map[arity]string{
		flag: "uidl dns checkalias envelope tracepolls ssl sslcertck keep fetchall flush limitflush rewrite stripcr forcecr pass8bits dropstatus dropdelivered mimedecode idle lmtp",
		one: "via protocol service port authenticate timeout interval qvirtual interface monitor plugin plugout principal esmtpname esmtppassword bad-header " +
			"password sslproto sslcertfile sslcertpath sslfingerprint sslcommonname sslcert sslkey smtpaddress smtpname mda bsmtp preconnect postconnect " +
			"limit warnings batchlimit fetchlimit fetchsizelimit fastuidl expunge properties username",
		list:   "aka localdomains is to folder smtphost fetchdomains antispam",
		noise:  "and with has wants options option here there no",
		begins: "set defaults poll server skip",
	} {
		for _, name := range strings.Fields(names) {
			words[name] = kind
		}
	}
	return words
}

// keyword returns the full name of a keyword, "" for another word.
func keyword(t token, words map[string]arity) string {
	if t.quoted {
		return ""
	}
	if long, ok := map[string]string{"proto": "protocol", "pass": "password", "user": "username", "auth": "authenticate", "smtp": "smtphost"}[t.text]; ok {
		return long
	}
	if _, ok := words[t.text]; ok {
		return t.text
	}
	return ""
}

// fetchmailOption is the words behind a keyword.
type fetchmailOption struct {
	words []string
	line  int
	off   bool // behind "no"
}

type fetchmailOptions map[string]fetchmailOption

// fetchmailUser is one user of one server.
type fetchmailUser struct {
	name    string
	here    bool // name is the local one, and "is" has the remote one
	line    int
	options fetchmailOptions
}

type fetchmailServer struct {
	name    string
	skip    bool
	line    int
	options fetchmailOptions // of the server, and those of its users that stand in front of them
	users   []*fetchmailUser
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

// fetchmailServers reads the parts of a configuration.
func (m *move) fetchmailServers(file string, tokens []token) (servers []*fetchmailServer, idfile string, err error) {
	words := fetchmailWords()
	defaults := fetchmailOptions{}
	current := defaults
	var server *fetchmailServer
	var user *fetchmailUser
	idfile = filepath.Join(m.Home, ".fetchids")
	started, off := false, false
	for i := 0; i < len(tokens); {
		t := tokens[i]
		i++
		bad := func(msg string) error { return &Error{File: file, Line: t.line, Msg: msg} }
		name := keyword(t, words)
		if rest, negated := strings.CutPrefix(t.text, "no"); name == "" && negated && !t.quoted && words[rest] == flag {
			if _, known := words[rest]; known {
				name, off = rest, true
			}
		}
		kind := words[name]
		if !started && name != "" && kind != begins {
			return nil, "", bad("an option in front of the first server")
		}
		switch {
		case name == "":
			return nil, "", bad("this is not a keyword of fetchmail that is known here")
		case name == "set":
			if i, err = m.fetchmailSet(file, tokens, i, words, &idfile); err != nil {
				return nil, "", err
			}
		case name == "defaults":
			started, current, server, user = true, defaults, nil, nil
		case kind == begins:
			if i == len(tokens) {
				return nil, "", bad("a server without a name")
			}
			started, user = true, nil
			server = &fetchmailServer{name: tokens[i].text, skip: name == "skip", line: t.line, options: fetchmailOptions{}}
			for k, v := range defaults {
				server.options[k] = v
			}
			servers, current = append(servers, server), server.options
			i++
		case name == "no":
			off = true
			continue
		case name == "here" && user != nil && user.options["is"].words == nil && user.options["to"].words == nil:
			user.here = true
		case kind == noise:
		case kind == flag:
			option := fetchmailOption{line: t.line, off: off}
			for name == "envelope" && !off && i < len(tokens) && keyword(tokens[i], words) == "" { // [number] field
				option.words = append(option.words, tokens[i].text)
				i++
			}
			current[name] = option
		case kind == one:
			if i == len(tokens) {
				return nil, "", bad("the file ends behind " + name)
			}
			value := tokens[i]
			i++
			if name != "username" {
				current[name] = fetchmailOption{words: []string{value.text}, line: t.line, off: off}
				break
			}
			if server == nil {
				return nil, "", bad("a user without a server")
			}
			user = &fetchmailUser{name: value.text, line: t.line, options: fetchmailOptions{}}
			server.users, current = append(server.users, user), user.options
		default: // list
			option := current[name]
			option.line, option.words = t.line, slices.Clone(option.words)
			for i < len(tokens) && keyword(tokens[i], words) == "" {
				option.words = append(option.words, tokens[i].text)
				i++
			}
			current[name] = option
		}
		off = false
	}
	return servers, idfile, nil
}

// fetchmailSet reads what follows "set" at i, and returns where that ends.
func (m *move) fetchmailSet(file string, tokens []token, i int, words map[string]arity, idfile *string) (int, error) {
	if i < len(tokens) && tokens[i].text == "no" {
		i++
	}
	if i == len(tokens) {
		return i, &Error{File: file, Line: tokens[i-1].line, Msg: "the file ends behind set"}
	}
	name, line, value := tokens[i].text, tokens[i].line, ""
	i++
	if i < len(tokens) && slices.Contains([]string{"daemon", "postmaster", "logfile", "idfile", "pidfile", "properties"}, name) {
		value = tokens[i].text
		i++
	}
	switch name {
	case "idfile":
		*idfile = m.expand(value)
	case "daemon":
		if n, err := strconv.Atoi(value); err == nil && n > 0 && n < 1e7 {
			m.moved.Config.Interval = config.Duration(time.Duration(n) * time.Second)
		}
	case "syslog", "invisible", "showdots", "pidfile":
	default:
		m.remark(file, line, "set "+name, "popfetch has nothing like it")
	}
	return i, nil
}

// fetchmailAccount carries one user of a server over.
func (m *move) fetchmailAccount(file string, s *fetchmailServer, u *fetchmailUser, idfile string) {
	options := fetchmailOptions{}
	for _, from := range []fetchmailOptions{s.options, u.options} {
		for k, v := range from {
			options[k] = v
		}
	}
	get := func(name string) string { return strings.Join(options[name].words, " ") }
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
	for _, name := range sortedKeys(options) {
		o := options[name]
		value := get(name)
		lost := func(why string) { m.remark(file, o.line, title+": "+name, why) }
		number, err := strconv.Atoi(value)
		isNumber := err == nil && number >= 0 && number < 1<<30
		tls := a.TLS != config.TLSNone
		switch name {
		case "protocol", "via", "port", "service", "uidl", "keep", "ssl", "is", "to", "sslproto", "aka", "dns", "checkalias", "fastuidl",
			"expunge", "rewrite", "stripcr", "forcecr", "pass8bits", "tracepolls", "localdomains", "envelope", "warnings", "batchlimit", "mda", "smtphost", "folder", "idle":
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
	if line := get("mda"); line != "" {
		plain := func(r rune) bool {
			return r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("._-@+", r)
		}
		if len(locals) == 1 && strings.IndexFunc(locals[0], func(r rune) bool { return !plain(r) }) < 0 {
			line = strings.ReplaceAll(line, "%T", locals[0])
		}
		a.MDA = mda(line, "%F")
		if strings.Contains(line, "%T") {
			a.MDA = nil
		}
	}
	if a.MDA == nil {
		a.Maildir = m.maildir(a.Name)
		line := u.line
		if o, ok := options["mda"]; ok {
			line = o.line
		}
		m.remark(file, line, title+": delivery", "fetchmail hands the mail to a mail server or a local user; here it goes into the Maildir "+a.Maildir+", unless you set mda")
	}
	m.add(a, file, u.line)
	m.fetchmailSeen(a.Name, idfile, remote, host)
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
