//go:build linux

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"popfetch/internal/oauth/oauthtest"
)

// For months no mail comes. The sign-in at the mailbox that it would go to does not lapse
// meanwhile.
func TestSignInAtAnIdleDestinationIsKept(t *testing.T) {
	t.Parallel()
	p := &oauthtest.Provider{ClientID: "client", User: "me@example.org", Scope: "imap", Rotate: true}
	p.Start()
	t.Cleanup(p.Close)
	s := clearServer(t)
	h := newUserHome(t, fmt.Sprintf(`[account.work]
server = %q
user = "alice"
password = %q
tls = "none"
[account.work.imap]
server = "imap.example.invalid"
user = %q
oauth = { auth_url = %q, token_url = %q, scopes = "imap" }
client_id = "client"
`, s.Addr(), secret, p.User, p.URL("authorize"), p.URL("token")))
	h.exits(0, "exec popfetch state seed work") // the account is not new, so nobody asks the destination
	signIn(t, h.command("exec popfetch authorize work --destination"), 0, openHere(t))
	h.exits(0, "exec popfetch --once")
	if got := p.Requests(); !slices.Equal(got, []string{"authorization_code"}) {
		t.Errorf("fresh tokens: the provider was asked for %q", got)
	}
	age := func() {
		t.Helper()
		files, err := filepath.Glob(h.dir + "/.local/state/popfetch/tokens/*.json")
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v", files, err)
		}
		text, err := os.ReadFile(files[0])
		must(t, err)
		text = regexp.MustCompile(`("expiry"|"obtained"): "[^"]*"`).ReplaceAll(text, []byte(`$1: "2026-01-01T00:00:00Z"`))
		must(t, os.WriteFile(files[0], text, 0o600))
	}
	age()
	for range 2 {
		if e := h.exits(0, "exec popfetch --once"); e.stdout+e.stderr != "" {
			t.Errorf("it says %s%s", e.stdout, e.stderr)
		}
		if got := p.Requests(); !slices.Equal(got, []string{"authorization_code", "refresh_token"}) {
			t.Errorf("old tokens: the provider was asked for %q", got)
		}
	}
	age()
	p.Forget()
	e := h.exits(0, "exec popfetch --once")
	want := regexp.MustCompile(`the sign-in at the destination was not renewed.*the provider does not accept the sign-in any more.*run popfetch authorize --destination work`)
	if !want.MatchString(e.stderr) {
		t.Errorf("it says %s", e.stderr)
	}
}
