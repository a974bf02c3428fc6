package config

import (
	"slices"
	"strings"
	"testing"
)

func TestServerOfSMTP(t *testing.T) {
	for text, want := range map[string]struct {
		tls  TLSMode
		host string
		port int
		user string
	}{
		`smtp = "localhost"`:                                         {TLSNone, "localhost", 25, ""},
		`smtp = "localhost:2525"`:                                    {TLSNone, "localhost", 2525, ""},
		`smtp = {server = "smtp.example.org"}`:                       {TLSImplicit, "smtp.example.org", 465, ""},
		`smtp = {server = "h.example", tls = "starttls"}`:            {TLSStart, "h.example", 587, ""},
		`smtp = {server = "h.example", user = "me", password = "x"}`: {TLSImplicit, "h.example", 465, "me"},
	} {
		c := mustLoad(t, "[account.a]\nserver = \"pop.example.org\"\nuser = \"u\"\n"+text+"\nrecipient = [\"a@b\", \"c@d\"]\n")
		got := c.Accounts[0]
		if g := got.SMTP; g.TLS != want.tls || g.Host != want.host || g.Port != want.port || g.User != want.user || !slices.Equal(got.Recipients, []string{"a@b", "c@d"}) {
			t.Errorf("%s: got %+v for %q", text, g, got.Recipients)
		}
		again := mustLoad(t, strings.ReplaceAll(show(t, c), "***", "x"))
		if g := again.Accounts[0]; g.SMTP.Address() != got.SMTP.Address() || g.SMTP.TLS != want.tls || !slices.Equal(g.Recipients, got.Recipients) {
			t.Errorf("%s: config show gives %+v for %q", text, g.SMTP, g.Recipients)
		}
	}
}
