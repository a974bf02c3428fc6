package peer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestFetchmailSettingsAreCarriedOver(t *testing.T) {
	rc := `# all
set daemon 600; set no bouncemail
set idfile ~/ids
defaults
  protocol pop3, timeout 90, uidl, sslcertfile ~/ca.pem
poll pop.example.org:
  user "me@example.org" there with password 'hunter"\x32' is me here
     options ssl keep sslcertck limit 1000000 fetchlimit 50 mda "/usr/bin/procmail -f %F -d %T"
  user other is you here password "keep" nokeep no rewrite preconnect "ssh x"
skip second via mail.example.net port 1110 auth cram-md5
  user me here is them there and wants sslproto "" mda 'formail -s procmail | cat %F'
`
	m, err := read(t, Fetchmail, rc, files{"/home/me/ids": "me@example.org@POP.example.org a@b\nthem@mail.example.net x y\n  other@elsewhere z\nthem@second q\n"})
	if err != nil {
		t.Fatal(err)
	}
	want := `interval = "10m"

[account."me@example.org-pop.example.org"]
server = "pop.example.org"
user = "me@example.org"
password = 'hunter"2'
tls_ca_file = "/home/me/ca.pem"
mda = ["/usr/bin/procmail", "-f", "{sender}", "-d", "me"]
keep = true
max_size = "1000000B"
max_messages = 50
timeout = "1m30s"

[account."other-pop.example.org"]
server = "pop.example.org"
user = "other"
password = "keep"
tls = "starttls"
tls_ca_file = "/home/me/ca.pem"
recipient = ["you@localhost"]
keep = false
timeout = "1m30s"

[account."other-pop.example.org".smtp]
server = "localhost:25"
tls = "none"

[account.second]
enabled = false
server = "mail.example.net:1110"
user = "them"
tls = "none"
auth = ["cram-md5"]
mda = ["sh", "-c", "formail -s procmail | cat $POPFETCH_SENDER"]
keep = false
timeout = "1m30s"
`
	if got := written(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	remarked(t, m, "rc:2: set bouncemail", "rc:9: user other of pop.example.org: fetchmail uses TLS if", "rc:9: user other of pop.example.org: preconnect",
		"/home/me/ids: unique-ids of account other-pop.example.org: the file has none for other at pop.example.org")
	if got := ids(m, "me@example.org-pop.example.org"); !slices.Equal(got, []string{"a@b"}) {
		t.Errorf("%q", got)
	}
	if got := ids(m, "second"); !slices.Equal(got, []string{"x y"}) {
		t.Errorf("%q", got)
	}
}

// fetchmail hands the mail to a mail server unless it is told otherwise. So does popfetch.
func TestFetchmailMailServerIsKept(t *testing.T) {
	for options, want := range map[string]string{
		"":                               "smtp localhost:25 for me@localhost",
		"is you here":                    "smtp localhost:25 for you@localhost",
		"is you@example.org here":        "smtp localhost:25 for you@example.org",
		"smtphost mx/2525":               "smtp mx:2525 for me@mx",
		"smtphost mx smtpaddress x.org":  "smtp mx:25 for me@x.org",
		"smtpname you@x.org is me here":  "smtp localhost:25 for you@x.org",
		"lmtp smtphost mx/24":            "lmtp mx:24 for me@mx",
		"lmtp smtphost /run/lmtp":        "lmtp unix:/run/lmtp for me@localhost",
		"smtphost a,b":                   "smtp a:25 for me@a; user u of h: smtphost",
		"bsmtp /file":                    "maildir /home/me/Mail/h; user u of h: delivery",
		"mda 'x %T' is 'a b' here":       "maildir /home/me/Mail/h; user u of h: delivery",
		"smtphost mx esmtpname u ssl":    "smtp mx:25 for me@mx; user u of h: esmtpname",
		"smtphost mx no lmtp is me here": "smtp mx:25 for me@mx",
	} {
		m, err := read(t, Fetchmail, "poll h proto pop3 user u nokeep ssl "+options, files{"/home/me/.fetchids": "u@h a\n"})
		if err != nil {
			t.Fatal(err)
		}
		if got := destined(t, m); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", options, got, want)
		}
	}
}

// A plugin is the connection, as the program of a tunnel is.
func TestFetchmailPluginIsATunnel(t *testing.T) {
	for _, x := range []struct{ server, user, want string }{
		{"plugin 'ssh gate nc %h %p'", "ssl", `implicit ["ssh" "gate" "nc" "pop.example.org" "995"]`},
		{"port 1995 plugin 'nc -x p:1080 %h %p'", "ssl", `implicit ["nc" "-x" "p:1080" "pop.example.org" "1995"]`},
		{"plugin 'nc %h %p'", "", `starttls ["nc" "pop.example.org" "110"]`},
		{"plugin 'openssl s_client -quiet -connect far:995'", "", `none ["openssl" "s_client" "-quiet" "-connect" "far:995"]`},
		{"plugin '/usr/bin/socat - OPENSSL:far:995'", "", `none ["/usr/bin/socat" "-" "OPENSSL:far:995"]`},
		{"plugin ' '", "ssl", `implicit []`},
	} {
		m, err := read(t, Fetchmail, "poll pop.example.org proto pop3 "+x.server+" user u "+x.user, files{"/home/me/.fetchids": "u@pop.example.org a\n"})
		if err != nil {
			t.Fatal(err)
		}
		written(t, m)
		a := m.Config.Accounts[0]
		if got := fmt.Sprintf("%s %q", a.TLS, a.Tunnel); got != x.want {
			t.Errorf("%q: got %s, want %s", x.server, got, x.want)
		}
	}
}

func TestFetchmailAccountsThatCannotBeCarriedAreNamed(t *testing.T) {
	for rc, want := range map[string]string{
		"poll h proto imap user u":                          "rc:1: user u of h: left out: popfetch fetches by POP3 alone",
		"poll h proto pop3 user u to * here":                "rc:1: user u of h: left out: popfetch does not distribute",
		"poll h proto pop3 user u is a b here":              "rc:1: user u of h: left out: popfetch does not distribute",
		"poll h proto pop3 user u is a = b here":            "rc:1: user u of h: left out: popfetch does not distribute",
		"poll h proto pop3 envelope 2 X-To user u":          "rc:1: user u of h: left out: popfetch does not distribute",
		"\npoll h proto pop3 localdomains x y\n user u":     "rc:3: user u of h: left out: popfetch does not distribute",
		"poll h proto pop3":                                 "rc:1: server h: left out: it has no user",
		"poll h proto pop3 user u to * password 'secret'\n": "rc:1: user u of h: left out",
	} {
		m, err := read(t, Fetchmail, rc, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Remarks) != 1 || len(m.Config.Accounts) != 0 || !strings.Contains(m.Remarks[0].String(), want) {
			t.Errorf("%q: %v", rc, m.Remarks)
		}
	}
}

func TestFetchmailConfigurationWithErrorsIsRefused(t *testing.T) {
	for rc, want := range map[string]string{
		"poll h\nuser u password \"secret\n": "rc:2: a quotation mark has no partner",
		"keep\n":                             "rc:1: ",
		"poll":                               "rc:1: a server without a name",
		"defaults user x":                    "rc:1: a user without a server",
		"poll h user u\npassword":            "rc:2: ",
		"poll h user u secret":               "rc:1: this is not a keyword",
		"\nset":                              "rc:2: ",
	} {
		if _, err := read(t, Fetchmail, rc, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", rc, err)
		}
	}
}

func TestFetchmailIDsThatAreDamagedOrMissingAreNamed(t *testing.T) {
	const rc = "poll h proto pop3 user u ssl mda x"
	for text, want := range map[string]struct {
		remark string
		ids    []string
	}{
		"u@h a\njunk\nu@h b\n": {"/home/me/.fetchids:2: ", []string{"a", "b"}},
		"u@h a\nu@h b":         {"/home/me/.fetchids:2: ", []string{"a"}},
		"u@h\n":                {"/home/me/.fetchids:1: ", nil},
		"u@other a\n":          {"/home/me/.fetchids: ", nil},
		"none":                 {"/home/me/.fetchids: ", nil},
	} {
		others := files{"/home/me/.fetchids": text}
		if text == "none" {
			others = nil
		}
		m, err := read(t, Fetchmail, rc, others)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Remarks) != 1 || !strings.HasPrefix(m.Remarks[0].String(), want.remark) || !strings.Contains(m.Remarks[0].String(), "popfetch state seed h ") {
			t.Errorf("%q: %v", text, m.Remarks)
		}
		if got := ids(m, "h"); !slices.Equal(got, want.ids) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzFetchmail(f *testing.F) {
	f.Add("set daemon 1\ndefaults proto pop3\npoll h user u there is a here password 'x' nokeep mda \"m %F %T\"", "u@h a\n")
	f.Add("skip ::1 port 1 no dns envelope 1 X: user \"\\x41\\101\\0101\" here is b there ssl sslcert c limit 1", "@ \n@@@ x\n")
	f.Fuzz(func(t *testing.T, rc, ids string) { fuzz(t, Fetchmail, rc, ids) })
}
