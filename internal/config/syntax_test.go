package config

import (
	"strings"
	"testing"
)

func TestSyntaxErrorSaysWhatToWrite(t *testing.T) {
	for line, want := range map[string]string{
		`user = me@example.org`:             `not TOML: a text without quotes (write user = "...")`,
		`server = pop.example.org`:          `not TOML: a text without quotes (write server = "...")`,
		`source_address = 192.0.2.1`:        `not TOML: a text without quotes (write source_address = "...")`,
		`interval = 5m`:                     `not TOML: a text without quotes (write interval = "...")`,
		`keep = yes`:                        `not TOML: a text without quotes (write keep = "...")`,
		`maildir = ~/Mail`:                  `not TOML: a text without quotes (write maildir = "...")`,
		`auth = [plain, login]`:             `not TOML: a list of texts without quotes (write auth = ["...", "..."])`,
		`password =`:                        `not TOML: no value after the = (write password = "...")`,
		`password = # mine`:                 `not TOML: no value after the = (write password = "...")`,
		`user "me@example.org"`:             `not TOML: no = after the key (write user = "...")`,
		`user: me@example.org`:              `not TOML: no = after the key (write user = "...")`,
		"user = “me”":                       `not TOML: curly quotes (write straight quotation marks: user = "...")`,
		"user = ‘me’":                       `not TOML: curly quotes (write straight quotation marks: user = "...")`,
		"user = „me“":                       `not TOML: curly quotes (write straight quotation marks: user = "...")`,
		`user = "CORP\jdoe"`:                `not TOML: in double quotes a backslash begins an escape (write the text in single quotes: user = 'DOMAIN\name')`,
		`user = "CORP\ubob"`:                `not TOML: in double quotes a backslash begins an escape (write the text in single quotes: user = 'DOMAIN\name')`,
		`[account.me@example.org]`:          `not TOML: the name of the account needs quotes (write [account."me@example.org"])`,
		`[account me]`:                      `not TOML: the name of the account needs quotes (write [account."me"])`,
		`user = "me`:                        `not TOML: a text without its closing quote (write user = "...")`,
		"user = \"me\nserver = \"h\"":       `not TOML: a text without its closing quote (write user = "...")`,
		"user = \"a\"\n[account.work]\n":    `not TOML: Key 'account.work' has already been defined.`,
		"user = \"a\"\nuser = me@x # twice": `not TOML: a text without quotes (write user = "...")`,
	} {
		got := problems(t, "[account.work]\n"+line)
		if len(got) != 1 || !strings.HasSuffix(got[0], ": "+want) {
			t.Errorf("%s\n  got  %q\n  want %q", line, got, want)
		}
	}
}

// A name with a dot in it is two names for TOML.
func TestAccountNameWithDotNeedsQuotes(t *testing.T) {
	got := problems(t, "[account.me.example]\nserver = \"h\"\n")
	want := `config.toml:1: account "me": key "example": unknown key (a name with a dot is written in quotes: [account."me.example"])`
	if !strings.Contains(strings.Join(got, "\n"), want) {
		t.Errorf("got %q", got)
	}
}

func TestConfigurationOfAnotherProgramIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"poll pop.example.org protocol pop3\n  user \"me\" password \"hunter2\" ssl keep\n":                                    "fetchmail",
		"# mine\nset daemon 300\nskip pop.example.org proto pop3 user me there\n":                                              "fetchmail",
		"defaults proto pop3\nserver pop.example.org proto pop3 user me pass hunter2\n":                                        "fetchmail",
		"[retriever]\ntype = SimplePOP3SSLRetriever\nserver = pop.example.org\n[destination]\ntype = Maildir\n":                "getmail",
		"defaults\ntls on\n\naccount work\nhost pop.example.org\nuser me\npassword hunter2\ndelivery maildir ~/M\n":            "mpop",
		"action \"inbox\" maildir \"~/Mail\"\naccount \"work\" pop3s server \"pop.example.org\"\nmatch all action \"inbox\"\n": "fdm",
		"user_pref(\"mail.server.server1.hostname\", \"pop.example.org\");\n":                                                  "Thunderbird",
	} {
		got := problems(t, text)
		if len(got) != 1 || !strings.Contains(got[0], ": this looks like a configuration of "+want+", not of popfetch (popfetch reads TOML: ") || strings.Contains(got[0], "hunter2") {
			t.Errorf("%s\n  got %q", text, got)
		}
	}
	// One slip in a configuration of popfetch does not make it one of mpop.
	if got := problems(t, "[account.work]\nuser me\nserver = \"h\"\n"); strings.Contains(got[0], "mpop") {
		t.Errorf("got %q", got)
	}
}

func TestTextThatIsNoConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"\xff\xfe[\x00a\x00]\x00": "UTF-8",
		"%!PS-Adobe\n":            "not TOML: ",
		"\x00\x01\x02":            "not TOML: ",
		"<?xml version=\"1.0\"?>": "not TOML: ",
	} {
		if got := problems(t, text); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
