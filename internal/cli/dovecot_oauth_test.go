//go:build linux

package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"popfetch/internal/oauth/oauthtest"
)

// signInAt starts a provider and a mail server that asks it about tokens.
func signInAt(t *testing.T, p *oauthtest.Provider) *dovecot {
	t.Helper()
	p.Start()
	t.Cleanup(p.Close)
	return tokenDovecot(t, p.URL("introspect"))
}

// oauthTable is the key oauth of an account at a provider that stands for the one of that
// name.
func oauthTable(name string, p *oauthtest.Provider) string {
	device := ""
	if name == "microsoft" {
		device = fmt.Sprintf("device_url = %q, ", p.URL("device"))
	}
	return fmt.Sprintf("oauth = { provider = %q, auth_url = %q, token_url = %q, %sscopes = [%q, \"offline_access\"] }\n", name, p.URL("authorize"), p.URL("token"), device, p.Scope)
}

// authorize runs popfetch authorize, whose user opens the page that it shows. browse
// returns what the user then pastes, "" = nothing.
func (h *home) authorize(t *testing.T, code int, browse func(page string) string, args ...string) run {
	t.Helper()
	cmd := h.command(append([]string{"authorize", "work"}, args...)...)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	var shown strings.Builder
	for lines.Scan() {
		fmt.Fprintln(&shown, lines.Text())
		if browse != nil {
			io.WriteString(stdin, browse(lines.Text()))
		}
	}
	stdin.Close()
	cmd.Wait()
	r := run{stdout: shown.String(), stderr: stderr.String()}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("popfetch authorize: exit code %d, want %d\n%s", got, code, r.stderr)
	}
	return r
}

func openHere(t *testing.T) func(string) string {
	return func(page string) string {
		r, err := http.Get(page)
		must(t, err)
		r.Body.Close()
		return ""
	}
}

func openElsewhere(t *testing.T) func(string) string {
	return func(page string) string {
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		r, err := client.Get(page)
		must(t, err)
		r.Body.Close()
		return r.Header.Get("Location") + "\n"
	}
}

// recipe returns the lines of popfetch-oauth(7) that configure an account at a provider.
func recipe(t *testing.T, server string) string {
	t.Helper()
	page, err := os.ReadFile("../../man/popfetch-oauth.7")
	must(t, err)
	for _, m := range regexp.MustCompile(`(?s)\.Bd -literal[^\n]*\n(.*?)\.Ed`).FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(m[1], server) {
			return m[1]
		}
	}
	t.Fatalf("popfetch-oauth.7 has no configuration for %s", server)
	return ""
}

// A user with Gmail and a user with Outlook go from nothing to fetched mail by the
// manual's page: its configuration, with these servers in place of the real ones.
func testSignIn(t *testing.T, bin executable) {
	const n = 3
	for _, x := range []struct {
		name, server, provider, scope string
		ways                          map[string]func(*testing.T) func(string) string
	}{
		{"Gmail", "pop.gmail.com", "google", "https://mail.google.com/", map[string]func(*testing.T) func(string) string{"": openHere, "--paste": openElsewhere}},
		{"Outlook", "outlook.office365.com", "microsoft", "https://outlook.office.com/POP.AccessAsUser.All",
			map[string]func(*testing.T) func(string) string{"": openHere, "--paste": openElsewhere, "--device": nil}},
	} {
		for way, browse := range x.ways {
			t.Run(x.name+" "+way, func(t *testing.T) {
				p := &oauthtest.Provider{ClientID: "client-of-the-user", User: "me@" + strings.ToLower(x.name) + ".example", Scope: x.scope, Rotate: x.provider == "microsoft", TokenOctets: 1500}
				if x.provider == "google" {
					p.ClientSecret = "GOCSPX-of-the-user"
				}
				d := signInAt(t, p)
				d.fill(t, p.User, n)
				h := newHome(t, bin)

				text := recipe(t, x.server)
				for pattern, value := range map[string]string{
					`(?m)^server = .*$`:        fmt.Sprintf("server = %q\ntls_ca_file = %q\nreceived = false", d.POP3S, d.CertFile),
					`(?m)^user = .*$`:          fmt.Sprintf("user = %q", p.User),
					`(?m)^oauth = .*$`:         oauthTable(x.provider, p),
					`(?m)^client_id = .*$`:     fmt.Sprintf("client_id = %q", p.ClientID),
					`(?m)^client_secret = .*$`: fmt.Sprintf("client_secret = %q", p.ClientSecret),
					`(?m)^maildir = .*$`:       `maildir = "~/Mail/work"`,
				} {
					re := regexp.MustCompile(pattern)
					if !re.MatchString(text) && !strings.Contains(pattern, "secret") {
						t.Fatalf("the page does not say %s:\n%s", pattern, text)
					}
					text = re.ReplaceAllLiteralString(text, value)
				}
				text = regexp.MustCompile(`\[account\.[a-z]+\]`).ReplaceAllString(text, "[account.work]")
				h.configure(t, text)

				h.once(t, 78).says(t, "popfetch: work: ", "has not signed in yet (run popfetch authorize work)")
				var open func(string) string
				if browse != nil {
					open = browse(t)
				}
				r := h.authorize(t, 0, open, strings.Fields(way)...)
				r.says(t, "popfetch: work: signed in; ")
				h.recovers(t)
				sameMail(t, p.User, inMaildir(t, h.maildir("work"), nil), asStored(p.User, n))
				var out bytes.Buffer
				cmd := h.command("token", "work")
				cmd.Stdout = &out
				must(t, cmd.Run())
				if token := strings.TrimSuffix(out.String(), "\n"); !p.Valid(token) {
					t.Errorf("popfetch token prints %.40q", token)
				}
				for _, issued := range p.Issued() {
					if strings.Contains(r.stdout+r.stderr, issued) {
						t.Errorf("%.20s is in %s%s", issued, r.stdout, r.stderr)
					}
				}
			})
		}
	}
}

// What ends a sign-in: the mail server refuses a token before its time, the provider is
// down, the user has revoked the access.
func testSignInEnds(t *testing.T, bin executable) {
	p := &oauthtest.Provider{ClientID: "client", User: "me@example.org", Scope: "pop", Rotate: true}
	d := signInAt(t, p)
	d.fill(t, p.User, 3)
	h := newHome(t, bin)
	lines := []string{"received = false", oauthTable("google", p), `client_id = "client"`}
	h.configure(t, withoutPassword(d.account("work", p.User, "implicit", lines...)))
	h.authorize(t, 0, openHere(t))
	requests := func() int { return len(p.Requests()) }

	p.Expire() // the provider has ended the token, and popfetch does not know
	before := requests()
	h.silently(t)
	if got := requests() - before; got != 1 {
		t.Errorf("%d renewals for one refused token", got)
	}
	p.Fail(503, "")
	h.silently(t) // the token is still valid
	p.Expire()
	h.once(t, 77).says(t, "the server refused the access token", "and then, for a new token: ", "the provider cannot serve the request now (HTTP status 503)")
	p.Fail(0, "")
	h.recovers(t)

	p.Expire()
	p.Forget()
	before = requests()
	r := h.once(t, 77)
	r.says(t, `the provider does not accept the sign-in any more ("invalid_grant"`, "(run popfetch authorize work)")
	if got := requests() - before; got != 1 {
		t.Errorf("%d requests after the access was revoked", got)
	}
	cmd := h.command("token", "work")
	cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 0 { // the file still has a token that looks valid
		t.Errorf("popfetch token: exit code %d", code)
	}
	h.authorize(t, 0, openHere(t))
	h.recovers(t)
	sameMail(t, p.User, inMaildir(t, h.maildir("work"), nil), asStored(p.User, 3))

	p.Refuse("access_denied")
	h.authorize(t, 77, openHere(t)).says(t, `the sign-in was refused ("access_denied")`)
	h.silently(t) // the sign-in from before still holds

	h.authorize(t, 78, nil, "--device").says(t, "no sign-in with a device code for mail at this provider (use --paste)")
	h.authorize(t, 64, nil, "--device", "--paste")
	info, err := os.Stat(filepath.Join(filepath.Dir(h.state()), "tokens", "work.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func withoutPassword(account string) string {
	return regexp.MustCompile(`(?m)^password = .*\n`).ReplaceAllString(account, "")
}
