package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"

	"popfetch/internal/config"
	"popfetch/internal/imap"
	"popfetch/internal/login"
	"popfetch/internal/secret"
)

// serverConnector connects to the server of one destination and logs in, if its table has a
// user. It looks at the account as the destination has it: with the login of the table. C is
// the client of the protocol.
type serverConnector[C io.Closer] struct {
	connector
	service string // of Kerberos
	dial    func(ctx context.Context, to address) (C, error)
	login   func(ctx context.Context, client C, cred login.Credentials) (method string, err error)
}

// serverLogin returns the login at the destination of a and the name of its protocol, nil if
// the destination is no server that wants one.
func serverLogin(a *config.Account) (protocol string, g *config.Login) {
	switch {
	case a.IMAP.IsSet():
		return "imap", &a.IMAP.Login
	case a.SMTP.IsSet() && a.SMTP.User != "":
		return "smtp", &a.SMTP.Login
	}
	return "", nil
}

// serverTokens names the file of the tokens of a login at a destination. All accounts that
// deliver to one mailbox share it. No account has a name with a colon.
func serverTokens(protocol string, g *config.Login) string {
	return protocol + ":" + url.PathEscape(g.User+"@"+g.Host)
}

// atServer returns the connector for the login g at the destination of a.
func (s *selection) atServer(a *config.Account, protocol string, g *config.Login, log *slog.Logger) connector {
	there := *a
	there.Login = *g
	return connector{account: &there, log: log, secret: s.secretOf(a.Name, g, serverTokens(protocol, g))}
}

// connect dials, secures the connection and logs in.
func (d *serverConnector[C]) connect(ctx context.Context) (C, error) {
	if d.account.User == "" {
		return d.reach(ctx)
	}
	return withSecret(ctx, &d.connector, destinationRefusesToken, d.loginWith)
}

// destinationRefusesToken reports whether a destination has refused an access token.
func destinationRefusesToken(err error) bool {
	var denied *login.Error
	return errors.As(err, &denied) && login.Bearer(denied.Method)
}

// loginWith is connect with this secret.
func (d *serverConnector[C]) loginWith(ctx context.Context, text string) (client C, err error) {
	cred, err := d.serverCredentials(ctx, text)
	if err != nil {
		return client, err
	}
	if client, err = d.reach(ctx); err != nil {
		return client, err
	}
	if d.method, err = d.login(ctx, client, cred); err == nil {
		return client, nil
	}
	client.Close()
	var denied *login.Error
	if errors.As(err, &denied) && denied.Lasting() {
		d.secret.Refused()
	} else {
		d.secret.Doubtful()
	}
	return client, &loginError{host: d.account.Host, err: err}
}

// serverCredentials returns what the login takes the secret for.
func (d *serverConnector[C]) serverCredentials(ctx context.Context, text string) (login.Credentials, error) {
	a := d.account
	cred := login.Credentials{User: a.User, Methods: a.Auth}
	if d.secret.Kind() == secret.Token || a.TakesToken() {
		cred.Token = text
	}
	if d.secret.Kind() == secret.Password {
		cred.Password = text
	}
	ticket, err := d.ticket(ctx, d.service)
	if ticket != nil {
		cred.Ticket = ticket
	}
	return cred, err
}

// reach dials and secures the connection.
func (d *serverConnector[C]) reach(ctx context.Context) (client C, err error) {
	to, err := d.address("")
	if err != nil {
		return client, err
	}
	if client, err = d.dial(ctx, to); err != nil {
		return client, &connectError{tls: d.account.TLS, port: d.account.Port, tunnel: len(d.account.Tunnel) > 0, err: err}
	}
	return client, nil
}

// serverLoginHint explains a refused login at a destination.
func serverLoginHint(err error) string {
	var denied *login.Error
	switch {
	case !errors.As(err, &denied):
		return ""
	case errors.Is(err, login.ErrClearToken):
		return `set tls = "implicit" or "starttls" in the table of the destination`
	case errors.Is(err, login.ErrClearPassword):
		return `set tls = "implicit" or "starttls" in the table of the destination, or auth = "plain" to send the password in clear text`
	case denied.Passing():
		return "the server has a temporary failure; the password may be right"
	case !denied.Lasting():
		return "" // the server has not refused it
	case denied.Method == config.GSSAPI:
		return "check with klist whose ticket it is, and with the administrator whether this user may log in as user"
	case login.Bearer(denied.Method):
		return "the token may have expired, or be for another user or scope: Gmail takes the scope https://mail.google.com/ for IMAP and SMTP, Outlook https://outlook.office.com/IMAP.AccessAsUser.All for IMAP and https://outlook.office.com/SMTP.Send for SMTP"
	case strings.HasPrefix(denied.Method, "scram-"):
		return "check user and password in the table of the destination" + scramAdvice
	case errors.As(err, new(*imap.Refusal)):
		return "check user and password in the table of the destination; many providers require an app password, or IMAP to be switched on in the settings of the mailbox"
	}
	return "check user and password in the table of the destination; many providers require an app password"
}
