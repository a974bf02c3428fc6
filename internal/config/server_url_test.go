package config

import (
	"slices"
	"strings"
	"testing"
)

func TestServerMayBeAPOPURLOrASocket(t *testing.T) {
	for server, want := range map[string]struct {
		text, user string
		tls        TLSMode
		auth       []string
		address    string
	}{
		`server = "pop://me%40x.org;AUTH=+APOP@Pop.x.org:1110/"`:       {"Pop.x.org:1110", "me@x.org", TLSStart, []string{"apop"}, "pop.x.org:1110"},
		`server = "POP://me;auth=CRAM-MD5@[::1]"`:                      {"[::1]", "me", TLSStart, []string{"cram-md5"}, "[::1]:110"},
		`server = "pops://me;AUTH=*@pop.x.org"`:                        {"pop.x.org", "me", TLSImplicit, nil, "pop.x.org:995"},
		"server = \"pop3://localhost\"\nuser = \"me\"\ntls = \"none\"": {"localhost", "me", TLSNone, nil, "localhost:110"},
		"server = \"unix:/run/pop3\"\nuser = \"me\"":                   {"unix:/run/pop3", "me", TLSNone, nil, "unix:/run/pop3"},
	} {
		c := mustLoad(t, "[account.work]\nmaildir = \"/m\"\n"+server)
		a := c.Accounts[0]
		if a.Server != want.text || a.User != want.user || a.TLS != want.tls || !slices.Equal(a.Auth, want.auth) || a.Address() != want.address || len(c.Warnings) > 0 {
			t.Errorf("%s: %+v, %q", server, a.Login, c.Warnings)
		}
		if again := mustLoad(t, show(t, c)); again.Accounts[0].Address() != want.address || again.Accounts[0].User != want.user {
			t.Errorf("%s: shown as\n%s", server, show(t, c))
		}
	}
}

func TestUnusableWayToTheServerIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`server = "pop://me:hunter2@pop.x.org"`:                               "contains a password",
		"server = \"pop://me@pop.x.org\"\nuser = \"you\"":                     "both the URL and the key user",
		"server = \"pop://me;AUTH=PLAIN@pop.x.org\"\nauth = \"plain\"":        "both the URL and the key auth",
		`server = "pop://me;AUTH=NTLMX@pop.x.org"`:                            "unknown method",
		`server = "pop://me%zz@pop.x.org"`:                                    "as a URL demands",
		`server = "pop://me%0a@pop.x.org"`:                                    "control character",
		`server = "pop://me@pop.x.org/x"`:                                     "a POP URL is",
		`server = "pop://"`:                                                   "a POP URL is",
		"server = \"pops://me@pop.x.org\"\ntls = \"starttls\"":                "keep one of them",
		`server = "imap://me@pop.x.org"`:                                      "contains an @",
		"server = \"pop.x.org\"\nuser = \"me\"\nauth = \"none\"":              "needs a tunnel or a unix socket",
		"server = \"x\"\nuser = \"me\"\nauth = [\"none\", \"plain\"]":         "cannot be combined",
		"server = \"unix:/s\"\nuser = \"me\"\ntls = \"implicit\"":             "needs tls_server_name",
		"server = \"unix:/s\"\nuser = \"me\"\nproxy = \"none\"":               "has no effect with a unix socket",
		"server = \"x\"\nuser = \"me\"\nproxy = \"none\"\ntunnel = [\"ssh\"]": "both a way to the server",
		"server = \"unix:/" + strings.Repeat("x", 110) + "\"\nuser = \"me\"":  "longer than 107",
	} {
		got := strings.Join(problems(t, "[account.work]\nmaildir = \"/m\"\n"+text), "\n")
		if !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestPasswordOfAProxyIsMaskedAndKept(t *testing.T) {
	text := "[account.work]\nserver = \"x\"\nuser = \"me\"\nmaildir = \"/m\"\nproxy = \"http://bob:hunter2%40@h:3128\"\n"
	c := mustLoad(t, text)
	shown := show(t, c)
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, `proxy = "http://bob:***@h:3128"`) {
		t.Errorf("shown as\n%s", shown)
	}
	if written := c.encode(nil, ""); !strings.Contains(written, `proxy = "http://bob:hunter2%40@h:3128"`) {
		t.Errorf("written as\n%s", written)
	}
	l := &loader{file: "config.toml"}
	if l.load(text); len(l.secrets) != 1 {
		t.Errorf("the file has the secrets %v", l.secrets)
	}
}
