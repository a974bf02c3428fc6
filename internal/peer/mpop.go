package peer

import (
	"errors"
	"fmt"
	"io/fs"
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
	proxy := ""
	for _, name := range sortedKeys(from.settings) {
		s := from.settings[name]
		lost := func(why string) { m.remark(file, s.line, "account "+from.name+": "+name, why) }
		tls := a.TLS != config.TLSNone
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
			switch {
			case on(name, ""):
				a.Keep = config.Keep{}
			case s.value == "off":
			default:
				a.Keep = config.Keep{}
				if d, err := config.ParseDuration(s.value); err == nil && d > 0 {
					a.Keep = config.Keep{Delete: true, After: d}
				} else {
					lost("mail is kept on the server: the time is not understood")
				}
			}
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
			if proxy = s.value; proxy != "" {
				port := get("proxy_port", "")
				if port == "" {
					port = "1080"
				}
				a.Proxy = config.Proxy{URL: &url.URL{Scheme: "socks5", Host: joinPort(proxy, port)}}
			}
		case "tls_trust_file":
			switch {
			case !tls || s.value == "system":
			case s.value == "":
				lost("popfetch always verifies the certificate; for a self-signed one set tls_fingerprint")
			default:
				a.TLSCAFile = m.expand(s.value)
			}
		case "tls_certcheck":
			if tls && !on(name, "") {
				lost("popfetch always verifies the certificate; for a self-signed one set tls_fingerprint")
			}
		case "tls_fingerprint":
			if !tls || s.value == "" {
				continue
			}
			if p, err := config.ParseFingerprint(s.value); err == nil {
				a.TLSFingerprints = []config.Fingerprint{p}
			} else {
				lost(err.Error())
			}
		case "tls_key_file":
			if tls && s.value != "" {
				a.TLSClientKey = m.expand(s.value)
			}
		case "tls_cert_file":
			if tls && s.value != "" {
				a.TLSClientCert = m.expand(s.value)
			}
		case "tls_host_override":
			if tls {
				a.TLSServerName = s.value
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

// mpopSeen reads the unique-ids of an account from a file of mpop.
func (m *move) mpopSeen(account, file, host, user string) {
	data, err := m.Read(file)
	if err != nil {
		why := config.WithoutPath(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			why = "there is no such file"
		}
		m.remark(file, 0, "unique-ids of account "+account, why+"; "+seedHint(account))
		return
	}
	ids, line, problem := mpopIDs(string(data), host, user)
	if problem != "" {
		m.remark(file, line, "unique-ids of account "+account, problem+"; "+seedHint(account))
	}
	if len(ids) > 0 {
		m.moved.Seen = append(m.moved.Seen, Seen{account, ids})
	}
}

// mpopIDs reads the list of one account from a file of unique-ids. A problem, with its
// line, does not keep it from returning what can be read.
func mpopIDs(text, host, user string) (ids []ID, line int, problem string) {
	timed := mpopWritesTimes(text)
	left, ours, listed, n := 0, false, false, 0
	for l := range strings.Lines(text) {
		n++
		l, whole := strings.CutSuffix(l, "\n")
		switch {
		case left > 0:
			left--
			switch {
			case !ours:
			case !whole || l == "":
				return ids, n, "the file is damaged: a unique-id is cut off"
			default:
				ids = append(ids, mpopID(l, timed))
			}
		case strings.HasPrefix(l, "#") || strings.TrimSpace(l) == "":
		default:
			count, rest, _ := strings.Cut(strings.TrimLeft(l, " "), " ")
			server, login, ok := strings.Cut(rest, " ")
			number, err := strconv.Atoi(count)
			if l[0] != ' ' || !ok || err != nil || number < 1 {
				return ids, n, "the file is damaged: no list begins here"
			}
			left, ours = number, strings.EqualFold(server, host) && login == user
			listed = listed || ours
		}
	}
	switch {
	case left > 0 && ours:
		return ids, n, fmt.Sprintf("the file is damaged: it ends %d unique-ids too early", left)
	case left > 0:
		return ids, n, "the file is damaged: it ends in the middle of a list"
	case !listed:
		return nil, 0, fmt.Sprintf("the file has no list for %s at %s", user, host)
	}
	return ids, 0, ""
}

// mpopWritesTimes reports whether the version of mpop that has written a file writes times
// behind unique-ids, as 1.4.23 and later ones do.
func mpopWritesTimes(text string) bool {
	_, rest, ok := strings.Cut(text, "generated by mpop version ")
	if !ok || text[0] != '#' {
		return false
	}
	version, _, _ := strings.Cut(rest, "\n")
	var number [3]int
	for i, part := range strings.SplitN(version, ".", 3) {
		number[i], _ = strconv.Atoi(strings.TrimRightFunc(part, func(r rune) bool { return r < '0' || r > '9' }))
	}
	return number[0] > 1 || number[0] == 1 && (number[1] > 4 || number[1] == 4 && number[2] >= 23)
}

func mpopID(line string, timed bool) ID {
	if i := strings.LastIndexByte(line, ' '); timed && i > 0 {
		if seconds, err := strconv.ParseInt(line[i+1:], 10, 64); err == nil {
			return ID{UID: line[:i], Time: unixTime(seconds)}
		}
	}
	return ID{UID: line}
}
