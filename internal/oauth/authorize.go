package oauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"popfetch/internal/secret"
)

// Prompt shows the user what to do. Lines of words go to Say, the page to open to Show.
type Prompt struct {
	Say  func(format string, args ...any)
	Show func(line string)
}

// request is one authorization request.
type request struct {
	state    string
	verifier string // RFC 7636 section 4.1
	redirect string
	page     string // that the user opens
}

func (g *Grant) request(cfg *oauth2.Config, redirect string) request {
	r := request{state: rand.Text(), verifier: oauth2.GenerateVerifier(), redirect: redirect}
	cfg.RedirectURL = redirect
	more := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(r.verifier), oauth2.SetAuthURLParam("login_hint", g.user)}
	if g.google {
		// Without both there is no refresh token at a second sign-in.
		more = append(more, oauth2.AccessTypeOffline, oauth2.SetAuthURLParam("prompt", "consent"))
	}
	r.page = cfg.AuthCodeURL(r.state, more...)
	return r
}

// Loopback signs in with a browser on this machine, which the provider sends to a page
// that is served on the loopback address for that time. RFC 8252 section 7.3
func (g *Grant) Loopback(ctx context.Context, p Prompt) error {
	ctx, cfg, clientSecret, err := g.client(ctx)
	if err != nil {
		return err
	}
	u, err := url.Parse(g.config.RedirectURL)
	if err != nil {
		return err
	}
	port := u.Port()
	if port == "" {
		port = "0"
	}
	listeners, err := listen(u.Hostname(), port)
	if err != nil {
		e := g.unsigned("listen for the browser: "+err.Error(), err)
		e.Hint = "another popfetch authorize may be waiting there, or another program: end it, change the port in redirect_url, or take --paste" + orDevice(g.device)
		return e
	}
	u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(listeners[0].Addr().(*net.TCPAddr).Port))
	r := g.request(&cfg, u.String())
	codes := make(chan answer, 1)
	server := &http.Server{Handler: callback(r, u.Path, codes), ReadHeaderTimeout: requestLimit}
	for _, l := range listeners {
		go server.Serve(l)
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(stop) != nil { // the page has not reached the browser in a second
			server.Close()
		}
	}()
	p.Say("open this page in a browser on this machine and sign in as %s; without a browser here, stop this and take --paste%s:", g.user, orDevice(g.device))
	p.Show(r.page)
	select {
	case a := <-codes:
		return g.exchange(ctx, cfg, r, a, clientSecret)
	case <-ctx.Done():
		return fmt.Errorf("%s: wait for the browser: %w", g, context.Cause(ctx))
	}
}

func orDevice(device bool) string {
	if device {
		return " or --device"
	}
	return ""
}

// listen listens on the loopback addresses of a host, all with one port.
func listen(host, port string) ([]net.Listener, error) {
	if host != "localhost" {
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		return []net.Listener{l}, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	all := []net.Listener{l}
	// The browser may try this one first. Where there is no IPv6, it does not.
	if l6, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))); err == nil {
		all = append(all, l6)
	}
	return all, nil
}

// answer is what the provider has sent the browser back with. RFC 6749 section 4.1.2
type answer struct {
	code, problem, description string
}

// parseAnswer reads the answer from the query of a URL. An answer to another request, or
// to nothing at all, is an error.
func parseAnswer(query url.Values, r request) (answer, error) {
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(r.state)) != 1 {
		return answer{}, errors.New("this is not the answer to this sign-in")
	}
	a := answer{query.Get("code"), query.Get("error"), query.Get("error_description")}
	if a.code == "" && a.problem == "" {
		return answer{}, errors.New("there is no code in it")
	}
	return a, nil
}

// callback serves the page that the browser is sent to.
func callback(r request, path string, codes chan<- answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		if strings.Trim(req.URL.Path, "/") != strings.Trim(path, "/") || req.Method != http.MethodGet {
			http.NotFound(w, req)
			return
		}
		a, err := parseAnswer(req.URL.Query(), r)
		if err != nil {
			http.Error(w, "popfetch: "+err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case codes <- a:
		default: // the page was loaded again
		}
		if a.problem != "" {
			io.WriteString(w, "popfetch: the sign-in was refused; see the terminal.\n")
			return
		}
		io.WriteString(w, "popfetch has what it needs; you can close this page.\n")
	})
}

// Paste signs in with a browser on another machine: the user copies the address of the
// page that the provider sends the browser to, which does not exist there. readLine
// returns what the user has typed.
func (g *Grant) Paste(ctx context.Context, p Prompt, readLine func(context.Context) (string, error)) error {
	ctx, cfg, clientSecret, err := g.client(ctx)
	if err != nil {
		return err
	}
	r := g.request(&cfg, g.config.RedirectURL)
	p.Say("open this page in a browser on any machine and sign in as %s:", g.user)
	p.Show(r.page)
	p.Say("the browser then shows an error, because nothing answers at %s; copy the address from its address bar, paste it here and press Enter", g.config.RedirectURL)
	const attempts = 3
	for i := range attempts {
		line, err := readLine(ctx)
		if err != nil {
			return err
		}
		_, query, found := strings.Cut(strings.TrimSpace(line), "?")
		if !found {
			query = strings.TrimSpace(line)
		}
		query, _, _ = strings.Cut(query, "#")
		values, err := url.ParseQuery(query)
		if err == nil {
			var a answer
			if a, err = parseAnswer(values, r); err == nil {
				return g.exchange(ctx, cfg, r, a, clientSecret)
			}
		}
		if i+1 < attempts {
			p.Say("%v; paste the whole address, with everything behind the question mark", err)
		}
	}
	return g.again("what was pasted is not the answer to this sign-in", nil)
}

// exchange gets the tokens for the code and writes them.
func (g *Grant) exchange(ctx context.Context, cfg oauth2.Config, r request, a answer, clientSecret string) error {
	if a.problem != "" {
		said := strconv.Quote(conceal(a.problem, nil))
		if a.description != "" {
			said += ": " + strconv.Quote(conceal(a.description, nil))
		}
		return g.again("the sign-in was refused ("+said+")", nil)
	}
	got, err := cfg.Exchange(ctx, a.code, oauth2.VerifierOption(r.verifier))
	if err != nil {
		return g.failed(ctx, err, a.code, r.verifier, clientSecret)
	}
	return g.save(ctx, got)
}

// Device signs in with a browser on another machine, where the user types a short code.
// RFC 8628
func (g *Grant) Device(ctx context.Context, p Prompt) error {
	if !g.device {
		hint := "use --paste"
		if !g.google {
			hint += ", or set device_url if the provider has one"
		}
		return &secret.Error{Kind: secret.Token, Source: g.String(), Msg: "there is no sign-in with a device code for mail at this provider", Hint: hint}
	}
	ctx, cfg, clientSecret, err := g.client(ctx)
	if err != nil {
		return err
	}
	code, err := cfg.DeviceAuth(ctx)
	if err != nil {
		return g.failed(ctx, err, clientSecret)
	}
	p.Say("open this page in a browser on any machine, sign in as %s and enter the code %s:", g.user, strconv.Quote(code.UserCode))
	p.Show(strings.Map(printable, code.VerificationURI))
	got, err := cfg.DeviceAccessToken(ctx, code)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return g.again("nobody has signed in within the time that the provider gives", nil)
		}
		return g.failed(ctx, err, code.DeviceCode, clientSecret)
	}
	return g.save(ctx, got)
}

// printable drops what a terminal might obey.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// save writes the tokens of a new sign-in.
func (g *Grant) save(ctx context.Context, got *oauth2.Token) error {
	fresh, err := g.tokens(got)
	if err != nil {
		return err
	}
	if fresh.RefreshToken == "" {
		return g.again("the provider has sent no refresh token, so that the sign-in would end within the hour; the scopes may lack offline_access", nil)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	unlock, err := g.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	w, err := g.create()
	if err != nil {
		return err
	}
	defer w.discard()
	if err := w.commit(fresh); err != nil {
		return g.temporary("the tokens cannot be written: "+err.Error(), err)
	}
	g.unsaved = nil
	return nil
}
