// Package oauthtest is an OAuth 2.0 provider for tests, on a loopback address. It has the
// endpoints for authorization (RFC 6749, 7636), tokens (RFC 6749), devices (RFC 8628),
// revocation (RFC 7009) and introspection (RFC 7662), and demands of a client what these
// demand.
package oauthtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Provider is one provider with one client and one user, who agrees to everything. The
// exported fields are set before Start and not changed afterwards; the methods may be
// called from any goroutine.
type Provider struct {
	ClientID     string
	ClientSecret string // "" = a public client
	User         string
	Scope        string        // that a request has to name
	Rotate       bool          // a refresh token is good for one use, and the reply has the next one
	Lifetime     time.Duration // of an access token, 1 hour when 0
	TokenOctets  int           // length of an access token, about 40 when 0
	DeviceTurns  int           // polls that the device flow takes until the user agrees
	NoRefresh    bool          // no refresh token is issued
	// Offline has the parameters that a request for a sign-in needs for a refresh token; for
	// the device endpoint only scope counts.
	Offline url.Values

	server *httptest.Server

	mu       sync.Mutex
	codes    map[string]code      // by the code
	devices  map[string]*device   // by the device code
	refresh  map[string]bool      // valid refresh tokens
	access   map[string]time.Time // end of validity, by the access token
	refusal  string               // what the authorization endpoint says in place of a code
	failure  *failure
	hold     *hold    // the token endpoint waits for it; nil = does not wait
	requests []string // grant types, in order
	issued   []string // every token and code
}

type code struct {
	redirect, challenge string
	refresh             bool // the sign-in yields a refresh token
}

type device struct {
	left    int // polls until the user agrees
	refresh bool
}

type hold struct{ waiting, done chan struct{} }

type failure struct {
	status int
	body   string
}

// Start serves until Close.
func (p *Provider) Start() {
	p.codes, p.devices = make(map[string]code), make(map[string]*device)
	p.refresh, p.access = make(map[string]bool), make(map[string]time.Time)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("POST /device", p.deviceCode)
	mux.HandleFunc("POST /revoke", p.revoke)
	mux.HandleFunc("POST /introspect", p.introspect)
	p.server = httptest.NewServer(mux)
}

// Close ends the server.
func (p *Provider) Close() { p.server.Close() }

// URL returns the address of an endpoint: "authorize", "token", "device", "revoke" or
// "introspect".
func (p *Provider) URL(endpoint string) string { return p.server.URL + "/" + endpoint }

// Refuse makes the authorization endpoint answer with an error code, "" = agree again.
func (p *Provider) Refuse(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = code
}

// Fail makes the token and the device endpoint answer with a status and a body; status 0
// ends that.
func (p *Provider) Fail(status int, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = &failure{status, body}
	if status == 0 {
		p.failure = nil
	}
}

// Hold makes the token endpoint wait until release is called. waiting receives when a
// request has come.
func (p *Provider) Hold() (waiting <-chan struct{}, release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &hold{waiting: make(chan struct{}, 100), done: make(chan struct{})}
	p.hold = h
	return h.waiting, sync.OnceFunc(func() {
		close(h.done)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hold = nil
	})
}

// Forget makes every refresh token invalid, as a user does who revokes the access in the
// settings of his account.
func (p *Provider) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.refresh)
}

// Expire ends the validity of every access token, while clients still think otherwise.
func (p *Provider) Expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.access)
}

// Requests returns the grant types of all token requests.
func (p *Provider) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Issued returns every code and token that the provider has issued.
func (p *Provider) Issued() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.issued)
}

// Valid reports whether an access token is valid.
func (p *Provider) Valid(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.access[token])
}

func (p *Provider) new(prefix string) string {
	s := prefix + rand.Text()
	p.issued = append(p.issued, s)
	return s
}

// RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8252 section 7.3
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") != p.ClientID, err != nil, redirect.Scheme != "http",
		redirect.Hostname() != "127.0.0.1" && redirect.Hostname() != "localhost":
		// Never a redirect to a place that is not registered.
		http.Error(w, "unknown client_id or redirect_uri", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	switch {
	case p.refusal != "":
		answer.Set("error", p.refusal)
	case q.Get("response_type") != "code", q.Get("state") == "",
		q.Get("code_challenge_method") != "S256", len(q.Get("code_challenge")) != 43:
		answer.Set("error", "invalid_request")
	case !slices.Contains(strings.Fields(q.Get("scope")), p.Scope):
		answer.Set("error", "invalid_scope")
	default:
		c := p.new("code-")
		p.codes[c] = code{q.Get("redirect_uri"), q.Get("code_challenge"), p.offline(q, "scope", "access_type", "prompt")}
		answer.Set("code", c)
	}
	redirect.RawQuery = answer.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusFound)
}

// RFC 6749 sections 4.1.3 and 6, RFC 8628 section 3.4
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	h := p.hold
	p.mu.Unlock()
	if h != nil {
		h.waiting <- struct{}{}
		select {
		case <-h.done:
		case <-r.Context().Done():
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r.ParseForm()
	form := r.PostForm
	p.requests = append(p.requests, form.Get("grant_type"))
	switch {
	case p.fails(w):
	case form.Get("client_id") != p.ClientID || form.Get("client_secret") != p.ClientSecret:
		refuse(w, http.StatusUnauthorized, "invalid_client", "unknown client, or wrong secret")
	case form.Get("grant_type") == "authorization_code":
		c, known := p.codes[form.Get("code")]
		delete(p.codes, form.Get("code"))
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if !known || c.redirect != form.Get("redirect_uri") || c.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
			refuse(w, http.StatusBadRequest, "invalid_grant", "the code, its redirect_uri or its verifier is wrong")
			return
		}
		p.issue(w, c.refresh)
	case form.Get("grant_type") == "refresh_token":
		old := form.Get("refresh_token")
		if !p.refresh[old] {
			refuse(w, http.StatusBadRequest, "invalid_grant", "token "+old+" has been expired or revoked")
			return
		}
		if p.Rotate {
			delete(p.refresh, old)
		}
		p.issue(w, p.Rotate)
	case form.Get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code":
		d, known := p.devices[form.Get("device_code")]
		switch {
		case !known:
			refuse(w, http.StatusBadRequest, "expired_token", "")
		case p.refusal != "":
			refuse(w, http.StatusBadRequest, p.refusal, "")
		case d.left > 0:
			d.left--
			refuse(w, http.StatusBadRequest, "authorization_pending", "")
		default:
			delete(p.devices, form.Get("device_code"))
			p.issue(w, d.refresh)
		}
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "")
	}
}

// offline reports whether a request has what Offline demands of these parameters.
func (p *Provider) offline(request url.Values, parameters ...string) bool {
	return !slices.ContainsFunc(parameters, func(name string) bool {
		return p.Offline.Has(name) && p.Offline.Get(name) != request.Get(name)
	})
}

func (p *Provider) fails(w http.ResponseWriter) bool {
	if p.failure == nil {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.failure.status)
	w.Write([]byte(p.failure.body))
	return true
}

// issue answers with an access token, and with a refresh token too. RFC 6749 section 5.1
func (p *Provider) issue(w http.ResponseWriter, refresh bool) {
	lifetime := p.Lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	access := p.new("access-" + strings.Repeat("x", max(0, p.TokenOctets-40)))
	p.access[access] = time.Now().Add(lifetime)
	reply := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(lifetime.Seconds())}
	if refresh && !p.NoRefresh {
		next := p.new("refresh-")
		p.refresh[next] = true
		reply["refresh_token"] = next
	}
	send(w, http.StatusOK, reply)
}

// RFC 8628 section 3.1
func (p *Provider) deviceCode(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.ParseForm()
	switch {
	case p.fails(w):
	case r.PostForm.Get("client_id") != p.ClientID:
		refuse(w, http.StatusUnauthorized, "invalid_client", "")
	case !slices.Contains(strings.Fields(r.PostForm.Get("scope")), p.Scope):
		refuse(w, http.StatusBadRequest, "invalid_scope", "")
	default:
		c := p.new("device-")
		p.devices[c] = &device{p.DeviceTurns, p.offline(r.PostForm, "scope")}
		send(w, http.StatusOK, map[string]any{
			"device_code": c, "user_code": "WDJB-MJHT", "verification_uri": p.server.URL + "/activate",
			"expires_in": 600, "interval": 1,
		})
	}
}

// RFC 7009 section 2.1
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.refresh, r.FormValue("token"))
	delete(p.access, r.FormValue("token"))
}

// RFC 7662 section 2
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	if !p.Valid(r.FormValue("token")) {
		send(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	send(w, http.StatusOK, map[string]any{"active": true, "username": p.User, "scope": p.Scope})
}

// refuse answers with an error. RFC 6749 section 5.2
func refuse(w http.ResponseWriter, status int, code, description string) {
	reply := map[string]any{"error": code}
	if description != "" {
		reply["error_description"] = description
	}
	send(w, status, reply)
}

func send(w http.ResponseWriter, status int, reply map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(reply)
}
