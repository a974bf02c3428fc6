package peer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/internal/config"
)

const getmailMinimal = "[retriever]\ntype = SimplePOP3Retriever\nserver = h\nusername = u\n[destination]\ntype = Maildir\npath = /m/\n"

func TestGetmailSettingsAreCarriedOver(t *testing.T) {
	rc := `# work
[options]
read_all = no
delete_after = 14
delivered_to = true
received = false
max_message_size: 1048576
message_log = ~/log

[retriever]
type = SimplePOP3SSLRetriever
server = pop.example.org
username = me/x@example.org
password_command = ("pass", 'show', "mail/work",)
  ; a comment
ca_certs = ~/ca.pem
ssl_cert_hostname = mail.example.org
ssl_version = tlsv1_2

[filter-1]
type = Filter_external

[destination]
type = MDA_external
path = ~/bin/deliver
arguments = ("-f", "%(sender)",
    "--", "%(recipient)")
user = me
`
	m, err := read(t, Getmail, rc, files{"/home/me/oldmail-pop.example.org-995-me-x@example.org": "a\x001700000000\n"})
	if err != nil {
		t.Fatal(err)
	}
	want := `[account.rc]
server = "pop.example.org"
user = "me/x@example.org"
password_command = ["pass", "show", "mail/work"]
tls_ca_file = "/home/me/ca.pem"
tls_server_name = "mail.example.org"
mda = ["/home/me/bin/deliver", "-f", "{sender}", "--", "{recipient}"]
keep = "14d"
max_size = "1MiB"
received = false
`
	if got := written(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	remarked(t, m, "rc:18: account rc: ssl_version", "rc:5: account rc: delivered_to", "rc:8: account rc: message_log",
		"rc:28: account rc: user", "rc:20: account rc: [filter-1]")
	if len(m.Seen) != 1 || m.Seen[0].IDs[0] != (ID{UID: "a", Time: time.Unix(1700000000, 0)}) {
		t.Errorf("%+v", m.Seen)
	}
}

// With XOAUTH2 the command of getmail prints an access token.
func TestGetmailCommandForATokenIsATokenCommand(t *testing.T) {
	rc := strings.Replace(getmailMinimal, "username = u\n", "username = u\nuse_xoauth2 = True\npassword_command = (\"oama\", \"access\", \"u\")\n", 1)
	rc = strings.Replace(rc, "SimplePOP3Retriever", "SimplePOP3SSLRetriever", 1)
	m, err := read(t, Getmail, rc, files{})
	if err != nil {
		t.Fatal(err)
	}
	if got := written(t, m); !strings.Contains(got, `token_command = ["oama", "access", "u"]`) || strings.Contains(got, "password_command") {
		t.Errorf("got %s", got)
	}
}

// What getmail deletes at once is deleted at once, although a time is set too; without
// both it stays.
func TestGetmailKeepsWhatItKept(t *testing.T) {
	for options, want := range map[string]config.Keep{
		"":                               {},
		"delete = false":                 {},
		"delete = yes":                   {Delete: true},
		"delete_after = 7":               {Delete: true, After: config.Duration(7 * 24 * time.Hour)},
		"delete = 1\ndelete_after = 7":   {Delete: true},
		"delete_after = 0":               {},
		"delete_after = seven":           {},
		"delete = False\nread_all = Yes": {},
	} {
		m, err := read(t, Getmail, getmailMinimal+"[options]\n"+options+"\n", nil)
		if err != nil || len(m.Config.Accounts) != 1 || m.Config.Accounts[0].Keep != want {
			t.Errorf("%q: %+v, %v", options, m, err)
		}
	}
}

// The directory holds one file for each account, and other files.
func TestGetmailDirectoryHasAnAccountInEachFile(t *testing.T) {
	imap := strings.Replace(getmailMinimal, "SimplePOP3Retriever", "SimpleIMAPRetriever", 1)
	mbox := strings.Replace(getmailMinimal, "type = Maildir", "type = Mboxrd", 1)
	m, err := Getmail(files{
		"/g/getmailrc": getmailMinimal, "/g/b": mbox, "/g/imap": imap, "/g/getmailrc~": getmailMinimal, "/g/b.bak": getmailMinimal,
		"/g/notes": "[not this\n", "/g/oldmail-h-110-u": "x\x001\n",
	}.at(), "/g", mustNew(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range m.Config.Accounts {
		names = append(names, a.Name)
	}
	if !slices.Equal(names, []string{"b", "getmail"}) {
		t.Errorf("%q", names)
	}
	if a := m.Config.Accounts[0]; a.MBox == "" || a.Maildir != "" {
		t.Errorf("account b has the mbox %q and the Maildir %q", a.MBox, a.Maildir)
	}
	remarked(t, m, "/g/imap:2: account imap: left out: ")
	if _, err := Getmail(files{"/g/notes": "x"}.at(), "/g", mustNew(t)); err == nil {
		t.Error("no error for a directory without accounts")
	}
}

func mustNew(t *testing.T) *config.Config {
	t.Setenv("HOME", "/home/me")
	c, err := config.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGetmailConfigurationWithErrorsIsRefused(t *testing.T) {
	for rc, want := range map[string]string{
		"server = h\n[retriever]\n":                       "rc:1: ",
		"[retriever]\ntype = x\npassword secret\n":        "rc:3: ",
		"[retriever]\n[retriever]\n":                      "rc:2: ",
		"[retriever]\nserver = a\nserver = b\n":           "rc:3: ",
		"[retriever]\n[]\n":                               "rc:2: ",
		"[options]\n":                                     "rc: there is no section [retriever]",
		"[retriever]\npassword = a\n  secret\n[options\n": "rc:4: ",
	} {
		if _, err := read(t, Getmail, rc, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", rc, err)
		}
	}
}

func TestGetmailIDsThatAreDamagedOrMissingAreNamed(t *testing.T) {
	for text, want := range map[string]struct {
		remark string
		ids    []string
	}{
		"a\x001\nb\n":         {"/oldmail-h-110-u:2: ", []string{"a"}},
		"a\x001\nb\x00x\nc\n": {"/oldmail-h-110-u:2: ", []string{"a"}},
		"\x001\nb\x002\n":     {"/oldmail-h-110-u:1: ", []string{"b"}},
		"none":                {"/oldmail-h-110-u: there is no such file", nil},
		"a-b-c-d-e-g\x001\n":  {"/oldmail-h-110-u:1: ", []string{"a-b-c-d-e-g"}},
	} {
		others := files{"/home/me/oldmail-h-110-u": strings.ReplaceAll(text, ": ", "")}
		if text == "none" {
			others = nil
		}
		m, err := read(t, Getmail, getmailMinimal, others)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Remarks) != 1 || !strings.Contains(strings.ReplaceAll(m.Remarks[0].String(), "unique-ids of account rc: ", ""), want.remark) ||
			!strings.Contains(m.Remarks[0].String(), "popfetch state seed rc") {
			t.Errorf("%q: %v", text, m.Remarks)
		}
		if got := ids(m, "rc"); !slices.Equal(got, want.ids) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// getmail writes / as -, so each hyphen may stand for either.
func TestGetmailIDsMayHaveHadSlashes(t *testing.T) {
	m, err := read(t, Getmail, getmailMinimal, files{"/home/me/oldmail-h-110-u": "zA-b-c=\x001\n0000-00ff\x001\n"})
	if err != nil {
		t.Fatal(err)
	}
	remarked(t, m)
	if got := ids(m, "rc"); !slices.Equal(got, []string{"zA-b-c=", "zA/b-c=", "zA-b/c=", "zA/b/c=", "0000-00ff"}) {
		t.Errorf("%q", got)
	}
}

func FuzzGetmail(f *testing.F) {
	f.Add(getmailMinimal, "a\x001\nb-z\x002")
	f.Add("[retriever]\ntype = SimplePOP3SSLRetriever\nserver = ::1\nport = x\nusername : u\n  v\npassword_command = ('a',)\nssl_fingerprints = ()\n[options]\ndelete_after=1", "")
	f.Fuzz(func(t *testing.T, rc, ids string) { fuzz(t, Getmail, rc, ids) })
}
