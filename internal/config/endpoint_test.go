package config

import (
	"slices"
	"strings"
	"testing"
)

func TestAddressOfTheLMTPServer(t *testing.T) {
	t.Setenv("RUN", "/run")
	for text, want := range map[string]Endpoint{
		"unix:/run/dovecot/lmtp": {"unix", "/run/dovecot/lmtp"},
		"unix:$RUN/lmtp":         {"unix", "/run/lmtp"},
		"mx.Example.org":         {"tcp", "mx.example.org:24"},
		"localhost:2424":         {"tcp", "localhost:2424"},
		"[::1]":                  {"tcp", "[::1]:24"},
	} {
		c := mustLoad(t, "[account.a]\nserver = \"h\"\nuser = \"u\"\nlmtp = \""+text+"\"\n")
		if got := c.Accounts[0]; got.LMTP != want || !slices.Equal(got.Recipients, []string{"u"}) || got.Maildir != "" {
			t.Errorf("%s: got %+v for %q", text, got.LMTP, got.Recipients)
		}
		if remote := strings.HasPrefix(text, "mx"); remote != (len(c.Warnings) == 1) {
			t.Errorf("%s: warnings %q", text, c.Warnings)
		}
		if again := mustLoad(t, show(t, c)); again.Accounts[0].LMTP != want {
			t.Errorf("%s: config show gives %+v", text, again.Accounts[0].LMTP)
		}
	}
}

// An account chooses its destination anew, and takes no recipient along that is for others.
func TestDestinationOfAnAccountReplacesThatOfDefaults(t *testing.T) {
	c := mustLoad(t, `[defaults]
server = "h"
lmtp = "localhost"
recipient = ["{account}@example.org"]
[account.a]
user = "u"
[account.b]
user = "v"
maildir = "/mail"
`)
	a, b := c.Accounts[0], c.Accounts[1]
	if a.LMTP.Address != "localhost:24" || !slices.Equal(a.Recipients, []string{"a@example.org"}) {
		t.Errorf("a: %+v, %q", a.LMTP, a.Recipients)
	}
	if b.LMTP.IsSet() || b.Recipients != nil || b.Maildir != "/mail" {
		t.Errorf("b: %+v, %q, %q", b.LMTP, b.Recipients, b.Maildir)
	}
}

func TestWhereMetricsAreServed(t *testing.T) {
	t.Setenv("RUN", "/run/$x")
	rest := "\n[account.a]\nserver = \"h\"\nuser = \"u\"\nmaildir = \"/m\"\n"
	for text, want := range map[string]Endpoint{
		"localhost:9110":    {"tcp", "localhost:9110"},
		"[::]:9110":         {"tcp", "[::]:9110"},
		"unix:$RUN/metrics": {"unix", "/run/$x/metrics"},
	} {
		c := mustLoad(t, "metrics_listen = \""+text+"\""+rest)
		if c.MetricsListen != want || len(c.Warnings) > 0 {
			t.Errorf("%s: got %+v, warnings %q", text, c.MetricsListen, c.Warnings)
		}
		if again := mustLoad(t, show(t, c)); again.MetricsListen != want {
			t.Errorf("%s: config show gives %+v", text, again.MetricsListen)
		}
	}
}
