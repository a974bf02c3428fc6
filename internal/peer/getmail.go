package peer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"popfetch/internal/config"
)

// GetmailFiles returns the directories where getmail looks for its configuration.
func GetmailFiles(home, configHome string) []string {
	return []string{filepath.Join(configHome, "getmail"), filepath.Join(home, ".getmail")}
}

// Getmail reads a configuration file of getmail 6, or all of them in a directory, and
// the files of unique-ids beside them. It adds the accounts to c, which has none.
func Getmail(f Files, path string, c *config.Config) (*Moved, error) {
	m := newMove(f, c)
	names, err := f.List(path)
	if err != nil { // not a directory
		return m.moved, m.getmailFile(path, true)
	}
	found := false
	slices.Sort(names)
	for _, name := range names {
		if getmailIgnores(name) {
			continue
		}
		before := len(m.moved.Config.Accounts) + len(m.moved.Remarks)
		if err := m.getmailFile(filepath.Join(path, name), false); err != nil {
			return nil, err
		}
		found = found || len(m.moved.Config.Accounts)+len(m.moved.Remarks) > before
	}
	if !found {
		return nil, &Error{File: path, Msg: "no file here has a section [retriever]"}
	}
	return m.moved, nil
}

// getmailIgnores reports whether a file holds no configuration: unique-ids, or a backup.
func getmailIgnores(name string) bool {
	return strings.HasPrefix(name, "oldmail-") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") ||
		slices.Contains([]string{".json", ".bak", ".old", ".orig", ".swp", ".dpkg-old", ".dpkg-dist", ".rpmsave"}, filepath.Ext(name)) || strings.HasSuffix(name, "~")
}

// hasRetriever matches the section that makes a file a configuration of getmail.
var hasRetriever = regexp.MustCompile(`(?m)^\[retriever\]`)

// getmailFile carries the account of one file over. A file that nobody has named may be
// something else.
func (m *move) getmailFile(file string, named bool) error {
	data, err := m.Read(file)
	switch {
	case err != nil && named:
		return &Error{File: file, Msg: config.WithoutPath(err).Error(), Err: err}
	case err != nil && errors.Is(err, fs.ErrPermission):
		m.remark(file, 0, "the file", config.WithoutPath(err).Error())
		return nil
	case err != nil: // a directory, for one
		return nil
	case !hasRetriever.Match(data) && named:
		return &Error{File: file, Msg: "there is no section [retriever]"}
	case !hasRetriever.Match(data):
		return nil
	}
	rc, err := parseINI(file, string(data))
	if err != nil {
		return err
	}
	retriever := rc.settings["retriever"]
	kind := retriever["type"]
	name := filepath.Base(file)
	if name == "getmailrc" {
		name = "getmail"
	}
	leave := func(line int, why string) error {
		m.remark(file, line, "account "+name, "left out: "+why)
		return nil
	}
	ssl := strings.HasSuffix(kind.value, "SSLRetriever")
	switch kind.value {
	case "SimplePOP3Retriever", "SimplePOP3SSLRetriever", "BrokenUIDLPOP3Retriever", "BrokenUIDLPOP3SSLRetriever":
	case "":
		return leave(rc.lines["retriever"], "the retriever has no type")
	default:
		return leave(kind.line, fmt.Sprintf("popfetch fetches single maildrops by POP3, not with a %.60s", kind.value))
	}
	server, user := retriever["server"].value, retriever["username"].value
	if server == "" || user == "" {
		return leave(rc.lines["retriever"], "it has no server or no username")
	}
	a := m.moved.Config.NewAccount(m.name(name))
	a.Server, a.User = server, user
	port := "995"
	if !ssl {
		port, a.TLS = "110", config.TLSNone
	}
	if p := retriever["port"].value; p != "" {
		port, a.Server = p, joinPort(server, p)
	} else if strings.Contains(server, ":") {
		a.Server = "[" + server + "]"
	}
	lost := func(section, name string, why string) {
		m.remark(file, rc.settings[section][name].line, "account "+a.Name+": "+name, why)
	}
	m.getmailRetriever(a, rc, ssl, lost)
	if ssl && retriever["ca_certs"].value == "" && len(a.TLSFingerprints) == 0 {
		m.remark(file, kind.line, "account "+a.Name, "getmail did not verify the certificate of the server, popfetch does; if popfetch check complains, set tls_ca_file or tls_fingerprint")
	}
	m.getmailOptions(a, rc, lost)
	m.getmailDestination(a, rc, file, lost)
	for _, section := range sortedKeys(rc.lines) {
		if section != "retriever" && section != "destination" && section != "options" {
			m.remark(file, rc.lines[section], "account "+a.Name+": ["+section+"]", "popfetch has nothing like it; an mda can do more with a message")
		}
	}
	m.add(a, file, rc.lines["retriever"])
	if strings.HasPrefix(kind.value, "BrokenUIDL") {
		m.remark(file, kind.line, "unique-ids of account "+a.Name, "getmail has recorded none; "+seedHint(a.Name))
		return nil
	}
	// getmail's STRIP_CHAR_RE
	base := regexp.MustCompile(`[/:;<>|]+`).ReplaceAllString("oldmail-"+server+"-"+port+"-"+user, "-")
	m.getmailSeen(a.Name, filepath.Join(filepath.Dir(file), base))
	return nil
}

func (m *move) getmailRetriever(a *config.Account, rc *iniSections, ssl bool, lost func(section, name, why string)) {
	const section = "retriever"
	for _, name := range sortedKeys(rc.settings[section]) {
		value := rc.settings[section][name].value
		if value == "" {
			continue
		}
		switch name {
		case "type", "server", "port", "username", "getmaildir":
		case "password":
			a.PasswordText = config.NewSecret(value)
		case "password_command":
			argv, ok := pythonTuple(value)
			switch {
			case !ok || len(argv) == 0:
				lost(section, name, "not a list of words; set password_command")
			case rc.settings[section]["password"].value == "": // getmail takes the password first
				a.PasswordCommand = argv
			}
		case "use_apop":
			if pythonBool(value) {
				a.Auth = []string{"apop"}
			}
		case "use_xoauth2":
			if pythonBool(value) {
				a.Auth = []string{"xoauth2"}
			}
		case "timeout":
			if n, err := strconv.Atoi(value); err == nil && n > 0 && n < 1e6 {
				a.Timeout = config.Duration(time.Duration(n) * time.Second)
			} else {
				lost(section, name, "popfetch always has a timeout")
			}
		case "ca_certs", "keyfile", "certfile", "ssl_cert_hostname", "ssl_fingerprints":
			if ssl {
				m.getmailTLS(a, name, value, func(why string) { lost(section, name, why) })
			}
		default:
			lost(section, name, "popfetch has nothing like it")
		}
	}
	if slices.Contains(a.Auth, "xoauth2") { // the command prints a token then
		a.TokenCommand, a.PasswordCommand = a.PasswordCommand, nil
	}
	if len(a.TLSFingerprints) > 0 {
		a.TLSCAFile = "" // the fingerprint decides
	}
	if a.TLSClientKey == "" {
		a.TLSClientKey = a.TLSClientCert
	}
}

func (m *move) getmailTLS(a *config.Account, name, value string, lost func(why string)) {
	switch name {
	case "ca_certs":
		a.TLSCAFile = m.expand(value)
	case "keyfile":
		a.TLSClientKey = m.expand(value)
	case "certfile":
		a.TLSClientCert = m.expand(value)
	case "ssl_cert_hostname":
		a.TLSServerName = value
	case "ssl_fingerprints":
		list, ok := pythonTuple(value)
		if !ok {
			lost("not a list of fingerprints; set tls_fingerprint")
		}
		for _, text := range list {
			p, err := config.ParseFingerprint(text)
			if err != nil {
				lost(err.Error())
				continue
			}
			a.TLSFingerprints = append(a.TLSFingerprints, p)
		}
	}
}

func (m *move) getmailOptions(a *config.Account, rc *iniSections, lost func(section, name, why string)) {
	const section = "options"
	options := rc.settings[section]
	for _, name := range sortedKeys(options) {
		value := options[name].value
		number, err := strconv.Atoi(value)
		switch name {
		case "verbose", "to_oldmail_on_each_mail", "use_netrc", "message_log_verbose", "message_log_syslog", "only_oldmail_file", "skip_imap_fetch_size":
		case "read_all":
			if pythonBool(value) && !pythonBool(options["delete"].value) {
				lost(section, name, "popfetch fetches each message once")
			}
		case "delete":
			if pythonBool(value) {
				a.Keep = config.Keep{Delete: true}
			}
		case "delete_after":
			switch {
			case err != nil || number < 0 || number > 36500:
				lost(section, name, "mail is kept on the server: this is not a number of days")
			case number > 0 && !pythonBool(options["delete"].value):
				a.Keep = config.Keep{Delete: true, After: config.Duration(time.Duration(number) * 24 * time.Hour)}
			}
		case "max_message_size":
			if err == nil && number >= 0 {
				a.MaxSize = config.Size(number)
			} else {
				lost(section, name, "not a size")
			}
		case "max_messages_per_session":
			if err == nil && number >= 0 && number < 1e9 {
				a.MaxMessages = number
			} else {
				lost(section, name, "not a number")
			}
		case "received":
			a.Received = pythonBool(value)
		case "delivered_to":
			if pythonBool(value) {
				lost(section, name, "popfetch adds no Delivered-To field")
			}
		case "delete_bigger_than":
			if value != "0" {
				lost(section, name, "popfetch has one rule for messages of all sizes: keep")
			}
		default:
			if value != "0" && value != "" {
				lost(section, name, "popfetch has nothing like it")
			}
		}
	}
}

// getmailPlaceholders are what MDA_external replaces in its arguments, and what an mda
// has in their place.
var getmailPlaceholders = strings.NewReplacer("%(sender)", "{sender}", "%(recipient)", "{recipient}")

func (m *move) getmailDestination(a *config.Account, rc *iniSections, file string, lost func(section, name, why string)) {
	const section = "destination"
	to := rc.settings[section]
	path := m.expand(to["path"].value)
	usable := to["path"].value != "" && !strings.ContainsAny(path, "$") && !strings.HasPrefix(to["path"].value, "~") ||
		strings.HasPrefix(to["path"].value, "~/") && !strings.Contains(path, "$")
	kind := to["type"].value
	arguments, isTuple := pythonTuple(to["arguments"].value)
	for i := range arguments {
		arguments[i] = getmailPlaceholders.Replace(arguments[i])
		isTuple = isTuple && !strings.Contains(arguments[i], "%(")
	}
	for _, name := range sortedKeys(to) {
		switch value := to[name].value; name {
		case "type", "path", "arguments", "ignore_stderr", "allow_root_commands", "configparser":
		case "unixfrom":
			if pythonBool(value) {
				lost(section, name, "popfetch puts no From line in front of a message")
			}
		default:
			if kind == "Maildir" || kind == "Mboxrd" || kind == "MDA_external" {
				lost(section, name, "popfetch has nothing like it")
			}
		}
	}
	switch {
	case kind == "Maildir" && usable:
		a.Maildir = path
	case kind == "Mboxrd" && usable:
		a.MBox = path
	case kind == "MDA_external" && usable && (isTuple || to["arguments"].value == ""):
		a.MDA = append([]string{path}, arguments...)
	default:
		a.Maildir = m.maildir(a.Name)
		m.remark(file, max(to["type"].line, rc.lines[section]), "account "+a.Name+": destination",
			"popfetch does not deliver like this; the mail goes into the Maildir "+a.Maildir)
	}
}

var hexID = regexp.MustCompile(`^[0-9A-Fa-f.-]+$`)
