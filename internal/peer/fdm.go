package peer

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"popfetch/internal/config"
)

// FdmFiles returns the places where fdm looks for its configuration.
func FdmFiles(home, _ string) []string {
	return []string{filepath.Join(home, ".fdm.conf"), "/etc/fdm.conf"}
}

// fdmStatement is a statement with its tokens, the keyword first.
type fdmStatement []fdmToken

func (s fdmStatement) line() int { return s[0].line }

// text returns the string at i, "" if there is none.
func (s fdmStatement) text(i int) string {
	if i < len(s) && s[i].kind == fdmText {
		return s[i].text
	}
	return ""
}

// index returns where a keyword is, -1 if it is nowhere behind from.
func (s fdmStatement) index(word string, from int) int {
	for i := from; i < len(s); i++ {
		if s[i].kind == fdmWord && s[i].text == word {
			return i
		}
	}
	return -1
}

func (s fdmStatement) has(word string) bool { return s.index(word, 1) > 0 }

// fdmStatements splits tokens into statements. A keyword at the beginning of a line begins
// one, unless it completes a match.
func fdmStatements(file string, tokens []fdmToken) (list []fdmStatement, err error) {
	begins := []string{"set", "account", "action", "match", "include", "cache"}
	depth := 0
	for _, t := range tokens {
		last := len(list) - 1
		completes := last >= 0 && list[last][0].text == "match" && (t.text == "account" || t.text == "action") && !list[last].has("action")
		switch {
		case t.kind == fdmWord && t.first && depth == 0 && slices.Contains(begins, t.text) && !completes:
			list = append(list, fdmStatement{t})
		case last < 0:
			return nil, &Error{File: file, Line: t.line, Msg: "this is not a statement of fdm that is known here"}
		default:
			list[last] = append(list[last], t)
		}
		switch {
		case t.kind == fdmWord && t.text == "{":
			depth++
		case t.kind == fdmWord && t.text == "}" && depth > 0:
			depth--
		}
	}
	return list, nil
}

// Fdm reads a configuration file of fdm and the caches of unique-ids that it names. It adds
// the accounts to c, which has none. Of the rules it takes the one that delivers everything.
func Fdm(f Files, file string, c *config.Config) (*Moved, error) {
	data, err := f.Read(file)
	if err != nil {
		return nil, &Error{File: file, Msg: config.WithoutPath(err).Error(), Err: err}
	}
	m := newMove(f, c)
	tokens, err := (&fdmLexer{file: file, text: string(data)}).tokens()
	if err != nil {
		return nil, err
	}
	statements, err := fdmStatements(file, tokens)
	if err != nil {
		return nil, err
	}
	r := &fdmRules{actions: make(map[string]fdmStatement)}
	var settings, accounts []fdmStatement
	for _, s := range statements {
		switch s[0].text {
		case "set":
			settings = append(settings, s)
		case "account":
			accounts = append(accounts, s)
		case "action":
			r.actions[s.text(1)] = s
		case "match":
			r.matches = append(r.matches, s)
		default:
			m.remark(file, s.line(), s[0].text, "popfetch has nothing like it; what it reads is not carried over")
		}
	}
	for _, s := range accounts {
		m.fdmAccount(file, s, settings, r)
	}
	for _, s := range r.matches {
		if !r.used[s.line()] {
			m.remark(file, s.line(), "match", "popfetch does not sort mail; set mda to a program that does, such as maildrop or fdm itself with an account stdin")
		}
	}
	return m.moved, nil
}

// fdmRules are the actions by name, and the rules in their order.
type fdmRules struct {
	actions map[string]fdmStatement
	matches []fdmStatement
	used    map[int]bool // lines of rules that were carried over
}

// destination returns the action for all mail of an account, nil if there is none: that of
// the first rule without a condition.
func (r *fdmRules) destination(account string) fdmStatement {
	for _, s := range r.matches {
		i := s.index("action", 1)
		if i < 0 || i+1 >= len(s) {
			continue
		}
		condition := s[1:i]
		all := len(condition) == 1 && condition[0].text == "all"
		own := len(condition) == 2 && condition[0].text == "account" && condition[1].text == account
		if !all && !own {
			continue
		}
		if r.used == nil {
			r.used = make(map[int]bool)
		}
		r.used[s.line()] = true
		if s[i+1].kind == fdmText { // the name of an action
			return r.actions[s[i+1].text]
		}
		return slices.Concat(fdmStatement{s[i], {kind: fdmText}}, s[i+1:])
	}
	return nil
}

// fdmAccount carries one account over.
func (m *move) fdmAccount(file string, s fdmStatement, settings []fdmStatement, r *fdmRules) {
	name := s.text(1)
	title := "account " + name
	leave := func(why string) { m.remark(file, s.line(), title, "left out: "+why) }
	kind := slices.IndexFunc(s, func(t fdmToken) bool {
		return t.kind == fdmWord && slices.Contains([]string{"pop3", "pop3s", "imap", "imaps", "nntp", "nntps", "stdin", "maildir", "maildirs", "mbox", "mboxes"}, t.text)
	})
	if kind < 0 || s[kind].text != "pop3" && s[kind].text != "pop3s" {
		leave("popfetch fetches by POP3 alone")
		return
	}
	if s.index("pipe", kind) > 0 {
		leave("popfetch connects to servers, not to programs")
		return
	}
	value := func(word string) fdmToken {
		if i := s.index(word, kind); i > 0 && i+1 < len(s) {
			return s[i+1]
		}
		return fdmToken{}
	}
	server, user, pass, port := value("server"), value("user"), value("pass"), value("port")
	if server.kind != fdmText || server.text == "" || user.kind != fdmText || user.text == "" {
		leave("its server or its user is not written there, but in ~/.netrc or printed by a command")
		return
	}
	a := m.moved.Config.NewAccount(m.name(name))
	title = "account " + a.Name
	if a.Name != name {
		m.remark(file, s.line(), "account "+name, "its name is "+a.Name+" now")
	}
	a.Server, a.User = server.text, user.text
	a.Keep = config.Keep{Delete: s.index("keep", kind) < 0}
	a.Enabled = s[:kind].index("disabled", 1) < 0
	a.TLS = config.TLSNone
	switch {
	case s[kind].text == "pop3s":
		a.TLS = config.TLSImplicit
	case s.has("starttls"):
		a.TLS = config.TLSStart
	}
	switch number := map[string]string{"pop3": "110", "pop-3": "110", "pop3s": "995"}[port.text]; {
	case number != "":
		a.Server = joinPort(server.text, number)
	case port.text != "":
		a.Server = joinPort(server.text, port.text)
	case strings.Contains(server.text, ":"):
		a.Server = "[" + server.text + "]"
	}
	switch {
	case pass.kind == fdmText && pass.text != "":
		a.PasswordText = config.NewSecret(pass.text)
	case pass.kind == fdmCommand:
		a.PasswordCommand = Command(pass.text)
	}
	verified := m.fdmSettings(file, a, settings)
	switch {
	case a.TLS == config.TLSNone:
	case s.has("no-verify"), !verified:
		m.remark(file, s.line(), title, "fdm did not verify the certificate of the server, popfetch does; if popfetch check complains, set tls_ca_file or tls_fingerprint")
	}
	if s.has("insecure") {
		m.remark(file, s.line(), title+": insecure", "popfetch uses TLS 1.2 and later")
	}
	m.fdmDestination(file, a, name, s.line(), r.destination(name))
	m.add(a, file, s.line())
	m.fdmSeen(file, a, s, kind)
}

// fdmSettings carries over what is set for all accounts, and reports whether fdm verifies
// certificates.
func (m *move) fdmSettings(file string, a *config.Account, settings []fdmStatement) (verified bool) {
	for _, s := range settings {
		if len(s) < 2 {
			continue
		}
		name, value := s[1].text, ""
		if len(s) > 2 {
			value = s[2].text
		}
		number, err := strconv.Atoi(value)
		switch name {
		case "verify-certificates":
			verified = true
		case "no-received":
			a.Received = false
		case "timeout":
			if err == nil && number > 0 && number < 1e6 {
				a.Timeout = config.Duration(time.Duration(number) * time.Second)
			} else {
				m.remark(file, s.line(), "set timeout", "not a number of seconds; popfetch waits for "+a.Timeout.String())
			}
		case "maximum-size":
			if size, err := config.ParseSize(fdmSize(s[2:])); err == nil {
				a.MaxSize = size
			} else {
				m.remark(file, s.line(), "set maximum-size", "not a size")
			}
		case "queue-high", "queue-low", "allow-multiple", "lock-file", "lock-types", "lock-wait", "lock-timeout", "purge-after", "no-create", "lookup-order", "ignore-errors", "strip-characters":
		default:
			m.remark(file, s.line(), "set "+name, "popfetch has nothing like it")
		}
	}
	return verified
}

// fdmSize returns a size of fdm, such as 5 M or 5M, as popfetch writes it.
func fdmSize(tokens []fdmToken) string {
	text := ""
	for _, t := range tokens {
		text += t.text
	}
	number := strings.TrimRight(text, "bytesBYTESkKmMgGilo")
	if unit := strings.ToUpper(strings.TrimPrefix(text, number)); unit != "" && strings.IndexByte("KMG", unit[0]) >= 0 {
		return number + unit[:1] + "iB"
	}
	return number
}

// fdmDestination carries the action for all mail over.
func (m *move) fdmDestination(file string, a *config.Account, account string, line int, action fdmStatement) {
	if len(action) > 3 && action[2].kind == fdmWord {
		path, whole := m.fdmPath(action[3].text, account)
		whole = whole && action[3].kind == fdmText
		switch kind := action[2].text; {
		case kind == "maildir" && whole:
			a.Maildir = path
			return
		case kind == "mbox" && whole && !action.has("compress"):
			a.MBox = m.expand(path)
			return
		case kind == "pipe" && whole:
			a.MDA = []string{"sh", "-c", path}
			if list, ok := words(path); ok && len(list) > 0 {
				a.MDA = list
			}
			return
		case kind == "smtp" && m.fdmSMTP(a, action):
			return
		}
		line = action.line()
	}
	a.Maildir = m.maildir(a.Name)
	m.remark(file, line, "account "+a.Name+": delivery", "there is no rule that puts all of its mail into one Maildir, mbox, program or SMTP server; it goes into the Maildir "+a.Maildir+", unless you set mda, lmtp or smtp")
}

// fdmSMTP carries the action smtp over, and reports whether that is possible.
func (m *move) fdmSMTP(a *config.Account, action fdmStatement) bool {
	value := func(word string) string {
		if i := action.index(word, 2); i > 0 && i+1 < len(action) {
			return action[i+1].text
		}
		return ""
	}
	server, port, to := value("server"), cmp.Or(value("port"), "25"), value("to")
	if port == "smtp" {
		port = "25"
	}
	if server == "" || to == "" || strings.Contains(server+port+to, "%") {
		return false // without "to" it is the user at the name of this machine
	}
	a.SMTP.Server, a.SMTP.TLS = joinPort(server, port), config.TLSNone
	a.Recipients = []string{to}
	return true
}

// fdmPath replaces the tags of a path that are known here: home and account. whole is
// false if there are others.
func (m *move) fdmPath(path, account string) (full string, whole bool) {
	path = strings.NewReplacer("%h", m.Home, "%[home]", m.Home, "%a", account, "%[account]", account).Replace(path)
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(m.Home, rest)
	}
	return path, path != "" && !strings.Contains(path, "%")
}

// fdmSeen reads the cache of unique-ids of an account.
func (m *move) fdmSeen(rc string, a *config.Account, s fdmStatement, kind int) {
	what := "unique-ids of account " + a.Name
	i := s.index("cache", kind)
	switch {
	case s.has("old-only"):
		m.remark(rc, s.line(), "account "+a.Name+": old-only", "popfetch fetches new mail")
	case i < 0 && a.Keep.Delete:
		return // fdm has left nothing on the server
	case i < 0 || s.text(i+1) == "" || s.has("no-uidl"):
		m.remark(rc, s.line(), what, "fdm has recorded none; "+seedHint(a.Name))
		return
	}
	path, whole := m.fdmPath(s.text(i+1), s.text(1))
	if !whole {
		m.remark(rc, s.line(), what, "the name of the cache has a tag that is not known here; "+seedHint(a.Name))
		return
	}
	path = m.expand(path)
	data, err := m.Read(path)
	if err != nil {
		why := config.WithoutPath(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			why = "there is no such file"
		}
		m.remark(path, 0, what, why+"; "+seedHint(a.Name))
		return
	}
	ids, damaged := fdmIDs(string(data))
	switch {
	case damaged > 0:
		m.remark(path, damaged, what, "the file is damaged; "+seedHint(a.Name))
	case len(ids) == 0:
		m.remark(path, 0, what, "the file has none; "+seedHint(a.Name))
	}
	if len(ids) > 0 {
		m.moved.Seen = append(m.moved.Seen, Seen{a.Name, ids})
	}
}

// fdmIDs reads a cache: the length of each unique-id, a blank, the id, a newline. It returns
// the first line that is something else, 0 if there is none.
func fdmIDs(text string) (ids []ID, damaged int) {
	for line := 1; text != ""; line++ {
		number, rest, ok := strings.Cut(text, " ")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 1 || n >= len(rest) || rest[n] != '\n' || strings.Contains(rest[:n], "\n") {
			return ids, line
		}
		ids = append(ids, ID{UID: rest[:n]})
		text = rest[n+1:]
	}
	return ids, 0
}
