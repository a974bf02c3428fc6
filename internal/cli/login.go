package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/internal/kerberos"
	"popfetch/internal/network"
	"popfetch/internal/secret"
)

// connector connects to the server of one account and logs in. One poll uses it at a
// time. It keeps TLS sessions, so that the next connection is made faster.
type connector struct {
	account   *config.Account
	log       *slog.Logger
	secret    *secret.Source         // of the account's password or token
	sessions  tls.ClientSessionCache // RFC 8446 section 2.2
	method    string                 // of the last login
	connected func(*pop3.Client)     // is called before the login, may be nil
	routed    func(network.Route)    // is called with the route of each connection, may be nil
}

// open is fetch.Account.Open.
func (d *connector) open(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
	client, err := d.login(ctx, how)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// login dials, secures the connection and logs in.
func (d *connector) login(ctx context.Context, how fetch.Opening) (*pop3.Client, error) {
	return withSecret(ctx, d, func(err error) bool { return errors.As(err, new(*pop3.TokenError)) },
		func(ctx context.Context, text string) (*pop3.Client, error) { return d.loginWith(ctx, &how, text) })
}

// withSecret logs in to the server of d, whose protocol is that of the client C. It looks up
// the secret first, so that nobody has to type it against the server's clock. An access
// token that the server refuses may have expired: if the source then yields another one,
// that is tried in a second session, and no third.
func withSecret[C any](ctx context.Context, d *connector, tokenRefused func(error) bool, login func(context.Context, string) (C, error)) (C, error) {
	var none C
	text := ""
	if d.account.NeedsSecret() {
		var err error
		if text, err = d.secret.Secret(ctx); err != nil {
			return none, secretError(err)
		}
	}
	client, refusal := login(ctx, text)
	if !tokenRefused(refusal) || !d.secret.Renews() {
		return client, refusal
	}
	again, err := d.secret.Secret(ctx)
	switch {
	case err != nil:
		return none, fmt.Errorf("%w; and then, for a new token: %w", refusal, secretError(err))
	case again == text:
		return none, refusal
	}
	d.log.Info("the server refused the access token; trying a new one", "reason", refusal)
	return login(ctx, again)
}

// credentials returns what the login takes the secret for.
func (d *connector) credentials(text string, how fetch.Opening) pop3.Credentials {
	a := d.account
	cred := pop3.Credentials{User: a.User, Methods: a.Auth, Expected: how.Expected, Next: how.Next, Patient: how.Patient}
	if d.secret.Kind() == secret.Token {
		cred.Token = text
		return cred
	}
	cred.Password = text
	if a.TakesToken() { // auth names methods of both kinds
		cred.Token = text
	}
	return cred
}

// loginWith dials, secures the connection and logs in with this secret. It notes in how
// that it trusts the server on first use.
func (d *connector) loginWith(ctx context.Context, how *fetch.Opening, text string) (*pop3.Client, error) {
	a := d.account
	cred := d.credentials(text, *how)
	if ticket, err := d.ticket(ctx, "pop"); err != nil {
		return nil, err
	} else if ticket != nil {
		cred.Ticket = ticket
	}
	client, err := d.connect(ctx, text, how)
	if err != nil {
		return nil, err
	}
	if d.connected != nil {
		d.connected(client)
	}
	d.method, err = client.Login(cred)
	if errors.As(err, new(*pop3.CapaError)) {
		client.Close()
		d.log.Info("trying again without CAPA", "reason", err)
		if client, err = d.connect(ctx, text, how); err != nil {
			return nil, err
		}
		cred.WithoutCapa = true
		d.method, err = client.Login(cred)
	}
	if err != nil {
		client.Close()
		switch {
		case secretRefused(err) && (d.secret.Kind() == secret.Password || errors.As(err, new(*pop3.TokenError))):
			d.secret.Refused()
		case errors.As(err, new(*pop3.AheadError)):
			// The poll logs in once more at once: the secret stays known.
		default:
			d.secret.Doubtful()
		}
		return nil, &loginError{host: a.Host, err: err}
	}
	return client, nil
}

// ticket returns the Kerberos ticket for a service of the server, nil if auth does not name it
// or can do without.
func (d *connector) ticket(ctx context.Context, service string) (*kerberos.Mechanism, error) {
	a := d.account
	if !slices.Contains(a.Auth, config.GSSAPI) {
		return nil, nil
	}
	ticket, err := kerberos.Open(ctx, service, a.Host, a.User)
	if err != nil && a.NeedsSecret() { // auth names other methods too
		d.log.Info("no Kerberos ticket", "reason", err)
		return nil, nil
	}
	return ticket, secretError(err)
}

// connect dials and secures the connection, to a server that may have the secret.
func (d *connector) connect(ctx context.Context, text string, how *fetch.Opening) (*pop3.Client, error) {
	client, err := d.dial(ctx, text, *how)
	if err != nil {
		return nil, &connectError{tls: d.account.TLS, port: d.account.Port, tunnel: len(d.account.Tunnel) > 0, err: err}
	}
	if how.Connected != nil {
		how.Connected()
	}
	if err := trustFirst(d.account, client, how); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// secretRefused reports whether the server refused the secret itself, as far as anybody
// can tell.
func secretRefused(err error) bool {
	var reply *pop3.ResponseError
	return errors.As(err, new(*pop3.AuthError)) && fetch.Classify(err) == fetch.Auth && !(errors.As(err, &reply) && reply.Code == pop3.SysPerm)
}

// loginError is a login that did not succeed.
type loginError struct {
	host string // for the hint
	err  error
}

func (e *loginError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *loginError) Unwrap() error { return e.err }

// connectError is a connection that could not be made or secured.
type connectError struct {
	tls    config.TLSMode // how it was tried, for the hint
	port   int
	tunnel bool
	err    error
}

func (e *connectError) Error() string { return e.err.Error() }

// usual reports whether the port is the usual one for the kind of TLS.
func (e *connectError) usual() bool {
	if e.tls == config.TLSImplicit {
		return e.port == 995 || e.port == 993 || e.port == 465
	}
	return e.port == 110 || e.port == 143 || e.port == 25 || e.port == 587
}

// Unwrap returns the cause.
func (e *connectError) Unwrap() error { return e.err }

// secretError gives an error of looking up a secret its class: the provider has taken back
// what it had given, the error is temporary, or the configuration is wrong.
func secretError(err error) error {
	var none *secret.Error
	switch {
	case !errors.As(err, &none):
		return err
	case none.Refused:
		return &pop3.AuthError{Err: err}
	case !none.Temporary():
		return &fetch.ConfigError{Err: err}
	}
	return err
}

// dial connects and secures the connection. The client is then in state
// AUTHORIZATION. No trace and no error shows text.
func (d *connector) dial(ctx context.Context, text string, how fetch.Opening) (*pop3.Client, error) {
	a := d.account
	o := &pop3.Options{
		Security: security(a.TLS),
		Timeout:  time.Duration(a.Timeout),
		Log:      d.log,
		Secrets:  []string{text},
		Begun:    slices.Contains(a.Auth, config.NoLogin),
		Waited:   how.Waited,
	}
	if how.Serial || a.Pipelining == config.PipeliningOff {
		o.Pipelining = pop3.PipelineOff
	}
	to, err := d.address(how.Trusted)
	if err != nil {
		return nil, err
	}
	o.TLS, o.Dial = to.tls, to.dial
	return pop3.Dial(ctx, "tcp", to.addr, o)
}

// asciiHost is the name that DNS and TLS use for a host (RFC 5891).
func asciiHost(host string) (string, error) {
	// IDNA refuses names with a "_" and addresses with a zone, which are in use.
	if strings.IndexFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return host, nil
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", fmt.Errorf("host name %q: %w", host, err)
	}
	return ascii, nil
}

// security translates the configuration's word for the client.
func security(m config.TLSMode) pop3.Security {
	switch m {
	case config.TLSStart:
		return pop3.StartTLS
	case config.TLSNone:
		return pop3.ClearText
	}
	return pop3.ImplicitTLS
}
