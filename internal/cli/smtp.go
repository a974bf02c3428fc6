package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"popfetch/deliver/relay"
	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

// smtpConnector connects to the SMTP server of one destination and logs in, if the table has
// a user. It looks at the account as the destination has it: with the login of the table.
type smtpConnector struct {
	connector
	method string // of the last login
}

// relay returns the LMTP or SMTP server that is the destination of a. The connector is that of
// SMTP.
func (s *selection) relay(a *config.Account, log *slog.Logger) (*relay.Relay, *smtpConnector) {
	r := &relay.Relay{
		Network:    a.LMTP.Network,
		Address:    a.LMTP.Address,
		Name:       hostName(),
		Recipients: a.Recipients,
		Timeout:    time.Duration(a.Timeout),
		Spool:      filepath.Dir(s.config.State),
	}
	if a.LMTP.IsSet() {
		return r, nil
	}
	d := &smtpConnector{connector: connector{account: atDestination(a, &a.SMTP.Login), log: log, secret: s.smtpSecret(a)}}
	r.SMTP, r.Network, r.Address, r.Connect = true, "tcp", a.SMTP.Address(), d.connect
	return r, d
}

// smtpSecret returns the source of the secret of the SMTP login of a.
func (s *selection) smtpSecret(a *config.Account) *secret.Source {
	return s.secretOf(a.Name, &a.SMTP.Login, smtpTokens(&a.SMTP.Login))
}

// smtpTokens names the file of the tokens of an SMTP login, see imapTokens.
func smtpTokens(g *config.Login) string { return "smtp:" + url.PathEscape(g.User+"@"+g.Host) }

// connect is relay.Relay.Connect.
func (d *smtpConnector) connect(ctx context.Context) (*relay.Client, error) {
	if d.account.User == "" {
		return d.dial(ctx)
	}
	return withSecret(ctx, &d.connector, func(err error) bool {
		var refused *relay.AuthError
		return errors.As(err, &refused) && refused.Token
	}, d.loginWith)
}

// loginWith dials, secures the connection and logs in with this secret.
func (d *smtpConnector) loginWith(ctx context.Context, text string) (*relay.Client, error) {
	c, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	if d.method, err = c.Login(d.destinationCredentials(text)); err == nil {
		return c, nil
	}
	c.Close()
	var refused *relay.Refusal
	return nil, d.refused(err, errors.As(err, &refused) && !refused.Passing())
}

func (d *smtpConnector) dial(ctx context.Context) (*relay.Client, error) {
	a := d.account
	o := relay.Options{SMTP: true, Name: hostName(), Timeout: time.Duration(a.Timeout), Log: d.log}
	switch a.TLS {
	case config.TLSStart:
		o.Security = relay.StartTLS
	case config.TLSImplicit:
		o.Security = relay.ImplicitTLS
	}
	host, err := asciiHost(a.Host)
	if err != nil {
		return nil, err
	}
	if a.TLS != config.TLSNone {
		if o.TLS, err = d.tls(host, ""); err != nil {
			return nil, &fetch.ConfigError{Err: err}
		}
	}
	if o.Dial, err = dialer(&a.Login, d.log, nil); err != nil {
		return nil, err
	}
	c, err := relay.Dial(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(a.Port)), o)
	if err != nil {
		return nil, &connectError{tls: a.TLS, port: a.Port, err: err}
	}
	return c, nil
}

// checkRelay asks the server where the mail of a goes whether it would take mail.
func (f *inspection) checkRelay(ctx context.Context, a *config.Account, s *selection, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.Deadline))
	defer cancel()
	r, d := s.relay(a, log)
	defer r.Close()
	kind := "LMTP"
	if r.SMTP {
		kind = "SMTP"
	}
	f.Destination = fmt.Sprintf("%s server %s, for %s", kind, r.Address, strings.Join(r.Recipients, ", "))
	err := r.Check(ctx)
	if d != nil && d.method != "" {
		f.Destination += ", logged in with " + d.method
	}
	return err
}

// smtpLoginHint explains a refused login at a destination.
func smtpLoginHint(err error) string {
	var refused *relay.AuthError
	switch {
	case !errors.As(err, &refused):
		return ""
	case errors.Is(err, relay.ErrClear):
		return `set tls = "implicit" or "starttls" in the table of the destination, or auth = "plain" to send the password in clear text`
	case refused.Token:
		return "the token may have expired, or be for another user or scope: SMTP takes the scope https://mail.google.com/ at Gmail and https://outlook.office.com/SMTP.Send at Outlook"
	}
	return "check user and password in the table of the destination; many providers require an app password"
}
