package cli

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"popfetch/deliver/relay"
	"popfetch/internal/config"
	"popfetch/internal/login"
)

// relay returns the LMTP or SMTP server that is the destination of a. The connector is that of
// SMTP.
func (s *selection) relay(a *config.Account, log *slog.Logger) (*relay.Relay, *serverConnector[*relay.Client]) {
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
	d := &serverConnector[*relay.Client]{
		connector: s.atServer(a, "smtp", &a.SMTP.Login, log),
		service:   "smtp",
		dial: func(ctx context.Context, to address) (*relay.Client, error) {
			o := relay.Options{SMTP: true, Name: r.Name, TLS: to.tls, Dial: to.dial, Timeout: r.Timeout, Log: log}
			switch a.SMTP.TLS {
			case config.TLSStart:
				o.Security = relay.StartTLS
			case config.TLSImplicit:
				o.Security = relay.ImplicitTLS
			}
			return relay.Dial(ctx, "tcp", to.addr, o)
		},
		login: func(_ context.Context, c *relay.Client, cred login.Credentials) (string, error) { return c.Login(cred) },
	}
	r.SMTP, r.Network, r.Address, r.Connect = true, "tcp", a.SMTP.Address(), d.connect
	return r, d
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
