package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const minimal = `
[account.work]
server = "pop.example.org"
user = "me"
maildir = "/mail"
`

// write makes a file that may hold secrets and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t testing.TB, text string) *Config {
	t.Helper()
	c, err := Load(write(t, "config.toml", text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// problems loads a configuration that is wrong and returns the lines of the
// error without the directory of the file.
func problems(t testing.TB, text string) []string {
	t.Helper()
	path := write(t, "config.toml", text)
	c, err := Load(path, Options{})
	if err == nil {
		t.Fatalf("loaded without an error: %+v", c)
	}
	return strings.Split(strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""), "\n")
}

func TestUnsetKeysHaveTheirDefaults(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/var/state")
	t.Setenv("STATE_DIRECTORY", "")
	c := mustLoad(t, minimal)
	if c.Interval != Duration(5*time.Minute) || c.Parallel != 16 || c.ParallelPerHost != 4 ||
		c.State != "/var/state/popfetch/state.db" || c.OnNewMail != nil {
		t.Errorf("top level: %+v", c)
	}
	got := *c.Accounts[0]
	want := Account{
		Name: "work", Enabled: true,
		Login:   Login{Host: "pop.example.org", Port: 995, Server: "pop.example.org", User: "me", TLS: TLSImplicit, TLSMinVersion: TLS12},
		Maildir: "/mail", MDATimeout: Duration(5 * time.Minute),
		Interval: Duration(5 * time.Minute), Timeout: Duration(time.Minute), MinRate: 128, Deadline: Duration(time.Hour),
		Pipelining: PipeliningAuto, Received: true,
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(Account{}), cmp.Comparer(func(a, b Secret) bool { return a.Reveal() == b.Reveal() }),
		cmp.Comparer(func(a, b Proxy) bool { return a.String() == b.String() }),
		cmp.Comparer(func(a, b interface{ IsValid() bool }) bool { return a.IsValid() == b.IsValid() })); d != "" {
		t.Errorf("account (-want +got):\n%s", d)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("MAILROOT", "/srv/mail")
	c := mustLoad(t, `
interval = "10m"
parallel = 3
parallel_per_host = 2
state = "~/state.db"
on_new_mail = ["~/bin/new", "~/x"]
[account.a]
enabled = false
server = "[::1]:1995"
user = "me@example.org"
password_command = ["pass", "show", "{account}"]
tls = "starttls"
tls_fingerprint = ["9F:86:D0:81:88:4C:7D:65:9A:2F:EA:A0:C5:5A:D0:15:A3:BF:4F:1B:2B:0B:82:2C:D1:5D:6C:15:B0:F0:0A:08",
  "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
tls_server_name = "mail.example.org"
tls_min_version = "1.3"
tls_client_cert = "c.pem"
tls_client_key = "$MAILROOT/k.pem"
auth = ["cram-md5", "apop"]
mda = ["maildrop", "-d", "{user}"]
mda_timeout = "90s"
keep = "1d12h"
max_size = "50MiB"
max_messages = 7
interval = "1h"
timeout = "5s"
min_rate = "1kB"
deadline = "2m"
pipelining = "off"
received = false
source_address = "192.0.2.1"
proxy = "socks5://localhost:1080"
`)
	a := c.Accounts[0]
	dir := filepath.Dir(c.File)
	for _, x := range []struct {
		name      string
		got, want any
	}{
		{"interval", c.Interval.String(), "10m"}, {"parallel", c.Parallel, 3}, {"parallel_per_host", c.ParallelPerHost, 2},
		{"state", c.State, "/home/me/state.db"}, {"on_new_mail", strings.Join(c.OnNewMail, "|"), "/home/me/bin/new|~/x"},
		{"enabled", a.Enabled, false}, {"host", a.Host, "::1"}, {"port", a.Port, 1995}, {"address", a.Address(), "[::1]:1995"},
		{"password_command", strings.Join(a.PasswordCommand, "|"), "pass|show|a"}, {"tls", a.TLS, TLSStart},
		{"fingerprints", len(a.TLSFingerprints), 2}, {"same fingerprint", a.TLSFingerprints[0], a.TLSFingerprints[1]},
		{"fingerprint", a.TLSFingerprints[0].String(), "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		{"server name", a.TLSServerName, "mail.example.org"}, {"min version", a.TLSMinVersion, TLS13},
		{"client cert", a.TLSClientCert, dir + "/c.pem"}, {"client key", a.TLSClientKey, "/srv/mail/k.pem"},
		{"auth", strings.Join(a.Auth, "|"), "cram-md5|apop"}, {"mda", strings.Join(a.MDA, "|"), "maildrop|-d|{user}"},
		{"mda_timeout", a.MDATimeout, Duration(90 * time.Second)}, {"keep", a.Keep, Keep{true, Duration(36 * time.Hour)}},
		{"max_size", a.MaxSize, Size(50 << 20)}, {"max_messages", a.MaxMessages, 7}, {"own interval", a.Interval, Duration(time.Hour)},
		{"timeout", a.Timeout, Duration(5 * time.Second)}, {"min_rate", a.MinRate, Size(1000)}, {"deadline", a.Deadline, Duration(2 * time.Minute)},
		{"pipelining", a.Pipelining, PipeliningOff}, {"received", a.Received, false},
		{"source_address", a.SourceAddress.String(), "192.0.2.1"}, {"proxy", a.Proxy.String(), "socks5://localhost:1080"},
	} {
		if x.got != x.want {
			t.Errorf("%s: got %v, want %v", x.name, x.got, x.want)
		}
	}
}

func TestAccountsKeepTheOrderOfTheFile(t *testing.T) {
	var text strings.Builder
	want := []string{"zoe", "b.c", "me@example.org", "a", "M"}
	for _, n := range want {
		text.WriteString("[account.\"" + n + "\"]\nserver = \"h\"\nuser = \"" + n + "\"\nmaildir = \"/m\"\n")
	}
	var got []string
	for _, a := range mustLoad(t, text.String()).Accounts {
		got = append(got, a.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAccountOverridesDefaults(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	c := mustLoad(t, `
interval = "7m"
[defaults]
server = "pop.example.org"
password_command = ["pass", "{account}"]
maildir = "~/Mail/{account}"
tls_ca_file = "/ca.pem"
tls_server_name = "n"
keep = false
timeout = "9s"
mda_timeout = "1m"
[account.a]
user = "a"
[account.b]
user = "b"
mda = ["x"]
password_file = "~/{account}.pw"
tls_fingerprint = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
keep = true
interval = "1m"
[account.c]
user = "c"
server = "localhost"
tls = "none"
`)
	a, b, n := c.Accounts[0], c.Accounts[1], c.Accounts[2]
	if a.Maildir != "/home/me/Mail/a" || !slices.Equal(a.PasswordCommand, []string{"pass", "a"}) ||
		a.TLSCAFile != "/ca.pem" || !a.Keep.Delete || a.Timeout.String() != "9s" || a.Interval.String() != "7m" {
		t.Errorf("a: %+v", a)
	}
	if b.Maildir != "" || b.PasswordCommand != nil || b.PasswordFile != "/home/me/b.pw" || b.TLSCAFile != "" ||
		b.Keep.Delete || b.Interval.String() != "1m" || b.MDATimeout.String() != "1m" {
		t.Errorf("b: %+v", b)
	}
	if n.TLSCAFile != "" || n.TLSServerName != "" || n.Port != 110 || !slices.Equal(n.PasswordCommand, []string{"pass", "c"}) {
		t.Errorf("c: %+v", n)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

func TestUnintendedSettingIsWarnedOf(t *testing.T) {
	for name, x := range map[string]struct{ keys, want string }{
		"clear text":       {`tls = "none"`, "clear text"},
		"timeout":          {"timeout = \"2m\"\ndeadline = \"1m\"", "timeout 2m is longer than deadline 1m"},
		"port 995":         {"tls = \"starttls\"\nserver = \"pop.example.org:995\"", "port 995"},
		"port 110":         {`server = "pop.example.org:110"`, "port 110"},
		"tilde in command": {`password_command = ["cat", "~/secret"]`, "no shell is run"},
	} {
		t.Run(name, func(t *testing.T) {
			keys := x.keys
			if !strings.Contains(keys, "server =") {
				keys += "\nserver = \"pop.example.org\""
			}
			c := mustLoad(t, "[account.work]\nuser = \"me\"\nmaildir = \"/m\"\n"+keys)
			if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], x.want) || !strings.Contains(c.Warnings[0], `account "work": key `) {
				t.Errorf("warnings: %q", c.Warnings)
			}
		})
	}
	for _, host := range []string{"localhost", "127.0.0.9:110", "[::1]", "pop.localhost"} {
		c := mustLoad(t, "[account.a]\nuser = \"me\"\nmaildir = \"/m\"\ntls = \"none\"\nserver = \""+host+"\"")
		if len(c.Warnings) > 0 {
			t.Errorf("%s: %q", host, c.Warnings)
		}
	}
}

func TestMDAAndMethodsAreCheckedByTheirRooms(t *testing.T) {
	path := write(t, "config.toml", "[account.a]\nserver = \"h\"\nuser = \"u\"\nmda = [\"x\", \"{who}\"]\nauth = \"scram\"\n")
	var seen []string
	o := Options{Methods: []string{"scram"}, CheckMDA: func(argv []string) error { seen = argv; return nil }}
	c, err := Load(path, o)
	if err != nil || !slices.Equal(c.Accounts[0].Auth, []string{"scram"}) || !slices.Equal(seen, []string{"x", "{who}"}) {
		t.Fatalf("got %+v, %q, %v", c, seen, err)
	}
	o = Options{CheckMDA: func([]string) error { return errors.New("no such thing as {who}") }}
	_, err = Load(path, o)
	if err == nil || !strings.Contains(err.Error(), `:4: account "a": key "mda": no such thing as {who}`) ||
		!strings.Contains(err.Error(), `:5: account "a": key "auth": "scram" is an unknown method`) {
		t.Errorf("got %v", err)
	}
}

func TestMissingFileNamesTheExample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.toml")
	_, err := Load(path, Options{})
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, fs.ErrNotExist) || e.File != path || e.Hint == "" {
		t.Errorf("got %#v", err)
	}
}
