package peer

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/internal/config"
)

// files are the files that a reader finds, by path.
type files map[string]string

func (f files) at() Files {
	return Files{Home: "/home/me", User: "me", Read: func(path string) ([]byte, error) {
		text, ok := f[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}, List: func(dir string) (names []string, err error) {
		for path := range f {
			if name, ok := strings.CutPrefix(path, dir+"/"); ok {
				names = append(names, name)
			}
		}
		if names == nil {
			err = fs.ErrInvalid
		}
		return names, err
	}}
}

// destined returns where the only account delivers, and what each remark is about. The file is
// one that Write takes.
func destined(t *testing.T, m *Moved) string {
	t.Helper()
	written(t, m)
	a := m.Config.Accounts[0]
	text := ""
	for _, way := range []struct{ key, place string }{
		{"maildir", a.Maildir}, {"mbox", a.MBox}, {"mda", strings.Join(a.MDA, " ")}, {"lmtp", a.LMTP.String()}, {"smtp", a.SMTP.Server},
	} {
		if way.place != "" {
			text += way.key + " " + way.place
		}
	}
	if len(a.Recipients) > 0 {
		text += " for " + strings.Join(a.Recipients, ", ")
	}
	for _, r := range m.Remarks {
		text += "; " + r.What
	}
	return text
}

type reader func(Files, string, *config.Config) (*Moved, error)

// read reads rc with other files beside it.
func read(t *testing.T, r reader, rc string, others files) (*Moved, error) {
	t.Helper()
	t.Setenv("HOME", "/home/me")
	c, err := config.New()
	if err != nil {
		t.Fatal(err)
	}
	all := files{"/home/me/rc": rc}
	for path, text := range others {
		all[path] = text
	}
	return r(all.at(), "/home/me/rc", c)
}

// written returns the configuration without comments, and checks that Load takes it.
func written(t *testing.T, m *Moved) string {
	t.Helper()
	var b strings.Builder
	if err := m.Config.Write(&b, nil, config.Options{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// remarked checks the remarks, each by parts of its text that stand for it.
func remarked(t *testing.T, m *Moved, want ...string) {
	t.Helper()
	for i, r := range m.Remarks {
		if i >= len(want) || !strings.Contains(r.String(), want[i]) {
			t.Errorf("remark %d: %s", i, r)
		}
	}
	if len(m.Remarks) < len(want) {
		t.Errorf("%d remarks, want %q", len(m.Remarks), want[len(m.Remarks):])
	}
}

func ids(m *Moved, account string) (uids []string) {
	for _, s := range m.Seen {
		if s.Account == account {
			for _, id := range s.IDs {
				uids = append(uids, id.UID)
			}
		}
	}
	return uids
}

func TestMpopSettingsAreCarriedOver(t *testing.T) {
	rc := `# all accounts
defaults
tls on
tls_starttls off
tls_trust_file ~/ca.pem
timeout 30
received_header off
uidls_file ~/ids/%U@%H

account big provider
host pop.example.org
skipsize 2m

account work:big provider
user me@example.org
passwordeval "pass show work"
keep on
auth scram-sha-256
delivery maildir ~/Mail/work

account private : big provider
host mail.example.net
port 9955
tls_starttls
user me
password "hunter 2"
filter grep -q x
killsize 5m
delivery mda "/usr/bin/procmail -f '%F' -d $USER"
source_ip 192.0.2.7
proxy_host 127.0.0.1
`
	m, err := read(t, Mpop, rc, files{
		"/home/me/ids/me@example.org@pop.example.org": " 1 pop.example.org me@example.org\na b\n",
		"/home/me/ids/me@mail.example.net":            " 1 other me\nx\n 2 mail.example.net me\nb\nc\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `[account.work]
server = "pop.example.org"
user = "me@example.org"
password_command = ["pass", "show", "work"]
tls_ca_file = "/home/me/ca.pem"
auth = ["scram-sha-256"]
maildir = "/home/me/Mail/work"
keep = true
max_size = "2MiB"
timeout = "30s"
received = false

[account.private]
server = "mail.example.net:9955"
user = "me"
password = "hunter 2"
tls = "starttls"
tls_ca_file = "/home/me/ca.pem"
source_address = "192.0.2.7"
proxy = "socks5://127.0.0.1:1080"
mda = ["sh", "-c", '/usr/bin/procmail -f "$POPFETCH_SENDER" -d $USER']
keep = false
max_size = "2MiB"
timeout = "30s"
received = false
`
	if got := written(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	remarked(t, m, "rc:27: account private: filter: ", "rc:28: account private: killsize: ")
	if got := ids(m, "work"); !slices.Equal(got, []string{"a b"}) {
		t.Errorf("%q", got)
	}
	if got := ids(m, "private"); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("%q", got)
	}
}

const mpopMinimal = "account work\nhost h\nuser u\ndelivery maildir /m\nuidls_file /ids\n"

func TestMpopAccountsThatCannotBeCarriedAreNamed(t *testing.T) {
	m, err := read(t, Mpop, "account a\nuser x\ndelivery maildir /m\naccount b\nhost h\nuser u\neval echo x\n"+
		"account c c\nhost h\nuser c\ndelivery exchange /var/mail/c\nauth ntlm\nuidls_file /ids\n", files{"/ids": " 1 h c\nx\n"})
	if err != nil {
		t.Fatal(err)
	}
	remarked(t, m, "rc:7: eval", "rc:1: account a: left out", "rc:4: account b: left out", "rc:8: account c c: its name is c-c now",
		"rc:12: account c c: auth", "rc:11: account c c: delivery: popfetch does not deliver like this; the mail goes into the Maildir /home/me/Mail/c-c")
	if got := written(t, m); !strings.Contains(got, "[account.c-c]") || strings.Count(got, "[account") != 1 {
		t.Error(got)
	}
}

func TestMpopMboxStaysOne(t *testing.T) {
	m, err := read(t, Mpop, "account a\nhost h\nuser u\ndelivery mbox ~/mail/a\nuidls_file /ids\n", files{"/ids": " 1 h u\nx\n"})
	if err != nil {
		t.Fatal(err)
	}
	if a := m.Config.Accounts[0]; a.MBox != "/home/me/mail/a" || a.Maildir != "" {
		t.Errorf("mbox %q, Maildir %q", a.MBox, a.Maildir)
	}
	if got := written(t, m); !strings.Contains(got, "mbox = ") {
		t.Error(got)
	}
}

func TestMpopConfigurationWithErrorsIsRefused(t *testing.T) {
	for rc, want := range map[string]string{
		"host h\n":                          "rc:1: ",
		"account a\nuser \"x\n":             "rc:2: ",
		"account a\naccount a\n":            "rc:2: a second account",
		"account a : b\n":                   "rc:1: there is no account",
		"account\n":                         "rc:1: an account without a name",
		"account a\n\n# x\npassword \"se\n": "rc:4: a quotation mark has no partner",
	} {
		if _, err := read(t, Mpop, rc, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "se\n") {
			t.Errorf("%q: %v", rc, err)
		}
	}
	if _, err := Mpop(files{}.at(), "/none", nil); err == nil || !strings.HasPrefix(err.Error(), "/none: ") {
		t.Error(err)
	}
}

// What can be read of a damaged file is imported, and what is missing is said, with what
// to do.
func TestMpopIDsThatAreDamagedOrMissingAreNamed(t *testing.T) {
	for text, want := range map[string]struct {
		remark string
		ids    int
	}{
		" 2 h u\na\n":              {"/ids:2: ", 1},
		" 2 h u\na\nb":             {"/ids:3: ", 1},
		" 2 h u\n\nb\n":            {"/ids:2: ", 0},
		"junk\n":                   {"/ids:1: ", 0},
		" 1 h u\na\njunk\n":        {"/ids:3: ", 1},
		" x h u\na\n":              {"/ids:1: ", 0},
		" 1 other u\na\n":          {"/ids: ", 0},
		"":                         {"/ids: ", 0},
		" 1 h u\na\n 9 other u\nb": {"/ids:4: ", 1},
		"-":                        {"/ids: ", 0}, // no file
	} {
		others := files{"/ids": text}
		if text == "-" {
			others = nil
		}
		m, err := read(t, Mpop, mpopMinimal, others)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Remarks) != 1 || !strings.HasPrefix(m.Remarks[0].String(), want.remark) || !strings.Contains(m.Remarks[0].String(), "popfetch state seed work") {
			t.Errorf("%q: %v", text, m.Remarks)
		}
		if n := len(ids(m, "work")); n != want.ids {
			t.Errorf("%q: %d ids", text, n)
		}
	}
}

// Only newer versions write times, and unique-ids may have blanks and digits in either.
func TestMpopIDsWithTimesAreToldFromThoseWithBlanks(t *testing.T) {
	for version, want := range map[string]ID{
		"1.4.18": {UID: "a 1700000000"},
		"1.4.22": {UID: "a 1700000000"},
		"1.4.23": {UID: "a", Time: time.Unix(1700000000, 0)},
		"1.10.0": {UID: "a", Time: time.Unix(1700000000, 0)},
		"2.0.0":  {UID: "a", Time: time.Unix(1700000000, 0)},
	} {
		text := fmt.Sprintf("# This file was generated by mpop version %s.\n 1 H u\na 1700000000\n", version)
		m, err := read(t, Mpop, mpopMinimal, files{"/ids": text})
		if err != nil || len(m.Seen) != 1 || m.Seen[0].IDs[0] != want {
			t.Errorf("%s: %+v, %v", version, m, err)
		}
	}
}

// fuzz reads any configuration and any file beside it: the result can be written, and
// every problem has a place.
func fuzz(t *testing.T, r reader, rc, other string) {
	c, err := config.New()
	if err != nil {
		t.Skip("no home directory")
	}
	m, err := r(Files{Home: "/home/me", List: func(string) ([]string, error) { return nil, fs.ErrInvalid }, Read: func(path string) ([]byte, error) {
		if path == "/home/me/rc" {
			return []byte(rc), nil
		}
		return []byte(other), nil
	}}, "/home/me/rc", c)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "/home/me/rc") {
			t.Error(err)
		}
		return
	}
	names := make(map[string]bool)
	for _, a := range m.Config.Accounts {
		if names[a.Name] || (a.Maildir == "") == (len(a.MDA) == 0) || a.Server == "" || a.User == "" {
			t.Errorf("%+v", a)
		}
		names[a.Name] = true
	}
	for _, s := range m.Seen {
		if !names[s.Account] || len(s.IDs) == 0 || slices.ContainsFunc(s.IDs, func(id ID) bool { return id.UID == "" }) {
			t.Errorf("%+v", s)
		}
	}
	for _, r := range m.Remarks {
		if r.File == "" || r.What == "" || r.Why == "" {
			t.Errorf("%+v", r)
		}
	}
}

func FuzzMpop(f *testing.F) {
	f.Add(mpopMinimal, " 1 h u\nx 1\n")
	f.Add("defaults\ntls\naccount a: b\n", "# This file was generated by mpop version 1.4.23.\n 2 h u\n")
	f.Add("account a\nhost ::1\nport 1\nuser \"\"\ndelivery mda a '%F' | b\ntls_fingerprint x\nskipsize 9m", "")
	f.Fuzz(func(t *testing.T, rc, ids string) { fuzz(t, Mpop, rc, ids) })
}
