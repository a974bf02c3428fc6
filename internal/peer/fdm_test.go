package peer

import (
	"slices"
	"testing"
)

func TestFdmSettingsAreCarriedOver(t *testing.T) {
	rc := `# all of it
$home = "/home/me"
%port = 1100
$secret = $(pass show mail)
set maximum-size 5M
set timeout 30
set no-received
set verify-certificates
ifdef $nothing
account "never" pop3s server "x" user "u"
endif

action "inbox" maildir "%h/Mail/%[account]"
action "filter" pipe "maildrop -d me"
action "old" mbox "${home}/mbox"

account "work" pop3s server "pop.example.org" user "me" pass "a\"b"
	new-only cache "${home}/work.cache" no-apop keep
account 'second one' disabled pop3 server "pop.example.net" port %port user "you" pass $secret starttls
account "third" pop3s server "mail.example.net" port "pop3s" user "them"
match "^Subject: spam" in headers action "old"
match account "second one"
	action "filter"
match account "third" action mbox "x" compress
match all action "inbox"
`
	m, err := read(t, Fdm, rc, files{"/home/me/work.cache": "3 a b\n4 uid1\n"})
	if err != nil {
		t.Fatal(err)
	}
	want := `[account.work]
server = "pop.example.org"
user = "me"
password = 'a"b'
maildir = "/home/me/Mail/work"
keep = true
max_size = "5MiB"
timeout = "30s"
received = false

[account.second-one]
enabled = false
server = "pop.example.net:1100"
user = "you"
password_command = ["pass", "show", "mail"]
tls = "starttls"
mda = ["maildrop", "-d", "me"]
keep = false
max_size = "5MiB"
timeout = "30s"
received = false

[account.third]
server = "mail.example.net:995"
user = "them"
maildir = "/home/me/Mail/third"
keep = false
max_size = "5MiB"
timeout = "30s"
received = false
`
	if got := written(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	remarked(t, m, "rc:19: account second one: its name is second-one now", "rc:24: account third: delivery", "rc:21: match: popfetch does not sort mail")
	if got := ids(m, "work"); !slices.Equal(got, []string{"a b", "uid1"}) {
		t.Errorf("%q", got)
	}
}

func TestFdmActionsBecomeDestinations(t *testing.T) {
	for action, want := range map[string]string{
		`mbox "%h/mail/%a"`:                                         "mbox /home/me/mail/work",
		`smtp server "mx" to "me@x.org"`:                            "smtp mx:25 for me@x.org",
		`smtp server "mx" port 2525 from "a@x.org" to "me@x.org"`:   "smtp mx:2525 for me@x.org",
		`smtp server "mx" port "smtp" from "a@x.org" to "me@x.org"`: "smtp mx:25 for me@x.org",
		`smtp server "mx"`:                                          "maildir /home/me/Mail/work; account work: delivery",
		`mbox "%h/mail/%[day]"`:                                     "maildir /home/me/Mail/work; account work: delivery",
		`smtp server "mx" to "%[user]@x.org"`:                       "maildir /home/me/Mail/work; account work: delivery",
	} {
		m, err := read(t, Fdm, "account \"work\" pop3 server \"h\" user \"u\" pass \"p\"\nmatch all action "+action+"\n", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := destined(t, m); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", action, got, want)
		}
	}
}

const fdmMinimal = "account \"work\" pop3 server \"h\" user \"u\" new-only cache \"/ids\" keep\nmatch all action maildir \"/m\"\n"

func TestFdmAccountsThatCannotBeCarriedAreNamed(t *testing.T) {
	m, err := read(t, Fdm, "include \"more\"\nset unmatched-mail drop\naccount \"a\" imaps server \"h\" user \"u\"\naccount \"b\" pop3 pipe \"ssh h\" user \"u\" pass \"p\"\n"+
		"account \"c\" pop3 server \"h\"\naccount \"d\" pop3s server \"h\" user \"u\" no-uidl keep\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	remarked(t, m, "rc:1: include", "rc:3: account a: left out: popfetch fetches by POP3 alone", "rc:4: account b: left out", "rc:5: account c: left out: its server or its user",
		"rc:2: set unmatched-mail", "rc:6: account d: fdm did not verify", "rc:6: account d: delivery", "rc:6: unique-ids of account d: fdm has recorded none")
}

func TestFdmConfigurationWithErrorsIsRefused(t *testing.T) {
	refuses(t, Fdm, map[string]string{
		"pop3 x\n":                         "rc:1: this is not a statement",
		"\nset lock-file \"se\n":           "rc:2: a quotation mark has no partner",
		"action \"a\" maildir \"${none}\"": "rc:1: a macro in a string is not defined",
		"match $none\n":                    "rc:1: the macro $none is not defined",
		"ifdef $x\n":                       "rc:2: an ifdef has no endif",
		"endif\n":                          "rc:1: an endif without ifdef",
		"set proxy $(x":                    "rc:1: a command without its )",
	})
}

func TestFdmIDsThatAreDamagedOrMissingAreNamed(t *testing.T) {
	namesDamage(t, Fdm, fdmMinimal, map[string]damage{
		"1 a\n3 b\n":    {"/ids:2: ", 1},
		"1 a\n1 b":      {"/ids:2: ", 1},
		"junk\n":        {"/ids:1: ", 0},
		"1 a\n-1 b\n":   {"/ids:2: ", 1},
		"1 a\n9999 b\n": {"/ids:2: ", 1},
		"3 a\nb\n":      {"/ids:1: ", 0},
		"":              {"/ids: ", 0},
		"-":             {"/ids: ", 0}, // no file
	})
}

func FuzzFdm(f *testing.F) {
	f.Add(fdmMinimal, "1 x\n")
	f.Add("$a = \"x\"\nifdef $a\naccount \"a\" pop3s server $a user \"${a}\" pass $(x y)\nendif\nset maximum-size 3K\n", "")
	f.Add("account 'x' { pop3 server '::1' port 'x' user ' '\nmatch account 'x' action pipe '%h'", "1 a")
	f.Fuzz(func(t *testing.T, rc, ids string) { fuzz(t, Fdm, rc, ids) })
}
