//go:build linux

package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"popfetch/internal/dovecottest"
)

// introspection is the endpoint that tells a mail server whom a token is for. RFC 7662
type introspection struct {
	mu    sync.Mutex
	users map[string]string // by token
	asked []string          // tokens, in order
}

func (i *introspection) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	token := r.FormValue("token")
	i.asked = append(i.asked, token)
	answer := map[string]any{"active": false}
	if user, ok := i.users[token]; ok {
		answer = map[string]any{"active": true, "username": user, "scope": "pop3"}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

func (i *introspection) reset() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = nil
}

func (i *introspection) tokens() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// startTokenDovecot starts a server that takes passwords and tokens, and the endpoint that
// it asks about these.
func startTokenDovecot(t *testing.T) (*dovecot, *introspection) {
	t.Helper()
	tokens := &introspection{users: make(map[string]string)}
	endpoint := httptest.NewServer(tokens)
	t.Cleanup(endpoint.Close)
	return tokenDovecot(t, endpoint.URL+"/"), tokens
}

// tokenDovecot starts a server that asks an endpoint about tokens.
func tokenDovecot(t *testing.T, endpoint string) *dovecot {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	args := filepath.Join(dir, "oauth2.conf")
	text := fmt.Sprintf("introspection_mode = post\nintrospection_url = %s\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n", endpoint)
	must(t, os.WriteFile(args, []byte(text), 0o644))
	return runDovecot(t, dovecottest.Options{
		Certificate: serverCertificate(t),
		Settings: "auth_mechanisms = plain login cram-md5 apop xoauth2 oauthbearer\n" +
			"passdb {\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = " + args + "\n}\n",
	})
}

// Access tokens, short ones and those of 5,000 octets, by both mechanisms, from a command
// and by the habit of other fetchers to call the token a password.
func testAccessTokens(t *testing.T, bin executable) {
	const n = 3
	d, tokens := startTokenDovecot(t)
	h := newHome(t, bin)
	counter := filepath.Join(h.dir, "runs")
	command := func(key, token string) string {
		return fmt.Sprintf("%s = [\"sh\", \"-c\", \"echo >>%s; cat %s\"]", key, counter, token)
	}
	put := func(name, token string) string {
		path := filepath.Join(h.dir, name)
		must(t, os.WriteFile(path, []byte(token+"\n"), 0o600))
		return path
	}
	short, long := "ya29.short-token", strings.Repeat("eyJ0eXAi", 625)
	for _, x := range []struct{ name, token, logged, lines string }{
		{"auto", short, "XOAUTH2", command("token_command", put("short", short))},
		{"long", long, "XOAUTH2", command("token_command", put("long", long))},
		{"bearer", short, "OAUTHBEARER", command("token_command", put("short", short)) + "\nauth = \"oauthbearer\""},
		{"long-bearer", long, "OAUTHBEARER", command("token_command", put("long", long)) + "\nauth = \"OAUTHBEARER\""},
		{"habit", short, "XOAUTH2", command("password_command", put("short", short)) + "\nauth = \"xoauth2\""},
	} {
		for _, mode := range []string{"implicit", "starttls"} {
			t.Run(x.name+" "+mode, func(t *testing.T) {
				user := x.name + "-" + mode + "@example.org"
				d.fill(t, user, n)
				tokens.reset()
				tokens.users[x.token] = user
				h.configure(t, d.account("work", user, mode, "received = false", x.lines, `maildir = "~/`+user+`"`))
				h.silently(t)
				sameMail(t, user, inMaildir(t, h.dir+"/"+user, nil), asStored(user, n))
				h.silently(t) // a server that was visited before gets the listing with the token
				if asked := tokens.tokens(); len(asked) == 0 || asked[0] != x.token {
					t.Errorf("the server has seen %.40q", asked)
				}
			})
		}
	}

	// A refused token is reported as a refused token, and fetched again once in each run.
	t.Run("refused", func(t *testing.T) {
		user := "refused@example.org"
		d.fill(t, user, n)
		for _, method := range []string{"xoauth2", "oauthbearer"} {
			must(t, os.RemoveAll(counter))
			tokens.reset()
			h.configure(t, d.account("work", user, "implicit", command("token_command", put("stale", "ya29.stale")), `auth = "`+method+`"`))
			r := h.once(t, 77)
			r.says(t, "popfetch: work: ", "the server refused the access token (status ", "hint: the token may have expired")
			if strings.Contains(r.stderr, "password") {
				t.Errorf("it mentions a password:\n%s", r.stderr)
			}
			runs, err := os.ReadFile(counter)
			if err != nil || len(runs) != 2 || len(tokens.tokens()) != 1 {
				t.Errorf("%s: %d runs of the command, %v, tokens shown to the server: %q", method, len(runs), err, tokens.tokens())
			}
		}
		// The second run of the command has a new one.
		must(t, os.RemoveAll(counter))
		tokens.reset()
		tokens.users["ya29.fresh"] = user
		put("fresh", "ya29.fresh")
		renew := fmt.Sprintf("token_command = [\"sh\", \"-c\", \"test -e %[1]s/again || { touch %[1]s/again; cat %[1]s/stale; exit; }; cat %[1]s/fresh\"]", h.dir)
		h.configure(t, d.account("work", user, "implicit", "received = false", renew, `maildir = "~/`+user+`"`))
		h.recovers(t)
		sameMail(t, user, inMaildir(t, h.dir+"/"+user, nil), asStored(user, n))
		if got := strings.Join(tokens.tokens(), " "); got != "ya29.stale ya29.fresh" {
			t.Errorf("tokens shown to the server: %q", got)
		}
	})

	t.Run("clear text", func(t *testing.T) {
		tokens.reset()
		h.configure(t, d.account("work", "auto-implicit@example.org", "none", command("token_command", put("short", short))))
		h.once(t, 77).says(t, "an access token is not sent over a connection without TLS", `hint: set tls = "implicit"`)
		if asked := tokens.tokens(); len(asked) > 0 {
			t.Errorf("the server has seen %q", asked)
		}
	})
}
