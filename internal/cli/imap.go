package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"popfetch/deliver/mailbox"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/internal/config"
	"popfetch/internal/imap"
	"popfetch/internal/login"
	"popfetch/internal/secret"
)

// imapConnector connects to the IMAP server of one destination and logs in. It looks at
// the account as the destination has it: with the login of the table.
type imapConnector struct {
	connector
	method string // of the last login
}

// mailbox returns the mailbox that is the destination of a.
func (s *selection) mailbox(a *config.Account, log *slog.Logger) (*mailbox.Mailbox, *imapConnector) {
	d := &imapConnector{connector: connector{account: atDestination(a, &a.IMAP.Login), log: log, secret: s.imapSecret(a)}}
	return &mailbox.Mailbox{
		Server:     a.IMAP.Address(),
		User:       a.IMAP.User,
		Folder:     a.IMAP.Folder,
		SpamFolder: a.IMAP.SpamFolder,
		Flags:      a.IMAP.Flags,
		Spool:      filepath.Dir(s.config.State),
		Log:        log,
		Connect:    d.connect,
		Identify:   identify,
	}, d
}

// atDestination returns a with the login of its destination in place of that of its POP3
// server.
func atDestination(a *config.Account, g *config.Login) *config.Account {
	b := *a
	b.Login = *g
	return &b
}

// imapSecret returns the source of the secret of the IMAP login of a.
func (s *selection) imapSecret(a *config.Account) *secret.Source {
	return s.secretOf(a.Name, &a.IMAP.Login, imapTokens(&a.IMAP.Login))
}

// imapTokens names the file of the tokens of an IMAP login. All accounts that deliver to
// one mailbox share it. No account has a name with a colon.
func imapTokens(g *config.Login) string { return "imap:" + url.PathEscape(g.User+"@"+g.Host) }

// identify returns the fingerprint of a message, if it has fields that tell it from others.
func identify(header []byte) (fingerprint [16]byte, ok bool) {
	d := plan.NewIdentifier()
	d.Write(header)
	id := d.Identity()
	return id.Fingerprint, !id.Weak
}

// connect is mailbox.Mailbox.Connect.
func (d *imapConnector) connect(ctx context.Context) (*imap.Client, error) {
	return withSecret(ctx, &d.connector, func(err error) bool {
		var refused *imap.AuthError
		return errors.As(err, &refused) && refused.Token
	}, d.loginWith)
}

// loginWith dials, secures the connection and logs in with this secret.
func (d *imapConnector) loginWith(ctx context.Context, text string) (*imap.Client, error) {
	a := d.account
	c, err := d.dial(ctx)
	if err != nil {
		return nil, &connectError{tls: a.TLS, port: a.Port, err: err}
	}
	if d.method, err = c.Login(ctx, d.destinationCredentials(text)); err == nil {
		return c, nil
	}
	c.Close()
	var refused *imap.Refusal
	return nil, d.refused(err, errors.As(err, &refused) && !refused.Passing())
}

// destinationCredentials returns what the login at a destination takes the secret for.
func (d *connector) destinationCredentials(text string) login.Credentials {
	cred := login.Credentials{User: d.account.User, Methods: d.account.Auth}
	if d.secret.Kind() == secret.Token || d.account.TakesToken() {
		cred.Token = text
	}
	if d.secret.Kind() == secret.Password {
		cred.Password = text
	}
	return cred
}

// refused notes that the secret did not do, for good or perhaps, and returns the error of the
// login.
func (d *connector) refused(err error, lasting bool) error {
	if lasting {
		d.secret.Refused()
	} else {
		d.secret.Doubtful()
	}
	return &loginError{host: d.account.Host, err: err}
}

func (d *imapConnector) dial(ctx context.Context) (*imap.Client, error) {
	a := d.account
	o := imap.Options{Timeout: time.Duration(a.Timeout), Log: d.log}
	switch a.TLS {
	case config.TLSStart:
		o.Security = imap.StartTLS
	case config.TLSNone:
		o.Security = imap.ClearText
	}
	addr, host, err := address(&a.Login)
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
	return imap.Dial(ctx, addr, o)
}

// checkMailbox looks at the mailbox where the mail of a goes.
func (f *inspection) checkMailbox(ctx context.Context, a *config.Account, s *selection, log *slog.Logger) error {
	f.Destination = fmt.Sprintf("mailbox of %s at the IMAP server %s", a.IMAP.User, a.IMAP.Address())
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.Deadline))
	defer cancel()
	m, d := s.mailbox(a, log)
	defer m.Close()
	found, err := m.Check(ctx)
	if err != nil {
		return err
	}
	parts := []string{f.Destination, "logged in with " + d.method, "folder " + found.Folder}
	if !found.Exists {
		parts = append(parts, "to be created")
	}
	if found.SpamFolder != "" {
		parts = append(parts, "marked spam in "+found.SpamFolder)
	}
	if found.Limit > 0 {
		parts = append(parts, "messages of up to "+size(int64(found.Limit)))
	}
	f.Destination = strings.Join(parts, ", ")
	return nil
}

// imapLoginHint explains a refused login at a destination.
func imapLoginHint(err error) string {
	var refused *imap.AuthError
	switch {
	case !errors.As(err, &refused):
		return ""
	case errors.Is(err, imap.ErrClearToken):
		return `set tls = "implicit" or "starttls" in the table of the destination`
	case refused.Token:
		return "the token may have expired, or be for another user or scope: IMAP takes the scope https://mail.google.com/ at Gmail and https://outlook.office.com/IMAP.AccessAsUser.All at Outlook"
	}
	return "check user and password in the table of the destination; many providers require an app password, or IMAP to be switched on in the settings of the mailbox"
}
