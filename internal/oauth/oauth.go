// Package oauth signs in at an OAuth 2.0 provider for an account, keeps the tokens in a
// file, and renews them.
//
// The file of an account is shared by all processes: a lock beside it is held while the
// tokens are read, renewed and written. A provider may replace the refresh token each
// time that it is used (RFC 6749 section 6), so that a token that two processes had
// renewed at once, or that was not on the disk before the next use, would be lost.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"popfetch/internal/config"
	"popfetch/internal/secret"
)

const (
	// early is how long before its end a token is renewed: a poll may log in only
	// after it has waited for its turn.
	early = 5 * time.Minute
	// afterStop is how long a renewal may go on after popfetch was told to stop. The
	// provider may have replaced the refresh token already.
	afterStop = 5 * time.Second
	// requestLimit is how long one request to the provider may take.
	requestLimit = 30 * time.Second
)

// Grant is what an account may do at its provider. Its methods may be called from
// several goroutines and processes at once.
type Grant struct {
	account string
	user    string
	name    string // of the provider
	file    string // with the tokens
	config  oauth2.Config
	secret  *secret.Source // of the client secret; nil = a public client
	http    *http.Client
	device  bool // there is a device authorization endpoint
	google  bool
	now     func() time.Time

	mu      sync.Mutex
	unsaved *tokens // renewed, and not written to the file because of an error
}

// Of returns the grant of a login whose OAuth is set. file is that of the tokens: neither it
// nor its directory need exist. account is what popfetch authorize has to be given, for
// messages. web carries the requests to the provider; nil = http.DefaultTransport.
func Of(account string, a *config.Login, file string, t *secret.Terminal, web http.RoundTripper) *Grant {
	g := &Grant{
		account: account, user: a.User, name: a.OAuth.String(), file: file,
		config: oauth2.Config{
			ClientID: a.ClientID, RedirectURL: a.OAuth.RedirectURL, Scopes: a.OAuth.Scopes,
			Endpoint: oauth2.Endpoint{
				AuthURL: a.OAuth.AuthURL, TokenURL: a.OAuth.TokenURL, DeviceAuthURL: a.OAuth.DeviceURL,
				AuthStyle: oauth2.AuthStyleInParams, // a public client has no secret for a header
			},
		},
		device: a.OAuth.DeviceURL != "", google: a.OAuth.Provider == config.Google,
		now: time.Now,
		http: &http.Client{
			Transport: web,
			Timeout:   requestLimit,
			// A redirect would carry the token to another place.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if a.ClientSecret.IsSet() || len(a.ClientSecretCommand) > 0 {
		g.secret = &secret.Source{Account: account, Text: a.ClientSecret, Command: a.ClientSecretCommand, OfClient: true, Terminal: t}
	}
	return g
}

// File returns the path of the file with the tokens.
func (g *Grant) File() string { return g.file }

// String names the grant for messages.
func (g *Grant) String() string { return "oauth " + g.name }

// Token returns an access token that is valid for some minutes more, and renews it first
// if it has to. It never returns refused, a token that a mail server has refused, "" for
// none. An error is a *secret.Error or that of a ctx that has ended.
func (g *Grant) Token(ctx context.Context, refused string) (string, error) {
	return g.hold(ctx, func(t *tokens) (string, error) {
		usable := t.AccessToken != "" && t.AccessToken != refused && g.now().Before(t.Expiry)
		if usable && g.now().Before(t.Expiry.Add(-early)) {
			return t.AccessToken, nil
		}
		fresh, err := g.renew(ctx, t)
		if err != nil {
			var reason *secret.Error
			if usable && errors.As(err, &reason) && reason.Temporary() {
				return t.AccessToken, nil
			}
			return "", err
		}
		return fresh.AccessToken, nil
	})
}

// Keep renews the tokens if they are older than age: a provider ends a sign-in that is not
// used for a long time. Errors are those of Token.
func (g *Grant) Keep(ctx context.Context, age time.Duration) error {
	_, err := g.hold(ctx, func(t *tokens) (string, error) {
		if g.now().Sub(t.Obtained) < age {
			return "", nil
		}
		_, err := g.renew(ctx, t)
		return "", err
	})
	return err
}

// hold calls fn with the tokens, while nobody else reads or renews them.
func (g *Grant) hold(ctx context.Context, fn func(*tokens) (string, error)) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: %w", g, context.Cause(ctx))
	}
	unlock, err := g.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	t, err := g.read()
	if err != nil {
		return "", err
	}
	return fn(t)
}

// renew exchanges the refresh token for a new access token, and writes what it gets. The
// lock is held.
func (g *Grant) renew(ctx context.Context, t *tokens) (*tokens, error) {
	if t.RefreshToken == "" {
		return nil, g.again("the sign-in has no refresh token, and its access token has expired", nil)
	}
	ctx, cfg, clientSecret, err := g.client(ctx)
	if err != nil {
		return nil, err
	}
	// The place is made before the provider takes the old token back.
	w, err := g.create()
	if err != nil {
		return nil, err
	}
	defer w.discard()
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(afterStop, cancel) })()
	got, err := cfg.TokenSource(asking, &oauth2.Token{RefreshToken: t.RefreshToken}).Token()
	if err != nil {
		return nil, g.failed(ctx, err, t.RefreshToken, t.AccessToken, clientSecret)
	}
	fresh, err := g.tokens(got)
	if err != nil {
		return nil, err
	}
	if fresh.RefreshToken == "" {
		fresh.RefreshToken = t.RefreshToken
	}
	if err := w.commit(fresh); err != nil {
		g.unsaved = fresh
		return nil, g.temporary("the renewed token cannot be written: "+err.Error(), err)
	}
	g.unsaved = nil
	return fresh, nil
}

// client returns the configuration with the client secret, which is "" for none, and a
// ctx that carries the HTTP client.
func (g *Grant) client(ctx context.Context) (context.Context, oauth2.Config, string, error) {
	cfg := g.config
	if g.secret != nil {
		text, err := g.secret.Secret(ctx)
		if err != nil {
			return ctx, cfg, "", err
		}
		cfg.ClientSecret = text
	}
	return context.WithValue(ctx, oauth2.HTTPClient, g.http), cfg, cfg.ClientSecret, nil
}

// tokens checks and converts what the provider has sent.
func (g *Grant) tokens(got *oauth2.Token) (*tokens, error) {
	for _, s := range []string{got.AccessToken, got.RefreshToken} {
		for _, r := range s {
			if r <= ' ' || r > '~' {
				return nil, g.temporary("the provider has sent a token with a character that is not allowed in one", nil)
			}
		}
	}
	t := &tokens{
		User: g.user, ClientID: g.config.ClientID, TokenURL: g.config.Endpoint.TokenURL,
		AccessToken: got.AccessToken, RefreshToken: got.RefreshToken, Expiry: got.Expiry.UTC(), Obtained: g.now().UTC(),
	}
	if got.Expiry.IsZero() { // RFC 6749 section 5.1 recommends that it is told
		t.Expiry = t.Obtained.Add(time.Hour)
	}
	return t, nil
}
