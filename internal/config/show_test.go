package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func show(t *testing.T, c *Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What Show writes is a configuration that shows the same.
func TestShownConfigurationIsReadBack(t *testing.T) {
	t.Setenv("ODD", `/a "b\ $c`)
	c := mustLoad(t, `
on_new_mail = ["$ODD/x", "$HOME\t\u007f\\\""]
[account."me@example.org"]
server = "[::1]"
user = "a\"b\\ü"
maildir = "$ODD/{account}"
password = "hunter2"
keep = "14d"
max_size = 1000
tls_fingerprint = "`+strings.Repeat("ab", 32)+`"
source_address = "::1"
proxy = "socks5://[::1]:1080"
auth = ["plain", "apop"]
[account.none]
server = "localhost"
user = "u"
tls = "none"
keep = false
mda = ["$ODD", "{user}", "$HOME"]
[account.third]
server = "h"
user = "u"
maildir = "/m"
enabled = false
`)
	first := show(t, c)
	again := mustLoad(t, first)
	again.File = c.File
	if second := show(t, again); second != first {
		t.Errorf("first:\n%s\nsecond:\n%s", first, second)
	}
	for _, want := range []string{`password = "***"`, `[account."me@example.org"]`, `keep = "14d"`, `max_size = "1000B"`, `keep = false`, `auth = "auto"`,
		`# mda is not set`, `# tls_ca_file is not set`, `# mda_timeout = "5m"`, `# tls_min_version = "1.2"`, `mda_timeout = "5m"`, `enabled = false`, "looked up in netrc"} {
		if !strings.Contains(first, "\n"+want) && !strings.Contains(first, want+", then") {
			t.Errorf("%s is missing in\n%s", want, first)
		}
	}
	for _, key := range names(fieldsOf(reflect.TypeFor[Account]())) {
		if n := len(regexp.MustCompile(`(?m)^(# )?`+key+` (=|is not set)`).FindAllString(first, -1)); n < 3 {
			t.Errorf("%s is shown %d times for 3 accounts", key, n)
		}
	}
}

// allKeys returns the keys of both structs, sorted, without repetition.
func allKeys() []string {
	keys := append(names(fieldsOf(reflect.TypeFor[Config]())), names(fieldsOf(reflect.TypeFor[Account]()))...)
	for _, t := range new(Account).tables() {
		keys = append(keys, names(fieldsOf(reflect.TypeOf(t).Elem()))...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var shownKey = regexp.MustCompile(`(?m)^(?:# )?([a-z_]+) = `)

func found(re *regexp.Regexp, text string) []string {
	var keys []string
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		keys = append(keys, m[1])
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func TestExampleNamesEveryKey(t *testing.T) {
	text := read(t, "../../config.example.toml")
	if got := found(regexp.MustCompile(`(?m)^(?:# )?(?:\[account\.work\.)?([a-z_]+)(?: = |\]$)`), text); !slices.Equal(got, allKeys()) {
		t.Errorf("example: %q\ncode:    %q", got, allKeys())
	}
}

func TestExampleLoads(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	c := mustLoad(t, read(t, "../../config.example.toml"))
	if len(c.Accounts) != 1 || len(c.Warnings) > 0 || c.Accounts[0].Maildir != "/home/me/Mail/work" {
		t.Errorf("got %+v, %q", c.Accounts, c.Warnings)
	}
}

// Every commented line of the example is right by itself, and is the default
// unless its key has none.
func TestExampleShowsDefaults(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("STATE_DIRECTORY", "")
	text := read(t, "../../config.example.toml")
	plain := show(t, mustLoad(t, text))
	withoutDefault := strings.Fields(`on_new_mail on_failure metrics_listen metrics_file password_file credential password token_command oauth client_id client_secret client_secret_command tls_ca_file tls_fingerprint tls_server_name
		tls_client_cert tls_client_key mda mda_timeout mbox lmtp recipient source_address proxy tunnel`)
	text, tables, _ := strings.Cut(text, "\n# [account.work.")
	exampleTables(t, text, "# [account.work."+tables)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		m := shownKey.FindStringSubmatch(line)
		if m == nil || !strings.HasPrefix(line, "# ") {
			continue
		}
		changed := slices.Clone(lines)
		changed[i] = strings.TrimPrefix(line, "# ")
		switch key := m[1]; key {
		case "password_file", "credential", "password", "token_command": // one source at a time
			changed = slices.DeleteFunc(changed, func(s string) bool { return strings.HasPrefix(s, "password_command") })
		case "oauth", "client_id", "client_secret", "client_secret_command":
			for j, s := range changed {
				if strings.HasPrefix(s, "# oauth = ") || strings.HasPrefix(s, "# client_id = ") {
					changed[j] = strings.TrimPrefix(s, "# ")
				}
			}
			changed = slices.DeleteFunc(changed, func(s string) bool { return strings.HasPrefix(s, "password_command") })
		case "tls_client_cert", "mda_timeout", "recipient": // one needs the other
			for j, s := range changed {
				if strings.HasPrefix(s, "# tls_client_key = ") && key == "tls_client_cert" || strings.HasPrefix(s, "# mda = ") && key == "mda_timeout" || strings.HasPrefix(s, "# lmtp = ") && key == "recipient" {
					changed[j] = strings.TrimPrefix(s, "# ")
				}
			}
		case "tls_client_key":
			continue // with tls_client_cert
		case "include":
			continue // the directory has to exist, see TestIncludedFilesAddAccountsInOrder
		}
		c := mustLoad(t, strings.Join(changed, "\n"))
		got := show(t, c)
		got = strings.Replace(got, c.File, "", 1)
		_, want, _ := strings.Cut(plain, "\n")
		_, got, _ = strings.Cut(got, "\n")
		if same := got == want; same == slices.Contains(withoutDefault, m[1]) {
			t.Errorf("line %d: %s: the same as without it: %v", i+1, line, same)
		}
	}
}

// exampleTables loads the example with each of its commented tables as the destination.
// A commented key in such a table shows its default.
func exampleTables(t *testing.T, text, tables string) {
	t.Helper()
	text = strings.Replace(text, "\nmaildir = ", "\n# maildir = ", 1)
	n := 0
	for table := range strings.SplitSeq(tables, "\n# [account.work.") {
		n++
		header, keys, _ := strings.Cut(strings.TrimPrefix(table, "# [account.work."), "\n")
		header = "\n[account.work." + header + "\n"
		uncommented := regexp.MustCompile(`(?m)^# ([a-z_]+ = )`).ReplaceAllString(keys, "$1")
		c := mustLoad(t, text+header+uncommented)
		if len(c.Warnings) > 0 {
			t.Errorf("%s: %q", header, c.Warnings)
		}
	}
	if want := len(new(Account).tables()); n != want {
		t.Errorf("%d tables in the example, want %d", n, want)
	}
}

func TestManualNamesEveryKey(t *testing.T) {
	text := read(t, "../../man/popfetch.toml.5")
	if got := found(regexp.MustCompile(`(?m)^\.It Ic ([a-z_]+) Pq `), text); !slices.Equal(got, allKeys()) {
		t.Errorf("manual: %q\ncode:   %q", got, allKeys())
	}
}

// The examples of the manual are configurations.
func TestManualExamples(t *testing.T) {
	text := read(t, "../../man/popfetch.toml.5")
	n := 0
	for _, m := range regexp.MustCompile(`(?s)\.Bd -literal[^\n]*\n(.*?)\.Ed`).FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], "[account.") {
			mustLoad(t, m[1])
			n++
		}
	}
	if n < 3 {
		t.Errorf("%d examples", n)
	}
}
