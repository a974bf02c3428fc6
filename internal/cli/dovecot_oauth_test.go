//go:build linux

package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
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
// name: only the addresses are others.
func oauthTable(name string, p *oauthtest.Provider) string {
	device := ""
	if name == "microsoft" {
		device = fmt.Sprintf(", device_url = %q", p.URL("device"))
	}
	return fmt.Sprintf("oauth = { provider = %q, auth_url = %q, token_url = %q%s }\n", name, p.URL("authorize"), p.URL("token"), device)
}

// authorize runs popfetch authorize, whose user opens the page that it shows. browse
// returns what the user then pastes, "" = nothing.
func (h *home) authorize(t *testing.T, code int, browse func(page string) string, args ...string) run {
	t.Helper()
	return signIn(t, h.command(append([]string{"authorize", "work"}, args...)...), code, browse)
}

// signIn is home.authorize for a command.
func signIn(t *testing.T, cmd *exec.Cmd, code int, browse func(page string) string) run {
	t.Helper()
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

// recipe is what a section of popfetch-oauth(7) tells a user to do.
type recipe struct {
	account       string     // the name of the account
	configuration string     // of the account
	commands      [][]string // arguments of popfetch, in order
}

// recipeOf returns that of a section.
func recipeOf(t *testing.T, section string) recipe {
	t.Helper()
	page, err := os.ReadFile("../../man/popfetch-oauth.7")
	must(t, err)
	_, text, found := strings.Cut(string(page), "\n.Sh "+section+"\n")
	text, _, _ = strings.Cut(text, "\n.Sh ")
	var r recipe
	for _, m := range regexp.MustCompile(`(?s)\.Bd -literal[^\n]*\n(.*?)\.Ed`).FindAllStringSubmatch(text, -1) {
		if name := regexp.MustCompile(`(?m)^\[account\.(.*)\]$`).FindStringSubmatch(m[1]); name != nil && r.account == "" {
			r.account, r.configuration = name[1], m[1]
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\$ popfetch (.*)$`).FindAllStringSubmatch(text, -1) {
		r.commands = append(r.commands, strings.Fields(m[1]))
	}
	if !found || r.account == "" || len(r.commands) == 0 {
		t.Fatalf("section %s of popfetch-oauth.7 lacks a configuration or commands", section)
	}
	return r
}

// instead returns the configuration with lines in place of those that have the same keys.
// The page has all of these keys.
func (r recipe) instead(t *testing.T, lines map[string]string) string {
	t.Helper()
	text := strings.Replace(r.configuration, "[account."+r.account+"]", "[account.work]", 1)
	for key, line := range lines {
		re := regexp.MustCompile(`(?m)^` + key + ` = .*$`)
		if !re.MatchString(text) {
			t.Fatalf("the page does not say %s:\n%s", key, r.configuration)
		}
		text = re.ReplaceAllLiteralString(text, line)
	}
	return text
}

// follow does what the page says, in the account work. signIn runs popfetch authorize.
func (r recipe) follow(t *testing.T, h *home, signIn func()) {
	t.Helper()
	for _, args := range r.commands {
		if args[len(args)-1] != r.account {
			t.Fatalf("the page says popfetch %q", args)
		}
		args[len(args)-1] = "work"
		if args[0] == "authorize" {
			signIn()
			continue
		}
		if out, err := h.command(args...).CombinedOutput(); err != nil {
			t.Fatalf("popfetch %q: %v\n%s", args, err, out)
		}
	}
}

// A user with Gmail and a user with Outlook go from nothing to fetched mail by the
// manual's page: its configuration and its commands, with these servers in place of the
// real ones. The provider issues a refresh token only if it is asked as the real one wants
// to be.
func testSignIn(t *testing.T, bin executable) {
	const n = 3
	for _, x := range []struct {
		name, provider, scope string
		offline               url.Values
		ways                  map[string]func(*testing.T) func(string) string
	}{
		{"GMAIL", "google", "https://mail.google.com/", url.Values{"scope": {"https://mail.google.com/"}, "access_type": {"offline"}, "prompt": {"consent"}},
			map[string]func(*testing.T) func(string) string{"": openHere, "--paste": openElsewhere}},
		{"OUTLOOK", "microsoft", "https://outlook.office.com/POP.AccessAsUser.All", url.Values{"scope": {"https://outlook.office.com/POP.AccessAsUser.All offline_access"}},
			map[string]func(*testing.T) func(string) string{"": openHere, "--paste": openElsewhere, "--device": nil}},
	} {
		for way, browse := range x.ways {
			t.Run(x.name+" "+way, func(t *testing.T) {
				p := &oauthtest.Provider{
					ClientID: "client-of-the-user", User: "me@" + strings.ToLower(x.name) + ".example", Scope: x.scope, Offline: x.offline,
					Rotate: x.provider == "microsoft", TokenOctets: 1500,
				}
				if x.provider == "google" {
					p.ClientSecret = "GOCSPX-of-the-user"
				}
				d := signInAt(t, p)
				d.fill(t, p.User, n)
				h := newHome(t, bin)
				page := recipeOf(t, x.name)
				lines := map[string]string{
					"server":    fmt.Sprintf("server = %q\ntls_ca_file = %q\nreceived = false", d.POP3S, d.CertFile),
					"user":      fmt.Sprintf("user = %q", p.User),
					"oauth":     oauthTable(x.provider, p),
					"client_id": fmt.Sprintf("client_id = %q", p.ClientID),
					"maildir":   `maildir = "~/Mail/work"`,
				}
				if p.ClientSecret != "" {
					lines["client_secret"] = fmt.Sprintf("client_secret = %q", p.ClientSecret)
				}
				h.configure(t, page.instead(t, lines))

				h.once(t, 78).says(t, "popfetch: work: ", "has not signed in yet (run popfetch authorize work)")
				var r run
				page.follow(t, h, func() {
					var open func(string) string
					if browse != nil {
						open = browse(t)
					}
					r = h.authorize(t, 0, open, strings.Fields(way)...)
					r.says(t, "popfetch: work: signed in; ")
				})
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

// A user with Gmail who does not want to register a client.
func testAppPassword(t *testing.T, bin executable) {
	const n = 3
	d := startDovecot(t, true)
	user := "me@gmail.example"
	d.fill(t, user, n)
	h := newHome(t, bin)
	page := recipeOf(t, "APP PASSWORDS")
	h.configure(t, page.instead(t, map[string]string{
		"server":  fmt.Sprintf("server = %q\ntls_ca_file = %q\nreceived = false", d.POP3S, d.CertFile),
		"user":    fmt.Sprintf("user = %q", user),
		"maildir": `maildir = "~/Mail/work"`,
	}))
	file := regexp.MustCompile(`password_file = "~/(.*)"`).FindStringSubmatch(page.configuration)
	if file == nil {
		t.Fatalf("the page names no file: %s", page.configuration)
	}
	path := filepath.Join(h.dir, file[1])
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(password+"\n"), 0o600))
	page.follow(t, h, nil)
	sameMail(t, user, inMaildir(t, h.maildir("work"), nil), asStored(user, n))
}

// What ends a sign-in: the mail server refuses a token before its time, the provider is
// down, the user has revoked the access.
func testSignInEnds(t *testing.T, bin executable) {
	p := &oauthtest.Provider{ClientID: "client", User: "me@example.org", Scope: "https://mail.google.com/", Rotate: true}
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
