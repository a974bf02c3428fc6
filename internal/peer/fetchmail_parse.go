package peer

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"popfetch/internal/config"
)

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

// value returns the words behind a keyword, "" if it is not there.
func (o fetchmailOptions) value(name string) string { return strings.Join(o[name].words, " ") }

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

// fetchmailServers reads the parts of a configuration.
func (m *move) fetchmailServers(file string, tokens []token) (servers []*fetchmailServer, idfile string, err error) {
	words := fetchmailWords()
	defaults := fetchmailOptions{}
	current := defaults
	var server *fetchmailServer
	var user *fetchmailUser
	idfile = filepath.Join(cmp.Or(m.FetchmailHome, m.Home), ".fetchids")
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
