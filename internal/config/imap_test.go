package config

import (
	"slices"
	"strings"
	"testing"
)

func TestIMAPTableHasTheKeysOfAServer(t *testing.T) {
	c := mustLoad(t, `
[defaults]
tls_server_name = "pop.example.org"
[defaults.imap]
server = "imap.example.net"
user = "archive"
password_command = ["pass", "{account}"]
tls_min_version = "1.3"
folder = "From/{account}"
[account.a]
server = "pop.example.org"
user = "a"
[account.b]
server = "pop.example.org"
user = "b"
[account.b.imap]
tls = "starttls"
password = "hunter2"
folder = "Elsewhere"
flags = ['\Seen', "$Fetched"]
[account.c]
server = "pop.example.org"
user = "c"
maildir = "/mail"
`)
	a, b := c.Accounts[0].IMAP, c.Accounts[1].IMAP
	if a.Address() != "imap.example.net:993" || a.User != "archive" || a.Folder != "From/a" || a.TLSMinVersion != TLS13 || a.TLSServerName != "" || !slices.Equal(a.PasswordCommand, []string{"pass", "a"}) {
		t.Errorf("account a: %+v", a)
	}
	if b.Address() != "imap.example.net:143" || b.Folder != "Elsewhere" || b.PasswordText.Reveal() != "hunter2" || b.PasswordCommand != nil || !slices.Equal(b.Flags, []string{`\Seen`, "$Fetched"}) {
		t.Errorf("account b: %+v", b)
	}
	if c.Accounts[2].IMAP.IsSet() {
		t.Error("account c has two destinations")
	}
	shown := show(t, c)
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "\n[account.b.imap]\n") {
		t.Errorf("shown:\n%s", shown)
	}
	again := mustLoad(t, shown)
	again.File = c.File
	if second := show(t, again); second != shown {
		t.Errorf("first:\n%s\nsecond:\n%s", shown, second)
	}
	var written strings.Builder
	c.State = "/state.db"
	if err := c.Write(&written, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if d := mustLoad(t, written.String()); d.Accounts[1].IMAP.PasswordText.Reveal() != "hunter2" || d.Accounts[0].IMAP.Folder != "From/a" {
		t.Errorf("written:\n%s", written.String())
	}
}

func TestIMAPTableThatIsWrong(t *testing.T) {
	for table, want := range map[string]string{
		`server = "h"`: `"imap.user": missing`,
		`user = "u"`:   `"imap.server": missing`,
		`server = "h:x"
user = "u"`: `"imap.server": "x" is not a port`,
		`server = "pop.example.org"
user = "ME"`: "is the mailbox that the account fetches from",
		`server = "imap.example.org"
user = "me"`: "is the mailbox that the account fetches from",
		`server = "h"
user = "u"
folder = '\junk'`: `did you mean "\Junk"`,
		`server = "h"
user = "u"
flags = '\Deleted'`: "removed",
		`server = "h"
user = "u"
flags = "a b"`: "no flag may have",
		`server = "h"
user = "u"
auth = "apop"`: "not a method of this destination",
		`server = "h"
user = "u"
password = "a"
password_file = "b"`: "both say where the secret comes from",
		`server = "h"
user = "u"
tls = "none"
tls_ca_file = "b"`: `has no effect with tls = "none"`,
		`server = "h"
user = "u"
tls_fingerprint = "first-use"`: `"imap.tls_fingerprint": "first-use" is for POP3 servers`,
		`server = "h"
user = "u"
maildir = "x"`: `"imap.maildir": unknown key`,
	} {
		got := strings.Join(problems(t, "[account.work]\nserver = \"pop.example.org\"\nuser = \"me\"\n[account.work.imap]\n"+table), "\n")
		if !strings.Contains(got, want) || strings.Count(got, "\n") > 0 {
			t.Errorf("%s\n%s\nwant %s", table, got, want)
		}
	}
	got := problems(t, minimal+"[account.work.imap]\nserver = \"h\"\nuser = \"u\"\n")
	if len(got) != 1 || !strings.Contains(got[0], "exactly one") {
		t.Errorf("two destinations: %q", got)
	}
}

func TestMicrosoftScopeIsThatOfTheProtocol(t *testing.T) {
	c := mustLoad(t, `
[account.work]
server = "outlook.office365.com"
user = "me@example.org"
oauth = "microsoft"
client_id = "x"
[account.work.imap]
server = "outlook.office365.com"
user = "archive@example.org"
oauth = "microsoft"
client_id = "y"
`)
	a := c.Accounts[0]
	if !strings.Contains(a.OAuth.Scopes[0], "/POP.") || !strings.Contains(a.IMAP.OAuth.Scopes[0], "/IMAP.") || a.IMAP.ClientID != "y" {
		t.Errorf("%q, %q", a.OAuth.Scopes, a.IMAP.OAuth.Scopes)
	}
	if shown := show(t, c); strings.Contains(shown, "AccessAsUser") {
		t.Errorf("shown:\n%s", shown)
	}
}

func TestMailThatGoesRoundIsRefused(t *testing.T) {
	account := func(name, from, to string) string {
		return "[account." + name + "]\nserver = \"pop.example.org\"\nuser = \"" + from + "\"\n[account." + name + ".imap]\nserver = \"imap.example.org\"\nuser = \"" + to + "\"\n"
	}
	got := problems(t, account("a", "anna", "bert")+account("b", "bert", "carl")+account("c", "carl", "anna")+account("d", "dora", "anna"))
	if len(got) != 3 || !strings.Contains(got[0], "goes round") {
		t.Errorf("%q", got)
	}
	mustLoad(t, account("a", "anna", "bert")+account("b", "bert", "carl"))
}
