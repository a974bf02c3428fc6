package cli

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"popfetch/deliver/mailbox"
	"popfetch/fetch/plan"
	"popfetch/internal/config"
	"popfetch/internal/imap"
	"popfetch/internal/login"
)

// mailbox returns the mailbox that is the destination of a.
func (s *selection) mailbox(a *config.Account, log *slog.Logger) (*mailbox.Mailbox, *serverConnector[*imap.Client]) {
	d := &serverConnector[*imap.Client]{
		connector: s.atServer(a, "imap", &a.IMAP.Login, log),
		service:   "imap",
		dial: func(ctx context.Context, to address) (*imap.Client, error) {
			o := imap.Options{TLS: to.tls, Dial: to.dial, Timeout: time.Duration(a.Timeout), Log: log}
			switch a.IMAP.TLS {
			case config.TLSStart:
				o.Security = imap.StartTLS
			case config.TLSNone:
				o.Security = imap.ClearText
			}
			return imap.Dial(ctx, to.addr, o)
		},
		login: func(ctx context.Context, c *imap.Client, cred login.Credentials) (string, error) {
			return c.Login(ctx, cred)
		},
	}
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

// identify returns the fingerprint of a message, if it has fields that tell it from others.
func identify(header []byte) (fingerprint [16]byte, ok bool) {
	d := plan.NewIdentifier()
	d.Write(header)
	id := d.Identity()
	return id.Fingerprint, !id.Weak
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
