package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/proxy"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

// door opens the maildrop of one account. It is used by one poll at a time and
// keeps between them what makes the next one cheaper.
type door struct {
	account  *config.Account
	log      *slog.Logger
	secret   *secret.Source         // of the account's password
	sessions tls.ClientSessionCache // RFC 8446 section 2.2
	method   string                 // of the last login
	see      func(*pop3.Client)     // is shown the connection before the login, may be nil
}

// open opens the maildrop for a poll.
func (d *door) open(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
	client, err := d.enter(ctx, how)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// enter dials, secures the connection and logs in. It looks up the password
// first, so that nobody has to type it against the server's clock.
func (d *door) enter(ctx context.Context, how fetch.Opening) (*pop3.Client, error) {
	a := d.account
	password, err := d.secret.Password(ctx)
	if err != nil {
		return nil, secretError(err)
	}
	client, err := d.dial(ctx, how.Serial)
	if err != nil {
		return nil, err
	}
	if d.see != nil {
		d.see(client)
	}
	d.method, err = client.Login(pop3.Credentials{
		User: a.User, Password: password, Methods: a.Auth, Expected: how.Expected, Next: how.Next, Patient: how.Patient,
	})
	if err != nil {
		client.Close()
		switch {
		case errors.As(err, new(*pop3.AuthError)):
			d.secret.Refused()
		case errors.As(err, new(*pop3.AheadError)):
			// The poll logs in once more at once: the password stays known.
		default:
			d.secret.Doubtful()
		}
		return nil, err
	}
	return client, nil
}

// secretError gives an error of the look-up of a secret its class: temporary, or
// a matter of the configuration.
func secretError(err error) error {
	var none *secret.Error
	if errors.As(err, &none) && !none.Temporary() {
		return &fetch.ConfigError{Err: err}
	}
	return err
}

// dial connects and secures the connection: AUTHORIZATION state.
func (d *door) dial(ctx context.Context, serial bool) (*pop3.Client, error) {
	a := d.account
	o := &pop3.Options{
		Security: security(a.TLS),
		Timeout:  time.Duration(a.Timeout),
		Log:      d.log,
	}
	if serial || a.Pipelining == config.PipeliningOff {
		o.Pipelining = pop3.PipelineOff
	}
	host, err := asciiHost(a.Host)
	if err != nil {
		return nil, err
	}
	if a.TLS != config.TLSNone {
		if o.TLS, err = d.tls(host); err != nil {
			return nil, &fetch.ConfigError{Err: err}
		}
	}
	if o.Dial, err = dialer(a); err != nil {
		return nil, err
	}
	return pop3.Dial(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(a.Port)), o)
}

// asciiHost is the name that DNS and TLS use for a host (RFC 5891).
func asciiHost(host string) (string, error) {
	// Names with a "_" and addresses with a zone are no host names to IDNA, and
	// are in use.
	if strings.IndexFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return host, nil
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", fmt.Errorf("host name %q: %w", host, err)
	}
	return ascii, nil
}

// settingError is a setting that cannot be put to use: the file that it names is
// missing, or holds something else.
type settingError struct {
	key string
	err error
}

func (e *settingError) Error() string { return e.key + ": " + e.err.Error() }

func (e *settingError) Unwrap() error { return e.err }

// tls says whom to trust.
func (d *door) tls(host string) (*tls.Config, error) {
	a := d.account
	if d.sessions == nil {
		d.sessions = tls.NewLRUClientSessionCache(4)
	}
	c := &tls.Config{
		ServerName:         host,
		MinVersion:         uint16(a.TLSMinVersion),
		ClientSessionCache: d.sessions,
	}
	if a.TLSServerName != "" {
		c.ServerName = a.TLSServerName
	}
	if a.TLSCAFile != "" {
		pem, err := os.ReadFile(a.TLSCAFile)
		if err != nil {
			return nil, &settingError{"tls_ca_file", err}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &settingError{"tls_ca_file", fmt.Errorf("%s: holds no PEM certificate", a.TLSCAFile)}
		}
	}
	if a.TLSClientCert != "" {
		pair, err := tls.LoadX509KeyPair(a.TLSClientCert, a.TLSClientKey)
		if err != nil {
			return nil, &settingError{"tls_client_cert, tls_client_key", err}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if len(a.TLSFingerprints) > 0 {
		// The pin stands in for the chain and the name. VerifyConnection is
		// called for resumed sessions too.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error { return pinned(s, a.TLSFingerprints) }
	}
	return c, nil
}

// pinned says whether the server's own certificate is one of those pinned.
func pinned(s tls.ConnectionState, pins []config.Fingerprint) error {
	sum := sha256.Sum256(s.PeerCertificates[0].Raw)
	if slices.Contains(pins, config.Fingerprint(sum)) {
		return nil
	}
	return fmt.Errorf("the server's certificate has the fingerprint %s, which tls_fingerprint does not name", hex.EncodeToString(sum[:]))
}

// dialer returns how to reach the server, nil for the usual way.
func dialer(a *config.Account) (func(ctx context.Context, network, addr string) (net.Conn, error), error) {
	direct := &net.Dialer{Timeout: 30 * time.Second}
	if a.SourceAddress.IsValid() {
		direct.LocalAddr = &net.TCPAddr{IP: a.SourceAddress.AsSlice(), Zone: a.SourceAddress.Zone()}
	}
	if a.Proxy.URL == nil {
		return direct.DialContext, nil
	}
	d, err := proxy.FromURL(a.Proxy.URL, direct)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	through, ok := d.(proxy.ContextDialer)
	if !ok {
		return nil, errors.New("proxy: this kind of proxy cannot be interrupted")
	}
	return through.DialContext, nil
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
