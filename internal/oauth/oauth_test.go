package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"popfetch/internal/certtest"
	"popfetch/internal/config"
	"popfetch/internal/oauth/oauthtest"
	"popfetch/internal/secret"
)

// provide starts a provider; change may alter it before.
func provide(t *testing.T, change func(*oauthtest.Provider)) *oauthtest.Provider {
	t.Helper()
	p := &oauthtest.Provider{ClientID: "client", User: "me@example.org", Scope: "pop"}
	if change != nil {
		change(p)
	}
	p.Start()
	t.Cleanup(p.Close)
	return p
}

// grantAt returns the grant of an account at a provider, with its tokens in dir.
func grantAt(p *oauthtest.Provider, dir string) *Grant {
	a := &config.Login{User: p.User, ClientID: p.ClientID, OAuth: config.OAuth{
		AuthURL: p.URL("authorize"), TokenURL: p.URL("token"), DeviceURL: p.URL("device"), RedirectURL: "http://127.0.0.1", Scopes: []string{"pop", "offline_access"},
	}}
	if p.ClientSecret != "" {
		a.ClientSecret = config.NewSecret(p.ClientSecret)
	}
	return Of("work", a, filepath.Join(dir, "work.json"), nil, nil)
}

func tokenDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "tokens")
}

// browser is a Prompt whose user opens the page that is shown.
func browser(t *testing.T, opened func(page string)) Prompt {
	return Prompt{Say: func(format string, args ...any) { t.Logf(format, args...) }, Show: opened}
}

// visit opens a page as a browser does, and returns what it shows in the end.
func visit(t *testing.T, page string) string {
	r, err := http.Get(page)
	if err != nil {
		t.Errorf("browser: %v", err)
		return ""
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("browser: %v", err)
	}
	return string(text)
}

// signedIn returns a grant that has signed in.
func signedIn(t *testing.T, p *oauthtest.Provider) *Grant {
	t.Helper()
	g := grantAt(p, tokenDir(t))
	if err := g.Loopback(t.Context(), browser(t, func(page string) { go visit(t, page) })); err != nil {
		t.Fatal(err)
	}
	return g
}

// reasonOf returns the *secret.Error in err.
func reasonOf(t *testing.T, err error) *secret.Error {
	t.Helper()
	var reason *secret.Error
	if !errors.As(err, &reason) {
		t.Fatalf("got %v, want a *secret.Error", err)
	}
	return reason
}

func TestSignInWithABrowserHere(t *testing.T) {
	for name, change := range map[string]func(*oauthtest.Provider){
		"public client":        nil,
		"client with secret":   func(p *oauthtest.Provider) { p.ClientSecret = "hush-hush" },
		"token of 6000 octets": func(p *oauthtest.Provider) { p.TokenOctets = 6000 },
	} {
		t.Run(name, func(t *testing.T) {
			p := provide(t, change)
			g := signedIn(t, p)
			token, err := g.Token(t.Context(), "")
			if err != nil || !p.Valid(token) {
				t.Errorf("%.20q, %v", token, err)
			}
			info, err := os.Stat(g.File())
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		})
	}
}

// The page on the loopback address takes the answer to its own question and no other.
func TestCallbackIgnoresStrangers(t *testing.T) {
	p := provide(t, nil)
	g := grantAt(p, tokenDir(t))
	err := g.Loopback(t.Context(), browser(t, func(page string) {
		u, _ := url.Parse(page)
		back := u.Query().Get("redirect_uri")
		go func() {
			for _, stranger := range []string{"/?code=evil&state=guess", "/?code=evil", "/", "/favicon.ico", "/?error=access_denied&state="} {
				if text := visit(t, back+stranger); strings.Contains(text, "has what it needs") {
					t.Errorf("%s: %s", stranger, text)
				}
			}
			if text := visit(t, page); !strings.Contains(text, "has what it needs") {
				t.Errorf("the user sees %q", text)
			}
		}()
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Requests(); !slices.Equal(got, []string{"authorization_code"}) {
		t.Errorf("requests %q", got)
	}
}

func TestSignInByPaste(t *testing.T) {
	p := provide(t, nil)
	g := grantAt(p, tokenDir(t))
	var address string
	prompt := browser(t, func(page string) {
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		r, err := client.Get(page)
		if err != nil {
			t.Error(err)
			return
		}
		r.Body.Close()
		address = r.Header.Get("Location")
	})
	pasted := []func() string{
		func() string { return "nonsense\n" },
		func() string { return strings.Replace(address, "state=", "state=x", 1) + "\n" },
		func() string { return "  " + address + "\r\n" },
	}
	read := func(context.Context) (string, error) {
		next := pasted[0]
		pasted = pasted[1:]
		return next(), nil
	}
	if err := g.Paste(t.Context(), prompt, read); err != nil {
		t.Fatal(err)
	}
	if token, err := g.Token(t.Context(), ""); err != nil || !p.Valid(token) {
		t.Errorf("%q, %v", token, err)
	}

	wrong := func(context.Context) (string, error) { return "http://127.0.0.1/?code=x&state=y", nil }
	if e := reasonOf(t, g.Paste(t.Context(), prompt, wrong)); !e.Refused || !strings.Contains(e.Error(), "not the answer to this sign-in") {
		t.Errorf("got %v", e)
	}
	if token, err := g.Token(t.Context(), ""); err != nil || !p.Valid(token) {
		t.Errorf("the sign-in from before is gone: %q, %v", token, err)
	}
}

func TestSignInByDeviceCode(t *testing.T) {
	p := provide(t, func(p *oauthtest.Provider) { p.DeviceTurns = 1 })
	g := grantAt(p, tokenDir(t))
	var said []string
	prompt := Prompt{Say: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }, Show: func(line string) { said = append(said, line) }}
	if err := g.Device(t.Context(), prompt); err != nil {
		t.Fatal(err)
	}
	if token, err := g.Token(t.Context(), ""); err != nil || !p.Valid(token) {
		t.Errorf("%q, %v", token, err)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "WDJB-MJHT") || !strings.Contains(text, "/activate") {
		t.Errorf("the user reads %q", text)
	}
	p.Refuse("access_denied")
	if e := reasonOf(t, g.Device(t.Context(), prompt)); !e.Refused || !strings.Contains(e.Error(), `refused ("access_denied")`) {
		t.Errorf("got %v", e)
	}
	g.device = false
	if e := reasonOf(t, g.Device(t.Context(), prompt)); !strings.Contains(e.Error(), "use --paste") {
		t.Errorf("got %v", e)
	}
}

func TestUserWhoRefusesAndProviderThatRefuses(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(*oauthtest.Provider)
		grant  func(*Grant)
		want   string
	}{
		{"the user", func(p *oauthtest.Provider) {}, nil, `the sign-in was refused ("access_denied")`},
		{"unknown scope", func(p *oauthtest.Provider) { p.Scope = "other" }, nil, `the sign-in was refused ("invalid_scope")`},
		{"wrong secret", func(p *oauthtest.Provider) { p.ClientSecret = "hush-hush" },
			func(g *Grant) { g.secret = &secret.Source{Text: config.NewSecret("wrong-one"), OfClient: true} }, `the provider does not accept the client ("invalid_client"`},
		{"no refresh token", func(p *oauthtest.Provider) { p.NoRefresh = true }, nil, "the provider has sent no refresh token"},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := provide(t, x.change)
			if x.name == "the user" {
				p.Refuse("access_denied")
			}
			g := grantAt(p, tokenDir(t))
			if x.grant != nil {
				x.grant(g)
			}
			err := g.Loopback(t.Context(), browser(t, func(page string) { go visit(t, page) }))
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v, want %q", err, x.want)
			}
			if _, err := os.Stat(g.File()); err == nil {
				t.Error("there are tokens")
			}
		})
	}
}

// A token is used until shortly before its end, then renewed, and the file has the new
// refresh token before anything else happens.
func TestTokenIsRenewedBeforeItsEnd(t *testing.T) {
	for _, rotate := range []bool{false, true} {
		t.Run(fmt.Sprint(rotate), func(t *testing.T) {
			p := provide(t, func(p *oauthtest.Provider) { p.Rotate = rotate })
			g := signedIn(t, p)
			first, err := g.Token(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if again, err := g.Token(t.Context(), ""); again != first || err != nil {
				t.Errorf("a valid token was renewed: %q, %v", again, err)
			}
			last := first
			for i := range 3 {
				later := time.Now().Add(time.Duration(i+1) * 56 * time.Minute)
				g.now = func() time.Time { return later }
				next, err := g.Token(t.Context(), "")
				if err != nil || next == last || !p.Valid(next) {
					t.Fatalf("renewal %d: %q, %v", i, next, err)
				}
				last = next
				g = reopened(g)
			}
		})
	}
}

// reopened is the grant as the next process sees it.
func reopened(g *Grant) *Grant {
	return &Grant{account: g.account, user: g.user, name: g.name, file: g.file, config: g.config, secret: g.secret, http: g.http, device: g.device, now: g.now}
}

// Processes that find a token at its end renew it once: a provider that rotates has
// forgotten the old one by then.
func TestManyAtOnceRenewOnce(t *testing.T) {
	p := provide(t, func(p *oauthtest.Provider) { p.Rotate = true })
	g := signedIn(t, p)
	later := time.Now().Add(2 * time.Hour)
	g.now = func() time.Time { return later }
	g.config.ClientID = p.ClientID
	var wg sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens {
		other := reopened(g) // a lock of its own, as another process has
		other.now = func() time.Time { return time.Now().Add(58 * time.Minute) }
		wg.Go(func() {
			token, err := other.Token(t.Context(), "")
			if err != nil {
				t.Error(err)
			}
			tokens[i] = token
		})
	}
	wg.Wait()
	for _, token := range tokens {
		if !p.Valid(token) {
			t.Errorf("%q is not valid", token)
		}
	}
	if got := p.Requests(); len(got) < 2 || len(got) > 1+len(tokens) {
		t.Errorf("requests %q", got)
	}
}

// What nobody has used for a long time is renewed, so that the provider does not end the
// sign-in.
func TestTokensThatLieIdleAreRenewed(t *testing.T) {
	p := provide(t, func(p *oauthtest.Provider) { p.Rotate = true })
	g := signedIn(t, p)
	const week = 7 * 24 * time.Hour
	renewals := func() int { return len(p.Requests()) - 1 }
	if err := g.Keep(t.Context(), week); err != nil || renewals() != 0 {
		t.Errorf("%d renewals, %v", renewals(), err)
	}
	g.now = func() time.Time { return time.Now().Add(week + time.Hour) }
	for range 2 {
		if err := g.Keep(t.Context(), week); err != nil || renewals() != 1 {
			t.Errorf("%d renewals, %v", renewals(), err)
		}
	}
	p.Forget()
	g.now = func() time.Time { return time.Now().Add(3 * week) }
	if e := reasonOf(t, g.Keep(t.Context(), week)); !e.Refused {
		t.Errorf("got %v", e)
	}
}

func TestRefusedTokenIsRenewedThoughItLooksValid(t *testing.T) {
	p := provide(t, nil)
	g := signedIn(t, p)
	first, err := g.Token(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p.Expire()
	second, err := g.Token(t.Context(), first)
	if err != nil || second == first || !p.Valid(second) {
		t.Errorf("%q, %v", second, err)
	}
	if third, err := g.Token(t.Context(), first); err != nil || third != second {
		t.Errorf("renewed once more: %q, %v", third, err)
	}
}

func TestRevokedGrantNamesTheCommand(t *testing.T) {
	p := provide(t, nil)
	g := signedIn(t, p)
	first, _ := g.Token(t.Context(), "")
	p.Forget()
	e := reasonOf(t, second(g.Token(t.Context(), first)))
	if !e.Refused || e.Temporary() || !strings.Contains(e.Error(), "(run popfetch authorize work)") {
		t.Errorf("got %v", e)
	}
	for _, issued := range p.Issued() { // this provider repeats the refresh token in its error
		if strings.Contains(e.Error(), issued[:16]) {
			t.Errorf("the error shows %s: %v", issued, e)
		}
	}
}

func second(_ string, err error) error { return err }

func TestProviderThatFails(t *testing.T) {
	for _, x := range []struct {
		name      string
		status    int
		body      string
		want      string
		temporary bool
	}{
		{"down", 503, "<html>", "the provider cannot serve the request now (HTTP status 503)", true},
		{"too many", 429, `{"error":"rate_limited"}`, "cannot serve the request now", true},
		{"no token in it", 200, `{"token_type":"Bearer"}`, "not one that RFC 6749 knows", true},
		{"no JSON", 200, "<html>", "not one that RFC 6749 knows", true},
		{"a token with a line end", 200, `{"access_token":"a\r\nQUIT","token_type":"Bearer"}`, "a character that is not allowed", true},
		{"redirect", 307, "", "has refused the request (HTTP status 307)", true},
		{"unknown error", 400, `{"error":"moon_phase"}`, `has refused the request ("moon_phase")`, true},
		{"client deleted", 401, `{"error":"invalid_client"}`, `does not accept the client ("invalid_client")`, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := provide(t, nil)
			g := signedIn(t, p)
			before, err := os.ReadFile(g.File())
			if err != nil {
				t.Fatal(err)
			}
			p.Fail(x.status, x.body)
			first, err := g.Token(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			e := reasonOf(t, second(g.Token(t.Context(), first)))
			if e.Temporary() != x.temporary || e.Refused || !strings.Contains(e.Error(), x.want) {
				t.Errorf("temporary %v, refused %v: %v", e.Temporary(), e.Refused, e)
			}
			after, err := os.ReadFile(g.File())
			if err != nil || string(after) != string(before) {
				t.Errorf("the tokens have changed: %v", err)
			}
			if x.temporary {
				// Minutes before its end the token still serves.
				g.now = func() time.Time { return time.Now().Add(57 * time.Minute) }
				if token, err := g.Token(t.Context(), ""); token != first || err != nil {
					t.Errorf("a token that is still valid: %q, %v", token, err)
				}
			}
			p.Fail(0, "")
			if token, err := g.Token(t.Context(), first); err != nil || !p.Valid(token) {
				t.Errorf("afterwards: %q, %v", token, err)
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		p := provide(t, nil)
		g := signedIn(t, p)
		first, _ := g.Token(t.Context(), "")
		p.Close()
		if e := reasonOf(t, second(g.Token(t.Context(), first))); !e.Temporary() || !strings.Contains(e.Error(), "does not answer: ") {
			t.Errorf("got %v", e)
		}
	})
	t.Run("silent", func(t *testing.T) {
		p := provide(t, nil)
		g := signedIn(t, p)
		first, _ := g.Token(t.Context(), "")
		_, release := p.Hold()
		defer release()
		g.http.Timeout = 50 * time.Millisecond
		if e := reasonOf(t, second(g.Token(t.Context(), first))); !e.Temporary() {
			t.Errorf("got %v", e)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := second(g.Token(ctx, first)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// A user with a wrong clock, a wrong tenant, an occupied port, no network.
func TestErrorsSayWhatTheUserCanDo(t *testing.T) {
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer occupied.Close()
	past, err := certtest.SelfSigned(certtest.Request{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Start: time.Now().AddDate(0, -2, 0), End: time.Now().AddDate(0, -1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	chain, _, err := certtest.PEM(past)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(chain)
	secured := func(cert ...tls.Certificate) string {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{Certificates: cert}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, x := range map[string]struct {
		change    func(p *oauthtest.Provider, g *Grant)
		says      []string
		temporary bool
	}{
		"another sign-in at the same port": {func(_ *oauthtest.Provider, g *Grant) { g.config.RedirectURL = "http://" + occupied.Addr().String() },
			[]string{"listen for the browser: ", "another popfetch authorize may be waiting there", "take --paste or --device"}, false},
		"wrong tenant": {func(p *oauthtest.Provider, g *Grant) {
			g.name = config.Microsoft
			p.Fail(400, `{"error":"invalid_request","error_description":"AADSTS90002: Tenant 'x' not found."}`)
		}, []string{"the provider does not accept the client", "AADSTS90002", "check client_id, tenant and"}, false},
		"wrong clock": {func(_ *oauthtest.Provider, g *Grant) {
			g.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
			g.config.Endpoint.TokenURL = secured(past)
		}, []string{"cannot be secured: ", "is the clock of this machine right? It shows 20"}, true},
		"certificate of a stranger": {func(_ *oauthtest.Provider, g *Grant) { g.config.Endpoint.TokenURL = secured() },
			[]string{"cannot be secured: ", "may pose as it"}, true},
		"no network": {func(p *oauthtest.Provider, g *Grant) { g.config.Endpoint.TokenURL = "http://" + closedPort(t) },
			[]string{"does not answer: ", "is the network up"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := provide(t, nil)
			g := grantAt(p, tokenDir(t))
			x.change(p, g)
			e := reasonOf(t, g.Loopback(t.Context(), browser(t, func(page string) { go visit(t, page) })))
			for _, words := range x.says {
				if !strings.Contains(e.Error(), words) {
					t.Errorf("%q is not in %v", words, e)
				}
			}
			if e.Temporary() != x.temporary {
				t.Errorf("temporary %v: %v", e.Temporary(), e)
			}
		})
	}
}

// closedPort is an address where nothing listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// A stop in the middle of a renewal does not lose the refresh token that the provider has
// just issued in place of the old one.
func TestStopWithinARenewalKeepsTheNewToken(t *testing.T) {
	p := provide(t, func(p *oauthtest.Provider) { p.Rotate = true })
	g := signedIn(t, p)
	first, _ := g.Token(t.Context(), "")
	waiting, release := p.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- second(g.Token(ctx, first)) }()
	<-waiting
	cancel()
	release()
	if err := <-done; err != nil {
		t.Errorf("the renewal ended with %v", err)
	}
	if token, err := reopened(g).Token(t.Context(), first); err != nil || token == first || !p.Valid(token) {
		t.Errorf("the next process gets %q, %v", token, err)
	}
}

// The refresh token goes to nobody but the one who has issued it.
func TestTokenFileThatDoesNotFit(t *testing.T) {
	p := provide(t, nil)
	for _, x := range []struct {
		name   string
		change func(t *testing.T, g *Grant)
		want   string
	}{
		{"missing", func(t *testing.T, g *Grant) { os.Remove(g.file) }, "has not signed in yet"},
		{"empty", func(t *testing.T, g *Grant) { os.WriteFile(g.file, nil, 0o600) }, "is damaged"},
		{"cut", func(t *testing.T, g *Grant) { os.Truncate(g.file, 100) }, "is damaged"},
		{"without tokens", func(t *testing.T, g *Grant) { os.WriteFile(g.file, []byte("{}"), 0o600) }, "is damaged"},
		{"open to others", func(t *testing.T, g *Grant) { os.Chmod(g.file, 0o644) }, "is open to others"},
		{"another client", func(t *testing.T, g *Grant) { g.config.ClientID = "other" }, "another user, client_id or provider"},
		{"another user", func(t *testing.T, g *Grant) { g.user = "you@example.org" }, "another user, client_id or provider"},
		{"another provider", func(t *testing.T, g *Grant) { g.config.Endpoint.TokenURL = "http://127.0.0.1:1/" }, "another user, client_id or provider"},
	} {
		t.Run(x.name, func(t *testing.T) {
			g := signedIn(t, p)
			x.change(t, g)
			e := reasonOf(t, second(g.Token(t.Context(), "")))
			if e.Temporary() || e.Refused || !strings.Contains(e.Error(), x.want) || !strings.Contains(e.Error(), "(run popfetch authorize work)") {
				t.Errorf("got %v", e)
			}
		})
	}
}

// Where the new refresh token cannot be written, the provider is not asked for one; and
// one that it has issued is kept in memory until it is written.
func TestTokenThatCannotBeWritten(t *testing.T) {
	p := provide(t, func(p *oauthtest.Provider) { p.Rotate = true })
	g := signedIn(t, p)
	first, _ := g.Token(t.Context(), "")
	before := len(p.Requests())
	if err := os.Mkdir(g.file+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.file+".new", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := reasonOf(t, second(g.Token(t.Context(), first))); !e.Temporary() || !strings.Contains(e.Error(), "cannot be written") {
		t.Errorf("got %v", e)
	}
	if got := len(p.Requests()); got != before {
		t.Errorf("the provider was asked %d times", got-before)
	}
	if err := os.RemoveAll(g.file + ".new"); err != nil {
		t.Fatal(err)
	}
	// The file becomes a directory, which a rename cannot replace.
	saved, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	waiting, release := p.Hold()
	done := make(chan error, 1)
	go func() { done <- second(g.Token(t.Context(), first)) }()
	<-waiting
	os.Remove(g.file)
	os.MkdirAll(filepath.Join(g.file, "x"), 0o700)
	release()
	if e := reasonOf(t, <-done); !e.Temporary() || !strings.Contains(e.Error(), "cannot be written") {
		t.Errorf("got %v", e)
	}
	os.RemoveAll(g.file)
	os.WriteFile(g.file, saved, 0o600)
	token, err := g.Token(t.Context(), first)
	if err != nil || !p.Valid(token) {
		t.Errorf("afterwards: %q, %v", token, err)
	}
	var kept tokens
	data, _ := os.ReadFile(g.file)
	if err := json.Unmarshal(data, &kept); err != nil || kept.AccessToken != token {
		t.Errorf("the file has %v, %v", kept.AccessToken, err)
	}
}
