package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// families returns the groups of keys of which an account sets at most one. A key
// of an account replaces all keys of its family in [defaults].
func families() []family {
	return append(loginFamilies(), destinations())
}

// destinations returns the keys that say where the mail goes.
func destinations() family {
	return family{[]string{"maildir", "mda", "mbox", "lmtp", "smtp", "imap"}, "are both a destination, and an account has exactly one"}
}

type family struct {
	keys  []string
	clash string // the end of a sentence about two of them
}

// section is [defaults] or an account, with its place in the file.
type section struct {
	Account
	path []string
	set  map[string]bool // keys that the section itself sets
}

// defaults reads [defaults] on top of the built-in defaults.
func (l *loader) defaults(base Account, tree map[string]any) Account {
	v, ok := tree["defaults"]
	if !ok {
		return base
	}
	s := section{Account: base, path: []string{"defaults"}}
	table, ok := v.(map[string]any)
	if !ok {
		l.add(s.path, expected("a table", v).Error(), "write [defaults]")
		return base
	}
	s.set = l.table(reflect.ValueOf(&s.Account).Elem(), table, s.path)
	l.checkClashes(&s)
	return s.Account
}

// account reads [account.NAME] on top of defaults. It returns nil if something is
// wrong, and has noted what.
func (l *loader) account(name string, v any, defaults Account) *Account {
	s := section{Account: defaults, path: []string{"account", name}}
	s.Name = name
	problems := len(l.errs)
	table, ok := v.(map[string]any)
	if !ok {
		l.add(s.path, expected("a table with the keys of an account", v).Error(), "write [account.NAME]")
		return nil
	}
	if msg := checkName(name); msg != "" {
		l.add(s.path, msg, "1 to 64 letters, digits or . _ - + @, not beginning with - or .")
		return nil
	}
	dst := reflect.ValueOf(&s.Account).Elem()
	for _, f := range families() {
		if f.any(table) {
			// A table comes on top of that of [defaults].
			l.clearKeys(dst, slices.DeleteFunc(f.keys, func(key string) bool {
				_, ok := table[key].(map[string]any)
				return ok && (key == "imap" || key == "smtp")
			}))
		}
	}
	s.set = l.table(dst, table, s.path)
	for _, g := range s.logins() {
		l.readServer(&g)
	}
	l.checkClashes(&s)
	for i, g := range s.logins() {
		own := table
		if i > 0 {
			own, _ = table[g.key].(map[string]any)
		}
		l.completeLogin(&g, own)
	}
	l.checkDestination(&s, table)
	_, own := builtin()
	if len(s.MDA) == 0 { // that of [defaults] is for the other accounts
		s.MDATimeout = own.MDATimeout
	}
	s.fill()
	l.checkRecipient(&s)
	l.checkSelf(&s)
	if len(l.errs) > problems {
		return nil
	}
	return &s.Account
}

func (f family) any(table map[string]any) bool {
	for _, k := range f.keys {
		if _, ok := table[k]; ok {
			return true
		}
	}
	return false
}

// clearKeys zeroes the fields of some keys.
func (l *loader) clearKeys(dst reflect.Value, keys []string) {
	for _, f := range l.fieldsOf(dst.Type()) {
		for _, k := range keys {
			if f.name == k {
				dst.FieldByIndex(f.index).SetZero()
			}
		}
	}
}

// fill replaces the placeholder {account} by the name of the account.
func (s *section) fill() {
	s.Maildir = fillAccount(s.Maildir, s.Name)
	s.MBox = fillAccount(s.MBox, s.Name)
	s.Recipients = fillArguments(s.Recipients, s.Name)
	for _, g := range s.logins() {
		g.fill(s.Name)
	}
	for _, t := range s.tables() {
		t.fill(s.Name)
	}
}

// fillArguments returns a copy, because all accounts share the command of [defaults].
func fillArguments(argv []string, account string) []string {
	filled := slices.Clone(argv)
	for i, arg := range filled {
		filled[i] = fillAccount(arg, account)
	}
	return filled
}

// checkRecipient sets the recipient of an account with LMTP or SMTP if it has none, and checks
// all. Without these it drops those of [defaults], which are for other accounts.
func (l *loader) checkRecipient(s *section) {
	if !s.LMTP.IsSet() && !s.SMTP.IsSet() {
		s.Recipients = nil
		return
	}
	key, hint := "recipient", ""
	if len(s.Recipients) == 0 && s.User != "" {
		s.Recipients, key, hint = []string{s.User}, "user", "the user is the recipient at the server: set recipient to another one"
	}
	at := append(s.path[:len(s.path):len(s.path)], key)
	for i, to := range s.Recipients {
		if slices.Contains(s.Recipients[:i], to) {
			l.add(at, "the list contains "+quote(to)+" twice", "")
		}
		if l.opts.CheckRecipient == nil {
			continue
		}
		if msg := l.opts.CheckRecipient(to); msg != "" {
			l.add(at, "the recipient "+quote(to)+" "+msg, hint)
		}
	}
}

// checkName returns what is wrong with the name of an account, "" for nothing. The
// name becomes a part of paths and is given as an argument.
func checkName(name string) string {
	switch {
	case name == "":
		return "the name of the account is empty"
	case len(name) > 64:
		return "the name of the account is too long"
	case name[0] == '-' || name[0] == '.':
		return "the name of the account begins with " + strconv.Quote(name[:1])
	}
	for _, r := range name {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if !letter && !strings.ContainsRune("._-+@", r) {
			return "the name of the account contains " + strconv.QuoteRune(r)
		}
	}
	return ""
}

// Destination returns the key of the destination of an account, "" if it has none.
func (a *Account) Destination() string {
	switch {
	case a.Maildir != "":
		return "maildir"
	case len(a.MDA) > 0:
		return "mda"
	case a.MBox != "":
		return "mbox"
	case a.LMTP.IsSet():
		return "lmtp"
	case a.SMTP.IsSet():
		return "smtp"
	case a.IMAP.IsSet():
		return "imap"
	}
	return ""
}

// checkDestination notes that the account has no destination. One that is in table but
// invalid has been noted already.
func (l *loader) checkDestination(s *section, table map[string]any) {
	if s.Destination() == "" && !destinations().any(table) {
		l.errs = append(l.errs, &Error{File: l.file, Line: l.doc.line(s.path...), Account: s.Name, Key: "maildir", Msg: "missing",
			Hint: `a destination is needed: for example maildir = "~/Mail/{account}", mda = ["program", "argument"], mbox = "~/mail/{account}.mbox", lmtp = "unix:/run/dovecot/lmtp", smtp = "localhost", or a table [account.NAME.imap]`})
	}
}

// checkClashes notes keys of a section that exclude each other. Only keys that the
// section itself sets count: it may override those of [defaults].
func (l *loader) checkClashes(s *section) {
	at := func(key string) []string { return append(s.path[:len(s.path):len(s.path)], key) }
	for _, g := range s.logins() {
		l.liftClient(&g)
		l.checkLogin(&g)
	}
	l.checkFamilies([]family{destinations()}, s.set, s.path, &s.Login)
	if s.Name != "" { // in [defaults] they may be for other accounts
		for _, other := range []string{"maildir", "mbox", "lmtp", "smtp", "imap"} {
			if s.set["mda_timeout"] && s.set[other] {
				l.add(at("mda_timeout"), fmt.Sprintf("mda_timeout has no effect with %s, only with mda", other), "leave it out")
			}
		}
		for _, other := range []string{"maildir", "mda", "mbox", "imap"} {
			if s.set["recipient"] && s.set[other] {
				l.add(at("recipient"), fmt.Sprintf("recipient has no effect with %s, only with lmtp and smtp", other), "leave it out")
			}
		}
	}
}

// checkFamilies notes keys of which set has more than one of a family.
func (l *loader) checkFamilies(families []family, set map[string]bool, path []string, g *Login) {
	for _, f := range families {
		first := ""
		for _, k := range f.keys {
			switch {
			case !set[k], k == "keyring" && !g.Keyring:
			case first == "":
				first = k
			default:
				l.add(append(path[:len(path):len(path)], k), fmt.Sprintf("%s and %s %s", first, k, f.clash), "keep one of them")
			}
		}
	}
}

// checkTwins notes accounts that share user and host. What was delivered is
// recorded under these two, so that each would take the other's messages for its
// own. The port is not part of the record: servers move to another one.
func checkTwins(accounts []owned) {
	first := make(map[[2]string]owned, len(accounts))
	for _, a := range accounts {
		key := [2]string{a.User, a.Host}
		other, ok := first[key]
		if !ok {
			first[key] = a
			continue
		}
		hint := "one maildrop is one account"
		switch {
		case !slices.Equal(other.Tunnel, a.Tunnel):
			hint = "if the tunnels lead to two servers, write another name as server of one: with a tunnel the name need not exist"
		case other.Port == a.Port:
		case isLoopback(a.Host):
			hint = "if another server answers at this port, tell the two apart by address: 127.0.0.1, 127.0.0.2 and so on are all this machine"
		default:
			hint = "if another server answers at this port, tell the two apart by name: use the IP address or another name of the host for one of them, with tls_server_name"
		}
		a.in.add([]string{"account", a.Name, "user"},
			fmt.Sprintf("user %s at %s is account %q already", quote(a.User), a.Host, other.Name), hint)
	}
}

// warnings returns what is allowed but probably not intended, a sentence each.
func (l *loader) warnings(a *Account) []string {
	if !a.Enabled {
		return nil
	}
	var out []string
	warn := func(key, msg, hint string) {
		e := Error{File: l.file, Line: l.doc.line(append([]string{"account", a.Name}, strings.Split(key, ".")...)...), Account: a.Name, Key: key, Msg: msg, Hint: hint}
		out = append(out, e.Error())
	}
	s := section{Account: *a, path: []string{"account", a.Name}}
	for i, g := range s.logins() {
		g.warn(func(key, msg, hint string) {
			if i > 0 {
				key = g.key + "." + key
			}
			warn(key, msg, hint)
		})
	}
	if a.Timeout > a.Deadline {
		warn("timeout", fmt.Sprintf("timeout %s is longer than deadline %s, which ends the poll first", a.Timeout, a.Deadline), "")
	}
	if a.LMTP.IsSet() && !a.LMTP.local() {
		warn("lmtp", "mail crosses the network to the LMTP server in clear text", "a socket or an LMTP server on this machine avoids it")
	}
	warnLiteral(warn, "mda", a.MDA)
	return out
}

// warnLiteral warns of an argument that only a shell would expand.
func warnLiteral(warn func(key, msg, hint string), key string, argv []string) {
	for i, arg := range argv {
		if i > 0 && (strings.HasPrefix(arg, "~/") || strings.HasPrefix(arg, "$HOME")) {
			warn(key, quote(arg)+" is passed unchanged: no shell is run", "write the path in full")
		}
	}
}

func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
