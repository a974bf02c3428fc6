package config

import (
	"bytes"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// same reports whether two configurations are equal except for what depends on the
// file: its name, its time, and the lines in warnings.
func same(a, b *Config) bool {
	x, y := *a, *b
	x.Modified, y.Modified = time.Time{}, time.Time{}
	x.Defaults, y.Defaults = nil, nil // what is written has them in each account
	x.File, y.File, x.Warnings, y.Warnings = "", "", nil, nil
	return reflect.DeepEqual(x, y)
}

func TestWrittenConfigurationIsReadBack(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	c.Interval, c.OnNewMail = Duration(10*time.Minute), []string{"/usr/bin/$notmuch", "new\n", "~"}
	a := c.NewAccount("me@example.org")
	a.Server, a.User, a.PasswordText = "pop.example.org", `CORP\bob`, NewSecret(`it's a "\" $HOME {account}`)
	a.Maildir, a.Keep = "/home/me/Mail/$x", Keep{true, Duration(14 * 24 * time.Hour)}
	a.TLSFingerprints, a.Auth = []Fingerprint{{Digest: [32]byte{1}}, {Kind: OfKey, Digest: [32]byte{2}}}, []string{"apop", "plain"}
	b := c.NewAccount("b")
	b.Server, b.User, b.TLS = "[::1]:1110", `a"b`, TLSNone
	b.MDA, b.MDATimeout, b.Interval = []string{"maildrop", "-d", "{user}", "it's"}, Duration(time.Minute), Duration(time.Hour)
	b.SourceAddress, b.Proxy = netip.MustParseAddr("::1"), Proxy{URL: &url.URL{Scheme: "socks5", Host: "localhost:1080"}}
	b.Enabled, b.Received, b.MaxSize, b.MaxMessages, b.Pipelining = false, false, 1000, 5, PipeliningOff
	c.Accounts = []*Account{a, b}

	var out bytes.Buffer
	comments := Comments{"": "Made from ~/.fetchmailrc.\n\nSecond line.", "b": "line 3: \x1b\"fetchall\" has no counterpart\n[account.c]"}
	if err := c.Write(&out, comments, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Made from ~/.fetchmailrc.\n#\n# Second line.\ninterval = \"10m\"\n", "\n\n# line 3: \ufffd\"fetchall\" has no counterpart\n# [account.c]\n[account.b]\n",
		"user = 'CORP\\bob'\n", "user = 'a\"b'\n", `password = "it's a \"\\\" $HOME {account}"` + "\n", "[account.\"me@example.org\"]\n", "keep = \"14d\"\n", "keep = true\n",
		`maildir = "/home/me/Mail/$$x"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in\n%s", want, out.String())
		}
	}
	for _, key := range []string{"timeout = \"60s", "parallel", "state", "tls_min_version", "enabled = true"} {
		if strings.Contains(out.String(), key) {
			t.Errorf("the default of %s is written", key)
		}
	}
	// Host and Port follow from Server.
	a.Host, a.Port, b.Host, b.Port = "pop.example.org", 995, "::1", 1110
	if again := mustLoad(t, out.String()); !same(again, c) {
		t.Errorf("got  %+v\nwant %+v\nfrom\n%s", again.Accounts[0], c.Accounts[0], out.String())
	}
}

// [defaults] may set what has no effect in an account.
func TestWrittenAccountHasNothingWithoutEffect(t *testing.T) {
	c := mustLoad(t, `
[defaults]
server = "localhost"
tls_min_version = "1.3"
tls_server_name = "pop.example.org"
mda_timeout = "1m"
[account.clear]
user = "a"
tls = "none"
maildir = "/m"
[account.mda]
user = "b"
mda = ["x"]
`)
	var out bytes.Buffer
	if err := c.Write(&out, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if again := mustLoad(t, out.String()); !same(again, c) {
		t.Errorf("got  %+v\nwant %+v\nfrom\n%s", again.Accounts[0], c.Accounts[0], out.String())
	}
	if c.Accounts[1].MDATimeout != Duration(time.Minute) || c.Accounts[1].TLSMinVersion != TLS13 {
		t.Errorf("got %+v", c.Accounts[1])
	}
}

func TestInvalidConfigurationIsNotWritten(t *testing.T) {
	for want, change := range map[string]func(a *Account){
		`key "server": missing`:                                 func(a *Account) { a.Server = "" },
		`key "user": missing`:                                   func(a *Account) { a.User = "" },
		`key "maildir": missing`:                                func(a *Account) { a.Maildir = "" },
		`are both a destination`:                                func(a *Account) { a.MDA = []string{"x"} },
		`both say where the secret comes from`:                  func(a *Account) { a.PasswordFile, a.Credential = "/x", "c" },
		`key "user": the string contains the control character`: func(a *Account) { a.User = "CORP\bob" },
		`the password contains the control character`:           func(a *Account) { a.PasswordText = NewSecret("hunter2\n") },
		`the password is empty`:                                 func(a *Account) { a.PasswordText = NewSecret("") },
		`the name of the account contains`:                      func(a *Account) { a.Name = "a b" },
		`a value would be read as another one`:                  func(a *Account) { a.Maildir = "Mail" },
		`a text is not UTF-8`:                                   func(a *Account) { a.PasswordText = NewSecret("h\xfcnter2") },
		`the duration has to be greater than zero`:              func(a *Account) { a.Timeout = 0 },
	} {
		c, err := New()
		if err != nil {
			t.Fatal(err)
		}
		a := c.NewAccount("work")
		a.Server, a.User, a.Maildir = "h", "u", "/m"
		change(a)
		c.Accounts = []*Account{a}
		var out bytes.Buffer
		err = c.Write(&out, nil, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 || strings.Contains(err.Error(), "nter2") {
			t.Errorf("got %v and %q, want %s", err, out.String(), want)
		}
	}
}

// Every text comes back as it was, from every place where one can be.
func FuzzWrite(f *testing.F) {
	f.Add("CORP\\bob", "it's", "/a$b\\c", "two\nlines", "x\t\"'")
	f.Add("me@example.org", "\"\"\"", "/{account", "# [x]\r\n\x00", "{user}")
	f.Add("ü\u2028", "'''", "/~/\u202e", "\xff", "$$")
	f.Fuzz(func(t *testing.T, user, password, path, comment, argument string) {
		c, err := New()
		if err != nil {
			t.Fatal(err)
		}
		c.OnNewMail = []string{"notmuch", argument}
		a := c.NewAccount("a.b+c@d")
		a.Server, a.User, a.PasswordText, a.Maildir = "pop.example.org", user, NewSecret(password), path
		b := c.NewAccount("b")
		b.Server, b.User, b.MDA, b.PasswordCommand = "localhost", "u", []string{"mda", argument, path}, []string{"pass", strings.ReplaceAll(argument, "{account}", "")}
		c.Accounts = []*Account{a, b}
		var out bytes.Buffer
		if err := c.Write(&out, Comments{"": comment, "b": comment}, Options{}); err != nil {
			if out.Len() > 0 {
				t.Errorf("%v, and written was %q", err, out.String())
			}
			return
		}
		again, errs := load(out.String())
		if len(errs) > 0 {
			t.Fatalf("%v\n%s", errs, out.String())
		}
		a.Host, a.Port, b.Host, b.Port = "pop.example.org", 995, "localhost", 995
		if !same(again, c) {
			t.Errorf("got  %+v\n     %+v\nwant %+v\n     %+v\nfrom\n%s", again.Accounts[0], again.Accounts[1], a, b, out.String())
		}
	})
}
