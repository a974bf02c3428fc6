package peer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"popfetch/internal/config"
)

// ThunderbirdFiles returns the places where Thunderbird lists its profiles: of the package,
// the snap and the flatpak.
func ThunderbirdFiles(home, _ string) []string {
	var files []string
	for _, dir := range []string{".thunderbird", "snap/thunderbird/common/.thunderbird", ".var/app/org.mozilla.Thunderbird/.thunderbird", ".var/app/net.thunderbird.Thunderbird/.thunderbird", ".mozilla-thunderbird"} {
		files = append(files, filepath.Join(home, dir, "profiles.ini"))
	}
	return files
}

// Thunderbird reads the POP3 accounts of a profile and its files of unique-ids. path is a
// profiles.ini, which names the default profile, a profile, or its prefs.js. It adds the
// accounts to c, which has none.
func Thunderbird(f Files, path string, c *config.Config) (*Moved, error) {
	m := newMove(f, c)
	if filepath.Base(path) == "profiles.ini" {
		profile, err := m.thunderbirdProfile(path)
		if err != nil {
			return nil, err
		}
		path = profile
	}
	if _, err := f.List(path); err == nil {
		path = filepath.Join(path, "prefs.js")
	}
	data, err := f.Read(path)
	if err != nil {
		return nil, &Error{File: path, Msg: config.WithoutPath(err).Error(), Err: err}
	}
	prefs, err := thunderbirdPrefs(path, string(data))
	if err != nil {
		return nil, err
	}
	t := &thunderbird{move: m, file: path, prefs: prefs}
	for _, account := range strings.Split(prefs["mail.accountmanager.accounts"].value, ",") {
		if server := prefs["mail.account."+strings.TrimSpace(account)+".server"]; server.value != "" {
			t.account(server.value, server.line)
		}
	}
	if len(c.Accounts)+len(m.moved.Remarks) == 0 {
		return nil, &Error{File: path, Msg: "no account is set up here"}
	}
	return m.moved, nil
}

// thunderbirdProfile returns the directory of the default profile.
func (m *move) thunderbirdProfile(file string) (string, error) {
	data, err := m.Read(file)
	if err != nil {
		return "", &Error{File: file, Msg: config.WithoutPath(err).Error(), Err: err}
	}
	ini, err := parseINI(file, string(data))
	if err != nil {
		return "", err
	}
	chosen, marked := "", ""
	for _, section := range sortedKeys(ini.settings) {
		s := ini.settings[section]
		switch {
		case strings.HasPrefix(section, "Install"): // of a version since 67: its own default
			chosen = s["default"].value
		case strings.HasPrefix(section, "Profile") && (marked == "" || s["default"].value == "1"):
			marked = s["path"].value
		}
	}
	if chosen == "" {
		chosen = marked
	}
	if chosen == "" {
		return "", &Error{File: file, Msg: "no profile is named here"}
	}
	if filepath.IsAbs(chosen) {
		return chosen, nil
	}
	return filepath.Join(filepath.Dir(file), chosen), nil
}

// thunderbirdPrefs reads the lines user_pref("name", value); of a prefs.js. Values are
// strings, numbers, true or false.
func thunderbirdPrefs(file, text string) (map[string]setting, error) {
	prefs := make(map[string]setting)
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		inner, ok := strings.CutPrefix(line, "user_pref(")
		if !ok {
			continue
		}
		bad := &Error{File: file, Line: n, Msg: "this is not a setting of Thunderbird"}
		inner, ok = strings.CutSuffix(inner, ");")
		if !ok {
			return nil, bad
		}
		var pair []any
		if json.Unmarshal([]byte("["+inner+"]"), &pair) != nil || len(pair) != 2 {
			if strings.Contains(inner, "mail.server.") || strings.Contains(inner, "mail.account") {
				return nil, bad
			}
			continue // an escape that JSON does not have, in a setting that is not read here
		}
		name, _ := pair[0].(string)
		switch v := pair[1].(type) {
		case string:
			prefs[name] = setting{v, n}
		case bool:
			prefs[name] = setting{strconv.FormatBool(v), n}
		case float64:
			prefs[name] = setting{strconv.FormatFloat(v, 'f', -1, 64), n}
		}
	}
	return prefs, nil
}

// thunderbird is a profile that is read.
type thunderbird struct {
	*move
	file  string
	prefs map[string]setting
}

// account carries the account of a server over. line is where the server is named.
func (t *thunderbird) account(server string, line int) {
	get := func(name string) setting { return t.prefs["mail.server."+server+"."+name] }
	title := "account " + get("name").value
	if get("name").value == "" {
		title = "account " + server
	}
	if l := get("type").line; l > 0 {
		line = l
	}
	switch kind := get("type").value; kind {
	case "pop3":
	case "none", "rss", "nntp": // local folders, feeds and news are no mail accounts
		return
	default:
		t.remark(t.file, line, title, "left out: popfetch fetches by POP3 alone")
		return
	}
	host, user := get("hostname").value, get("userName").value
	for name, real := range map[string]*string{"realhostname": &host, "realuserName": &user} { // of older versions
		if v := get(name).value; v != "" {
			*real = v
		}
	}
	if host == "" || user == "" {
		t.remark(t.file, line, title, "left out: it has no server or no user")
		return
	}
	name := get("name").value
	if name == "" {
		name = user
	}
	a := t.moved.Config.NewAccount(t.name(name))
	title = "account " + a.Name
	if a.Name != name {
		t.remark(t.file, line, "account "+name, "its name is "+a.Name+" now")
	}
	a.User, a.Server = user, host
	switch get("socketType").value {
	case "3":
	case "2", "1": // 1: with STLS if the server has it, which a thief on the way can prevent
		a.TLS = config.TLSStart
	default:
		a.TLS = config.TLSNone
	}
	if port := get("port").value; port != "" && port != "0" {
		a.Server = joinPort(host, port)
	} else if strings.Contains(host, ":") {
		a.Server = "[" + host + "]"
	}
	t.keep(a, get, title)
	a.Maildir = t.maildir(a.Name)
	t.remark(t.file, line, title+": delivery", "Thunderbird keeps mail in folders of its own; here it goes into the Maildir "+a.Maildir)
	t.login(a, get, title, line)
	t.add(a, t.file, line)
	t.seen(a, get, host, user)
}

// keep carries over what becomes of mail on the server.
func (t *thunderbird) keep(a *config.Account, get func(string) setting, title string) {
	if get("leave_on_server").value != "true" {
		a.Keep = config.Keep{Delete: true} // the default
		return
	}
	if get("delete_by_age_from_server").value == "true" {
		days := 7 // the default
		if n, err := strconv.Atoi(get("num_days_to_leave_on_server").value); err == nil && n > 0 && n < 36500 {
			days = n
		}
		a.Keep = config.Keep{Delete: true, After: config.Duration(time.Duration(days) * 24 * time.Hour)}
	}
	if s := get("delete_mail_left_on_server"); s.value == "true" {
		t.remark(t.file, s.line, title+": delete_mail_left_on_server", "popfetch does not know what you delete in the Maildir; what you delete there stays on the server")
	}
	if s := get("headers_only"); s.value == "true" {
		t.remark(t.file, s.line, title+": headers_only", "popfetch fetches whole messages")
	}
	if s := get("limit_offline_message_size"); s.value == "true" {
		if n, err := strconv.Atoi(get("max_size").value); err == nil && n > 0 && n < 1<<20 {
			a.MaxSize = config.Size(n) << 10
		}
	}
}

// login carries the method of the login over. Passwords are encrypted in the profile.
func (t *thunderbird) login(a *config.Account, get func(string) setting, title string, line int) {
	method := get("authMethod")
	if method.line > 0 {
		line = method.line
	}
	switch method.value {
	case "10": // OAuth2
		t.remark(t.file, line, title, "Thunderbird signs in by OAuth 2.0 as a client of its own; set oauth and client_id, or token_command, see popfetch-oauth(7)")
		return
	case "5":
		a.Auth = []string{config.GSSAPI}
		return
	case "4":
		a.Auth = []string{"cram-md5", "apop"}
	}
	t.remark(t.file, line, title+": password", "Thunderbird encrypts it; popfetch asks for it, unless you set password_command, keyring or another source")
}

// seen reads the unique-ids of an account from the popstate.dat in its directory.
func (t *thunderbird) seen(a *config.Account, get func(string) setting, host, user string) {
	dir := get("directory").value
	if rest, ok := strings.CutPrefix(get("directory-rel").value, "[ProfD]"); ok {
		dir = filepath.Join(filepath.Dir(t.file), filepath.FromSlash(rest))
	}
	what := "unique-ids of account " + a.Name
	if dir == "" {
		t.remark(t.file, 0, what, "the account has no directory; "+seedHint(a.Name))
		return
	}
	file := filepath.Join(dir, "popstate.dat")
	data, err := t.Read(file)
	if err != nil {
		why := config.WithoutPath(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			why = "there is no such file, as when nothing is left on the server"
		}
		t.remark(file, 0, what, why+"; "+seedHint(a.Name))
		return
	}
	ids, partial, damaged := popstate(string(data), host, user)
	if partial > 0 {
		t.remark(file, 0, what, strconv.Itoa(partial)+" messages that Thunderbird has not fetched as a whole are fetched again")
	}
	switch {
	case damaged > 0:
		t.remark(file, damaged, what, "the file is damaged; "+seedHint(a.Name))
	case len(ids)+partial == 0:
		t.remark(file, 0, what, "the file has none for "+user+" at "+host+"; "+seedHint(a.Name))
	}
	if len(ids) > 0 {
		t.moved.Seen = append(t.moved.Seen, Seen{a.Name, ids})
	}
}

// popstate reads the unique-ids of a user: lines of a flag, the id and a time behind a line
// of the host and the user. partial counts messages of which there are only the headers.
// damaged is the first line that is something else, 0 if there is none.
func popstate(text, host, user string) (ids []ID, partial, damaged int) {
	own, n := false, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || line[0] == '#':
		case line[0] == '*':
			who, name, _ := strings.Cut(line[1:], " ")
			own = strings.EqualFold(who, host) && strings.TrimSpace(name) == user
		case len(words) < 2 || len(words) > 3 || !slices.Contains([]string{"k", "d", "b", "f"}, words[0]):
			if damaged == 0 {
				damaged = n
			}
		case own && (words[0] == "b" || words[0] == "f"): // too big, or to be fetched now
			partial++
		case own:
			id := ID{UID: words[1]}
			if len(words) == 3 {
				if seconds, err := strconv.ParseInt(words[2], 10, 64); err == nil {
					id.Time = unixTime(seconds)
				} else if damaged == 0 {
					damaged = n
				}
			}
			ids = append(ids, id)
		}
	}
	return ids, partial, damaged
}
