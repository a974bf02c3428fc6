package peer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"popfetch/internal/config"
)

// MpopFiles returns the places where mpop looks for its configuration.
func MpopFiles(home, configHome string) []string {
	return []string{filepath.Join(home, ".mpoprc"), filepath.Join(configHome, "mpop", "config")}
}

// setting is the argument of a command, with its place.
type setting struct {
	value string
	line  int
}

type mpopAccount struct {
	name     string
	line     int
	settings map[string]setting
	parent   bool // others inherit from it
}

// Mpop reads a configuration file of mpop, as of its versions 1.4, and its files of
// unique-ids. It adds the accounts to c, which has none.
func Mpop(f Files, file string, c *config.Config) (*Moved, error) {
	data, err := f.Read(file)
	if err != nil {
		return nil, &Error{File: file, Msg: config.WithoutPath(err).Error(), Err: err}
	}
	m := newMove(f, c)
	accounts, err := m.mpopSections(file, string(data))
	if err != nil {
		return nil, err
	}
	for _, from := range accounts {
		if _, delivers := from.settings["delivery"]; from.parent && !delivers {
			continue // a template
		}
		m.mpopAccount(file, from)
	}
	return m.moved, nil
}

// mpopSections reads the accounts of a configuration file with what they inherit.
func (m *move) mpopSections(file, text string) (accounts []*mpopAccount, err error) {
	defaults := &mpopAccount{settings: map[string]setting{}}
	var current *mpopAccount // nil in front of the first section
	byName := map[string]*mpopAccount{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, argument := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			name, argument = line[:i], strings.TrimLeft(line[i:], " \t")
		}
		if len(argument) > 0 && argument[0] == '"' {
			if len(argument) < 2 || argument[len(argument)-1] != '"' {
				return nil, &Error{File: file, Line: n, Msg: "a quotation mark has no partner"}
			}
			argument = argument[1 : len(argument)-1]
		}
		switch {
		case name == "defaults":
			defaults = &mpopAccount{settings: map[string]setting{}}
			current = defaults
		case name == "account":
			if current, err = mpopHead(argument, byName, defaults); err != nil {
				return nil, &Error{File: file, Line: n, Msg: err.Error()}
			}
			current.line = n
			byName[current.name] = current
			accounts = append(accounts, current)
		case name == "eval":
			m.remark(file, n, "eval", "not run; if it gives a setting, write that into the configuration")
		case current == nil:
			return nil, &Error{File: file, Line: n, Msg: fmt.Sprintf("the command %.40q is in front of the first account", name)}
		default:
			current.settings[name] = setting{argument, n}
		}
	}
	return accounts, nil
}

// mpopHead reads "NAME" or "NAME : PARENT, PARENT".
func mpopHead(argument string, byName map[string]*mpopAccount, defaults *mpopAccount) (*mpopAccount, error) {
	name, parents, inherits := strings.Cut(argument, ":")
	a := &mpopAccount{name: strings.TrimSpace(name), settings: maps.Clone(defaults.settings)}
	if a.name == "" {
		return nil, errors.New("an account without a name")
	}
	if byName[a.name] != nil {
		return nil, fmt.Errorf("a second account %q", a.name)
	}
	if !inherits {
		return a, nil
	}
	for parent := range strings.SplitSeq(parents, ",") {
		from := byName[strings.TrimSpace(parent)]
		if from == nil {
			return nil, fmt.Errorf("there is no account %q above", strings.TrimSpace(parent))
		}
		from.parent = true
		maps.Copy(a.settings, from.settings)
	}
	return a, nil
}

// mpopAccount carries one account over.
func (m *move) mpopAccount(file string, from *mpopAccount) {
	get := func(name, standard string) string {
		if s, ok := from.settings[name]; ok {
			return s.value
		}
		return standard
	}
	on := func(name, standard string) bool { v := get(name, standard); return v == "on" || v == "" }
	host, user := get("host", ""), get("user", "")
	if host == "" || user == "" {
		m.remark(file, from.line, "account "+from.name, "left out: it has no host or no user")
		return
	}
	if _, ok := from.settings["delivery"]; !ok {
		m.remark(file, from.line, "account "+from.name, "left out: it has no delivery")
		return
	}
	a := m.moved.Config.NewAccount(m.name(from.name))
	if a.Name != from.name {
		m.remark(file, from.line, "account "+from.name, "its name is "+a.Name+" now")
	}
	a.Server, a.User = host, user
	a.Keep = config.Keep{Delete: true} // mpop's default
	switch {
	case !on("tls", "off"):
		a.TLS = config.TLSNone
	case on("tls_starttls", "on"):
		a.TLS = config.TLSStart
	}
	if port := get("port", ""); port != "" {
		a.Server = joinPort(host, port)
	} else if strings.Contains(host, ":") {
		a.Server = "[" + host + "]"
	}
	for _, name := range sortedKeys(from.settings) {
		s := from.settings[name]
		lost := func(why string) { m.remark(file, s.line, "account "+from.name+": "+name, why) }
		switch name {
		case "host", "port", "user", "tls", "tls_starttls", "uidls_file", "proxy_port":
		case "password":
			a.PasswordText = config.NewSecret(s.value)
		case "passwordeval":
			if _, both := from.settings["password"]; !both { // mpop takes the password then
				a.PasswordCommand = Command(s.value)
			}
		case "auth":
			switch s.value {
			case "", "on":
			case "user", "plain", "login", "cram-md5", "apop", "external", "oauthbearer", "xoauth2",
				"scram-sha-1", "scram-sha-256", "scram-sha-1-plus", "scram-sha-256-plus":
				a.Auth = []string{s.value}
			default:
				lost(fmt.Sprintf("popfetch has no method %.40q and chooses one itself", s.value))
			}
		case "timeout":
			if n, err := strconv.Atoi(s.value); err == nil && n > 0 && n < 1e6 {
				a.Timeout = config.Duration(time.Duration(n) * time.Second)
			} else {
				lost("popfetch always has a timeout")
			}
		case "pipelining":
			switch p := config.Pipelining(s.value); p {
			case config.PipeliningAuto, config.PipeliningOn, config.PipeliningOff:
				a.Pipelining = p
			default:
				lost("neither auto nor on nor off")
			}
		case "received_header":
			a.Received = on(name, "")
		case "keep":
			m.mpopKeep(a, s.value, lost)
		case "only_new":
			if !on(name, "") {
				lost("popfetch fetches each message once")
			}
		case "skipsize":
			if n, ok := mpopSize(s.value); ok {
				a.MaxSize = config.Size(n)
			} else if s.value != "off" {
				lost("not a size that popfetch can use")
			}
		case "killsize":
			if s.value != "off" && s.value != "" {
				lost("popfetch deletes only what it has delivered; max_size leaves bigger messages on the server")
			}
		case "filter":
			if s.value != "" {
				lost("popfetch has no filter; an mda can decide instead")
			}
		case "source_ip":
			if s.value != "" {
				if ip, err := netip.ParseAddr(s.value); err == nil {
					a.SourceAddress = ip
				} else {
					lost("not an IP address")
				}
			}
		case "proxy_host":
			if s.value != "" {
				port := cmp.Or(get("proxy_port", ""), "1080")
				a.Proxy = config.Proxy{URL: &url.URL{Scheme: "socks5", Host: joinPort(s.value, port)}}
			}
		case "tls_trust_file", "tls_certcheck", "tls_fingerprint", "tls_key_file", "tls_cert_file", "tls_host_override":
			if a.TLS != config.TLSNone {
				m.mpopTLS(a, name, s.value, lost)
			}
		case "delivery":
			m.mpopDelivery(a, s, lost)
		default:
			lost("popfetch has nothing like it")
		}
	}
	if len(a.TLSFingerprints) > 0 {
		a.TLSCAFile = "" // the fingerprint decides
	}
	m.add(a, file, from.line)
	ids := m.expand(get("uidls_file", "~/.mpop_uidls/%U_at_%H"))
	// In file names mpop replaces what would make another path.
	safe := func(s string) string { return strings.ReplaceAll(s, "/", "_") }
	m.mpopSeen(a.Name, strings.NewReplacer("%U", safe(user), "%H", safe(host)).Replace(ids), host, user)
}

// mpopKeep carries over what becomes of mail on the server.
func (m *move) mpopKeep(a *config.Account, value string, lost func(why string)) {
	switch value {
	case "on", "":
		a.Keep = config.Keep{}
		return
	case "off":
		return
	}
	a.Keep = config.Keep{}
	if d, err := config.ParseDuration(value); err == nil && d > 0 {
		a.Keep = config.Keep{Delete: true, After: d}
	} else {
		lost("mail is kept on the server: the time is not understood")
	}
}

// mpopTLS carries over a setting for a server with TLS.
func (m *move) mpopTLS(a *config.Account, name, value string, lost func(why string)) {
	const alwaysVerified = "popfetch always verifies the certificate; for a self-signed one set tls_fingerprint"
	switch {
	case name == "tls_trust_file" && value == "":
		lost(alwaysVerified)
	case name == "tls_trust_file" && value != "system":
		a.TLSCAFile = m.expand(value)
	case name == "tls_certcheck" && value != "on" && value != "":
		lost(alwaysVerified)
	case name == "tls_fingerprint" && value != "":
		if p, err := config.ParseFingerprint(value); err == nil {
			a.TLSFingerprints = []config.Fingerprint{p}
		} else {
			lost(err.Error())
		}
	case name == "tls_key_file" && value != "":
		a.TLSClientKey = m.expand(value)
	case name == "tls_cert_file" && value != "":
		a.TLSClientCert = m.expand(value)
	case name == "tls_host_override":
		a.TLSServerName = value
	}
}

func (m *move) mpopDelivery(a *config.Account, s setting, lost func(why string)) {
	method, argument := s.value, ""
	if i := strings.IndexAny(s.value, " \t"); i >= 0 {
		method, argument = s.value[:i], strings.TrimLeft(s.value[i:], " \t")
	}
	if n := len(argument); n > 1 && argument[0] == '"' && argument[n-1] == '"' {
		argument = argument[1 : n-1]
	}
	switch {
	case method == "maildir" && argument != "":
		a.Maildir = m.expand(argument)
	case method == "mbox" && argument != "":
		a.MBox = m.expand(argument)
	case method == "mda" && argument != "":
		a.MDA = mda(argument, "%F")
	default:
		a.Maildir = m.maildir(a.Name)
		lost(fmt.Sprintf("popfetch does not deliver like this; the mail goes into the Maildir %s", a.Maildir))
	}
}

// mpopSize reads octets, or KiB or MiB with k or m. ok is false for anything else and 0.
func mpopSize(s string) (octets int64, ok bool) {
	unit := int64(1)
	if digits := strings.TrimRight(s, "kKmM"); len(digits) == len(s)-1 {
		if unit = 1 << 10; strings.ContainsAny(s, "mM") {
			unit = 1 << 20
		}
		s = digits
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n * unit, err == nil && n > 0 && n < 1<<40
}
