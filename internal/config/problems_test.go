package config

import (
	"slices"
	"strings"
	"testing"
)

// account puts keys into an account that has all it needs from line 5 on.
func account(keys string) string {
	return "[account.work]\nserver = \"pop.example.org\"\nuser = \"me\"\nmaildir = \"/mail\"\n" + keys
}

func TestEveryProblemHasLineAccountAndKey(t *testing.T) {
	for _, x := range []struct {
		name, text string
		want       []string // the lines of the error, or their beginnings
	}{
		{"unknown key", "[account.work]\nservr = \"x\"\nuser = \"me\"\nmaildir = \"/m\"", []string{
			`config.toml:1: account "work": key "server": missing (for example server = "pop.example.org")`,
			`config.toml:2: account "work": key "servr": unknown key (did you mean "server"?)`,
		}},
		{"wrong case", account(`Keep = true`), []string{`config.toml:5: account "work": key "Keep": unknown key (keys are in lower case: "keep")`}},
		{"same key in two cases", account("keep = true\nKEEP = false"), []string{`config.toml:6: account "work": key "KEEP": unknown key (keys are in lower case: "keep")`}},
		{"name of another program", account(`leave_on_server = true`), []string{`config.toml:5: account "work": key "leave_on_server": unknown key (here it is called "keep")`}},
		{"port on its own", account(`port = 110`), []string{`config.toml:5: account "work": key "port": unknown key (the port is a part of server: "HOST:PORT")`}},
		{"name of the state file", "state_file = \"/var/lib/popfetch.db\"\n" + account(""), []string{`config.toml:1: key "state_file": unknown key (here it is called "state")`}},
		{"no idea", account(`zzzzzzzzzz = true`), []string{`config.toml:5: account "work": key "zzzzzzzzzz": unknown key (see popfetch.toml(5))`}},
		{"account key at the top", "keep = true\n" + account(""), []string{`config.toml:1: key "keep": unknown key (it belongs below [account.NAME] or [defaults])`}},
		{"top key in account", account(`parallel = 3`), []string{`config.toml:5: account "work": key "parallel": unknown key (it belongs to the top, before the first [table])`}},
		{"top key in defaults", account("[defaults]\nstate = \"/x\""), []string{`config.toml:6: key "defaults.state": unknown key (it belongs to the top, before the first [table])`}},
		{"wrong table", account("[default]\nkeep = true"), []string{`config.toml:5: key "default": unknown key (did you mean "defaults"?)`}},
		{"array of tables", "[[account]]\nserver = \"x\"", []string{`config.toml:1: key "account": accounts are tables with a name (write [account.NAME] instead of [[account]])`}},
		{"account is no table", "account = 3", []string{`config.toml:1: key "account": expected tables with the names of the accounts, found the integer 3`}},
		{"account without name", "[account]\nserver = \"x\"", []string{`config.toml:2: account "server": expected a table with the keys of an account, found a string (write [account.NAME])`}},
		{"defaults is no table", "defaults = 3\n" + account(""), []string{`config.toml:1: key "defaults": expected a table, found the integer 3 (write [defaults])`}},
		{"no account", "parallel = 3\n", []string{`config.toml:1: no account is configured (`}},
		{"empty", "", []string{`config.toml:1: no account is configured (`}},
		{"nothing but a name", "\n[account.work]\n", []string{
			`config.toml:2: account "work": key "maildir": missing (a destination is needed`,
			`config.toml:2: account "work": key "server": missing`,
			`config.toml:2: account "work": key "user": missing`,
		}},
		{"reported by line", account("keep = 3\ntimeout = 3\n[account.b]\nx=1"), []string{
			`config.toml:5: account "work": key "keep": the duration 3 has no unit; write "3d"`,
			`config.toml:6: account "work": key "timeout": the duration 3 has no unit; write "3m", "3s" or another unit`,
			`config.toml:7: account "b": key "maildir": missing`, `config.toml:7: account "b": key "server": missing`,
			`config.toml:7: account "b": key "user": missing`, `config.toml:8: account "b": key "x": unknown key`,
		}},
		{"default wrong once", "[defaults]\ntimeout = true\n[account.a]\nserver=\"h\"\nuser=\"a\"\nmaildir=\"/m\"\n[account.b]\nserver=\"h\"\nuser=\"b\"\nmaildir=\"/m\"",
			[]string{`config.toml:2: key "defaults.timeout": expected a duration such as "5m", found true`}},
		{"two secrets", account("password_file = \"/x\"\ncredential = \"c\""), []string{
			`config.toml:6: account "work": key "credential": password_file and credential both say where the secret comes from (keep one of them)`}},
		{"two destinations", account(`mda = ["x"]`), []string{
			`config.toml:5: account "work": key "mda": maildir and mda are both a destination, and an account has exactly one (keep one of them)`}},
		{"two destinations by default", "[defaults]\nmda = [\"x\"]\nmaildir = \"/x\"\n[account.a]\nserver = \"h\"\nuser = \"u\"", []string{
			`config.toml:2: key "defaults.mda": maildir and mda are both`}},
		{"authority and fingerprint", account("tls_ca_file = \"/x\"\ntls_fingerprint = \"" + strings.Repeat("ab", 32) + `"`), []string{
			`config.toml:6: account "work": key "tls_fingerprint": tls_ca_file and tls_fingerprint exclude each other`}},
		{"TLS settings without TLS", account("tls = \"none\"\ntls_ca_file = \"/x\""), []string{
			`config.toml:6: account "work": key "tls_ca_file": tls_ca_file has no effect with tls = "none"`}},
		{"TLS settings without TLS by default", "[defaults]\ntls = \"none\"\n" + account("tls_min_version = \"1.3\""), []string{
			`config.toml:7: account "work": key "tls_min_version": tls_min_version has no effect with tls = "none"`}},
		{"metrics on every address", "metrics_listen = \":9110\"\n" + account(""), []string{`config.toml:1: key "metrics_listen": the address is missing before the port; write "localhost:9110", or "[::]:9110" for every address of this machine`}},
		{"metrics without port", "metrics_listen = \"localhost\"\n" + account(""), []string{`config.toml:1: key "metrics_listen": the port is missing; write "localhost:9110" or "unix:/run/popfetch/metrics"`}},
		{"metrics at a path", "metrics_listen = \"/run/metrics\"\n" + account(""), []string{`config.toml:1: key "metrics_listen": a socket is written with unix: before its path: "unix:/run/metrics"`}},
		{"metrics at a number", "metrics_listen = 9110\n" + account(""), []string{`config.toml:1: key "metrics_listen": expected a string such as "localhost:9110" or "unix:/run/popfetch/metrics", found the integer 9110`}},
		{"lmtp", account(`lmtp = "/run/lmtp"`), []string{`config.toml:5: account "work": key "lmtp": a socket is written with unix: before its path: "unix:/run/lmtp"`}},
		{"lmtp and maildir", account(`lmtp = "localhost"`), []string{`config.toml:5: account "work": key "lmtp": maildir and lmtp are both a destination`}},
		{"recipient without lmtp", account(`recipient = "me"`), []string{`config.toml:5: account "work": key "recipient": recipient has no effect with maildir, only with lmtp and smtp`}},
		{"several recipients", "[account.a]\nserver = \"h\"\nuser = \"u\"\nlmtp = \"localhost\"\nrecipient = [\"a\", \"a\"]", []string{
			`config.toml:5: account "a": key "recipient": the list contains "a" twice`}},
		{"no recipient", "[account.a]\nserver = \"h\"\nuser = \"u\"\nlmtp = \"localhost\"\nrecipient = []", []string{
			`config.toml:5: account "a": key "recipient": expected an address or a list of addresses, found an empty list`}},
		{"mda_timeout", account(`mda_timeout = "1m"`), []string{`config.toml:5: account "work": key "mda_timeout": mda_timeout has no effect with maildir, only with mda`}},
		{"certificate without key", account(`tls_client_cert = "/x"`), []string{`config.toml:5: account "work": key "tls_client_cert": tls_client_cert needs tls_client_key`}},
		{"key without certificate", account(`tls_client_key = "/x"`), []string{`config.toml:5: account "work": key "tls_client_key": tls_client_key needs tls_client_cert`}},
		{"twins", account("[account.w2]\nserver = \"POP.example.org:110\"\nuser = \"me\"\nmda = [\"x\"]"), []string{
			`config.toml:7: account "w2": key "user": user "me" at pop.example.org is account "work" already`}},
		{"line end in user", "[account.a]\nserver = \"h\"\nuser = \"a\\r\\nDELE 1\"\nmaildir = \"/m\"", []string{`config.toml:3: account "a": key "user": the string contains the control character \r; in double quotes a backslash begins an escape: write the text in single quotes, 'DOMAIN\name'`}},
		{"NUL in password", account(`password = "a\u0000b"`), []string{`config.toml:5: account "work": key "password": the password contains the control character \x00; in double quotes`}},
		{"unset variable", account(`tls_ca_file = "$POPFETCH_UNSET/x"`), []string{`config.toml:5: account "work": key "tls_ca_file": the variable $POPFETCH_UNSET is not set`}},
		{"unknown placeholder", "[account.a]\nserver=\"h\"\nuser=\"a\"\nmaildir = \"/{user}\"", []string{`config.toml:4: account "a": key "maildir": "{user}" is not a placeholder here, only {account} is`}},
		{"command as string", account(`password_command = "pass show x"`), []string{`config.toml:5: account "work": key "password_command": expected a list, found a string; no shell is run: write ["program", "argument"]`}},
		{"empty command", account(`password_command = []`), []string{`config.toml:5: account "work": key "password_command": the list is empty`}},
		{"number in command", account(`password_command = ["a", 1]`), []string{`config.toml:5: account "work": key "password_command": expected a list of strings; element 2 is not a string, found the integer 1`}},
		{"credential with slash", account(`credential = "../x"`), []string{`config.toml:5: account "work": key "credential": "../x" is not a file name`}},
		{"auto among methods", account(`auth = ["auto", "plain"]`), []string{`config.toml:5: account "work": key "auth": "auto" cannot be combined with methods`}},
		{"method twice", account(`auth = ["plain", "PLAIN"]`), []string{`config.toml:5: account "work": key "auth": the list contains "plain" twice`}},
		{"unknown method", account(`auth = "PLAINN"`), []string{`config.toml:5: account "work": key "auth": "plainn" is an unknown method; the methods are "plain", "login", "cram-md5", "external", "gssapi", "scram-sha-1", "scram-sha-256", "scram-sha-1-plus", "scram-sha-256-plus", "xoauth2", "oauthbearer", "user" or "apop"; did you mean "plain"?`}},
		{"tls", account(`tls = "start_tls"`), []string{`config.toml:5: account "work": key "tls": "start_tls" is not one of "implicit", "starttls" or "none"; did you mean "starttls"?`}},
		{"tls as boolean", account(`tls = true`), []string{`config.toml:5: account "work": key "tls": expected one of "implicit", "starttls" or "none", found true`}},
		{"version as number", account(`tls_min_version = 1.2`), []string{`config.toml:5: account "work": key "tls_min_version": expected a string, found the number 1.2; write it in quotes: "1.2"`}},
		{"old version", account(`tls_min_version = "1.1"`), []string{`config.toml:5: account "work": key "tls_min_version": "1.1" is not one of "1.2" or "1.3"`}},
		{"SHA-1", account(`tls_fingerprint = "` + strings.Repeat("ab", 20) + `"`), []string{`config.toml:5: account "work": key "tls_fingerprint": "abab`}},
		{"zero", account("timeout = \"0s\"\nmax_messages = -1"), []string{
			`config.toml:5: account "work": key "timeout": the duration has to be greater than zero`,
			`config.toml:6: account "work": key "max_messages": -1 is out of range`}},
		{"zero at the top", "parallel = 0\nparallel_per_host = 2.5\n" + account(""), []string{
			`config.toml:1: key "parallel": the number has to be at least 1`,
			`config.toml:2: key "parallel_per_host": expected an integer such as 16, found the number 2.5`}},
		{"negative size", account(`max_size = -5`), []string{`config.toml:5: account "work": key "max_size": the size -5 is negative`}},
		{"keep in quotes", account(`keep = "false"`), []string{`config.toml:5: account "work": key "keep": "false" in quotes is not a duration; write false without quotes`}},
		{"keep nothing", account(`keep = "0d"`), []string{`config.toml:5: account "work": key "keep": "0d" keeps nothing; write false`}},
		{"source address", account(`source_address = "localhost"`), []string{`config.toml:5: account "work": key "source_address": "localhost" is not an IP address`}},
		{"table for a value", account("[account.work.keep]\nx = 1"), []string{`config.toml:5: account "work": key "keep": expected true, false or a duration such as "14d", found a table`}},
		{"empty string", account(`tls_server_name = ""`), []string{`config.toml:5: account "work": key "tls_server_name": the string is empty; leave the key out`}},
		{"types", account("enabled = \"yes\"\nauth = 3\nsource_address = 3\nmax_size = 2026-01-01\ntls_fingerprint = \"zz\"\nproxy = []\n" +
			"tls_server_name = \"a b\"\npassword = \"\"\nkeep = 1.5\npipelining = [[1]]\ntls_min_version = [{a = 1}]"), []string{
			`config.toml:5: account "work": key "enabled": expected true or false, found a string`,
			`config.toml:6: account "work": key "auth": expected "auto", a method or a list of methods, found the integer 3`,
			`config.toml:7: account "work": key "source_address": expected an IP address such as "192.0.2.1", found the integer 3`,
			`config.toml:8: account "work": key "max_size": expected a size such as "50MiB" or a number of octets, found a date`,
			`config.toml:9: account "work": key "tls_fingerprint": "zz" is not a SHA-256 fingerprint of 64 hex digits`,
			`config.toml:10: account "work": key "proxy": expected the URL of a proxy such as "socks5://localhost:1080", found a list`,
			`config.toml:11: account "work": key "tls_server_name": "a b" is not the name of a host`,
			`config.toml:12: account "work": key "password": the password is empty`,
			`config.toml:13: account "work": key "keep": expected true, false or a duration such as "14d", found the number 1.5`,
			`config.toml:14: account "work": key "pipelining": expected one of "auto", "on" or "off", found a list`,
			`config.toml:15: account "work": key "tls_min_version": expected one of "1.2" or "1.3", found a list`,
		}},
		{"more types", "[account.work]\nserver = \"a b\"\nuser = 3\nmda = [\"\"]\nauth = []\npassword_command = [\"x\", \"\\u0000\"]\ntls_fingerprint = 3\n" +
			"password_file = \"$NO_SUCH_VAR\"\n", []string{
			`config.toml:2: account "work": key "server": "a b" is not the name of a host`,
			`config.toml:3: account "work": key "user": expected a string, found the integer 3`,
			`config.toml:4: account "work": key "mda": the name of the program is empty`,
			`config.toml:5: account "work": key "auth": expected "auto", a method or a list of methods, found an empty list`,
			`config.toml:6: account "work": key "password_command": an argument holds a NUL`,
			`config.toml:7: account "work": key "tls_fingerprint": expected "first-use", a fingerprint or a list of fingerprints, found the integer 3`,
			`config.toml:8: account "work": key "password_file": the variable $NO_SUCH_VAR is not set`,
		}},
		{"empty account table", "account = {}", []string{`config.toml:1: key "account": no account is configured (write [account.NAME] and its keys)`}},
		{"syntax", "parallel = 3\nstate = \n", []string{`config.toml:2: column 9: not TOML: no value after the = (write state = "...")`}},
		{"duplicate key", account("keep = true\nkeep = false"), []string{`config.toml:6: column 13: not TOML: Key 'account.work.keep' has already been defined.`}},
	} {
		t.Run(x.name, func(t *testing.T) {
			got := problems(t, x.text)
			same := func(g, w string) bool { return strings.HasPrefix(g, w) }
			if !slices.EqualFunc(got, x.want, same) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(x.want, "\n  "))
			}
		})
	}
}

func TestAccountNameThatIsNoPathIsRefused(t *testing.T) {
	for _, name := range []string{"", "-x", ".hidden", "..", "a/b", "a*", "a b", "ä", "a\x01", strings.Repeat("a", 65), "{account}"} {
		text := strings.ReplaceAll(account(""), "account.work", "account."+quoteTOML(name))
		got := problems(t, text)
		if len(got) != 1 || !strings.Contains(got[0], "config.toml:1: ") || !strings.Contains(got[0], "the name of the account") {
			t.Errorf("%q: %q", name, got)
		}
	}
	for _, name := range []string{"a", "A.b_c-d+e@f", "7", strings.Repeat("a", 64), "_"} {
		mustLoad(t, strings.ReplaceAll(account(""), "account.work", "account."+quoteTOML(name)))
	}
}

func TestServerIsHostWithOrWithoutPort(t *testing.T) {
	for _, x := range []struct {
		server, host string
		port         int
	}{
		{"POP.Example.ORG", "pop.example.org", 0}, {"pop.example.org.:110", "pop.example.org", 110},
		{"192.0.2.1:1", "192.0.2.1", 1}, {"[2001:DB8::1]", "2001:db8::1", 0}, {"[::1]:65535", "::1", 65535},
		{"pop.bücher.example", "pop.bücher.example", 0},
	} {
		host, port, err := splitServer(x.server)
		if host != x.host || port != x.port || err != nil {
			t.Errorf("%s: %q, %d, %v", x.server, host, port, err)
		}
	}
	for server, want := range map[string]string{
		"":                      "is not the name of a host",
		"pop3s://pop.x.org":     "is a URL",
		"::1":                   `needs brackets: "[::1]"`,
		"[::1":                  "no closing bracket",
		"[192.0.2.1]":           "not an IPv6 address",
		"[::1]110":              "has more after the bracket",
		"host:":                 "not a port",
		"host:0":                "not a port",
		"host:65536":            "not a port",
		"host:pop3":             "not a port",
		"a b":                   "is not the name of a host",
		"a..b":                  "is not the name of a host",
		"host/path":             "is not the name of a host",
		"me@pop.example.org":    "write the host alone",
		strings.Repeat("a", 64): "is not the name of a host",
	} {
		if host, _, err := splitServer(server); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v", server, host, err)
		}
	}
}

func TestUnusableProxyIsRefused(t *testing.T) {
	for _, bad := range []any{"localhost:1080", "ftp://h:1", "socks4://h:1", "socks5://h", "http://u:hunter2@h", "socks5://:1", "socks5://h:0", "socks5://h:1/x",
		"socks5://u@h:1", "http://u:hunter2/@h:1", "socks5://u:hunter2@h:1%zz", "NONE", 3} {
		var p Proxy
		if err := p.UnmarshalTOML(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: %v, %v", bad, p, err)
		}
	}
}

func TestServerHidesAPassword(t *testing.T) {
	for _, s := range []string{"me:hunter2@pop.example.org", "pop3s://me:hunter2@pop.example.org"} {
		if _, _, err := splitServer(s); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// A library that recurses for each bracket must not exhaust the stack.
func TestDeepNestingDoesNotExhaustTheStack(t *testing.T) {
	for _, unit := range []string{"[", "{a=", "[{a="} {
		got := problems(t, account("\nx = "+strings.Repeat(unit, 1<<16)))
		if len(got) != 1 || got[0] != "config.toml:6: not TOML: lists and tables are nested too deeply" {
			t.Errorf("%s: %.200q", unit, got)
		}
	}
	if got := problems(t, account("x"+strings.Repeat(".a", 1<<8)+" = 1")); len(got) != 1 || !strings.HasPrefix(got[0], `config.toml:5: account "work": key "x": unknown key`) {
		t.Errorf("dotted: %.200q", got)
	}
}

// A wrong value must not show a password, whatever is wrong with it.
func TestErrorsHideTheirValues(t *testing.T) {
	for _, text := range []string{
		"password = hunter2", "password = \"hunter2", "password = 'hunter2", "password = \"a\"hunter2\"", "password = \"hunter2\\q\"",
		"password = hunter2\"", "password = 4242424242424242424242", "password = 0042424242", "password = 42_4242_", "password = [\"hunter2\"]",
		"password = 4242", "password = 42.42", "password hunter2", "password: hunter2", "password = \"x\" hunter2", "password = +hunter2",
		"password = { hunter2 }", "password = 2026-42-42", "password = \"hunter2\"\npassword = \"hunter2\"", "password = \"\\uhunter2\"",
		"password = \"it's \"hunter2'", "password = inf4242", "password = 0xhunter2", "password = 4242-01-01T99:99:99Z",
		"tls_ca_file = 5\nproxy = \"socks5://u:hunter2@h:1\"",
		"password = \"hunter2\"\npassword_file = \"/x\"", "password = \"hunter2\\u0000\"", "password_command = \"echo hunter2\"",
	} {
		for _, line := range problems(t, account(text)) {
			if strings.Contains(line, "hunter") || strings.Contains(line, "42") || strings.Contains(line, "2\"") {
				t.Errorf("%s: %s", text, line)
			}
			if !strings.HasPrefix(line, "config.toml:5: ") && !strings.HasPrefix(line, "config.toml:6: ") {
				t.Errorf("%s: wrong line: %s", text, line)
			}
		}
	}
}

// "CORP\bob" is a backspace to TOML. The server would get a name that looks right
// in every message.
func TestBackslashInDoubleQuotesIsRefused(t *testing.T) {
	for _, text := range []string{`user = "CORP\bob"`, `user = "CORP\tom"`, `user = "CORP\frank"`, `user = "CORP\rita"`, `user = "CORP\nils"`,
		`user = "CORP\u0007"`, `user = "CORP\u0085"`, `password = "hunter2\b"`, `password = "hunter2\t"`, `server = "pop\b"`, `tls_server_name = "pop\n"`} {
		key, _, _ := strings.Cut(text, " ")
		keys := map[string]string{"server": `"h"`, "user": `"u"`, "maildir": `"/m"`}
		delete(keys, key)
		for k, v := range keys {
			text += "\n" + k + " = " + v
		}
		got := problems(t, "[account.work]\n"+text)
		if len(got) != 1 || !strings.HasPrefix(got[0], `config.toml:2: account "work": key "`+key+`": `) || strings.Contains(got[0], "hunter2") ||
			!strings.Contains(got[0], `contains the control character \`) || !strings.HasSuffix(got[0], `write the text in single quotes, 'DOMAIN\name'`) {
			t.Errorf("%s\n  got %q", text, got)
		}
	}
	c := mustLoad(t, "[account.work]\nserver = \"h\"\nmaildir = \"/m\"\nuser = 'CORP\\bob'\npassword = 'pa\\bss'\n")
	if a := c.Accounts[0]; a.User != `CORP\bob` || a.PasswordText.Reveal() != `pa\bss` {
		t.Errorf("in single quotes: %q, %q", a.User, a.PasswordText.Reveal())
	}
}

func TestMethodInUpperCaseIsAccepted(t *testing.T) {
	if c := mustLoad(t, account(`auth = ["CRAM-MD5", "Plain"]`)); !slices.Equal(c.Accounts[0].Auth, []string{"cram-md5", "plain"}) {
		t.Errorf("got %q", c.Accounts[0].Auth)
	}
	if c := mustLoad(t, account(`auth = "AUTO"`)); c.Accounts[0].Auth != nil {
		t.Errorf("got %q", c.Accounts[0].Auth)
	}
}

// Two servers behind one host differ in the port alone: the message shows a way.
func TestTwoServersBehindOneHostGetAWay(t *testing.T) {
	text := "[defaults]\nuser = \"info\"\ntls = \"none\"\nmaildir = \"/m/{account}\"\n[account.a]\nserver = \"HOST:1110\"\n[account.b]\nserver = \"HOST:2110\"\n"
	for host, want := range map[string]string{
		"localhost":    "tell the two apart by address: 127.0.0.1, 127.0.0.2 and so on are all this machine",
		"gate.example": "use the IP address or another name of the host for one of them, with tls_server_name",
	} {
		got := problems(t, strings.ReplaceAll(text, "HOST", host))
		if len(got) != 1 || !strings.Contains(got[0], `user "info" at `+host+` is account "a" already`) || !strings.Contains(got[0], want) {
			t.Errorf("%s: got %q", host, got)
		}
	}
	c := mustLoad(t, strings.Replace(strings.ReplaceAll(text, "HOST", "127.0.0.1"), "127.0.0.1:2110", "127.0.0.2:2110", 1))
	if len(c.Accounts) != 2 || len(c.Warnings) > 0 {
		t.Errorf("got %+v, %q", c.Accounts, c.Warnings)
	}
}

// A zero-width space comes with what is copied from a web page.
func TestInvisibleCharacterIsRefused(t *testing.T) {
	for _, r := range "\u00a0\u200b\u2060\ufeff\u200e\u202e\u2066" {
		got := problems(t, "[account.work]\nuser = \"me@example.org"+string(r)+"\"\nserver = \"h\"\nmaildir = \"/m\"\n")
		if len(got) != 1 || !strings.HasPrefix(got[0], `config.toml:2: account "work": key "user": the string contains the invisible character U+`) {
			t.Errorf("%U: got %q", r, got)
		}
	}
	mustLoad(t, "[account.work]\nuser = \"müller.名前@example.org\"\npassword = \"👨‍👩‍👧 hunter2\"\nserver = \"h\"\nmaildir = \"/m\"\n")
}
