package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "log in and show TLS, capabilities, the chosen mechanism and the waiting mail; fetch nothing",
		ArgsUsage: "[ACCOUNT...]",
		Flags:     flags(jsonFlag()),
		Action:    p.check,
	}
}

func (p *program) check(c *cli.Context) error {
	con := p.console(c)
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	return s.each(con, func(a *config.Account, w io.Writer) error {
		found, err := inspect(c.Context, a, s.terminal, con.log)
		if con.json {
			if err != nil {
				found.Error = err.Error()
			}
			encode(w, found)
		} else {
			found.write(w)
		}
		if err != nil {
			return &fetch.AccountError{Account: a.Name, Errs: []error{err}}
		}
		return nil
	})
}

// inspection is what a visit to a server has shown, as far as it came.
type inspection struct {
	Account      string   `json:"account"`
	Server       string   `json:"server"`
	Greeting     string   `json:"greeting"`
	TLS          string   `json:"tls"`
	Certificate  string   `json:"certificate"`
	Names        []string `json:"names"`
	Expires      string   `json:"expires"`
	Fingerprint  string   `json:"fingerprint"`
	Capabilities []string `json:"capabilities"`
	Method       string   `json:"method"`
	Messages     int      `json:"messages"`
	Octets       int64    `json:"octets"`
	UniqueIDs    bool     `json:"unique_ids"`
	Error        string   `json:"error"`
}

// inspect logs in and looks around. The result holds what was seen before the
// error, if there is one.
func inspect(ctx context.Context, a *config.Account, terminal *secret.Terminal, log *slog.Logger) (*inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.Deadline))
	defer cancel()
	d := &door{account: a, log: log.With("account", a.Name), secret: secret.Of(a, terminal)}
	found := &inspection{Account: a.Name, Server: a.Address()}
	d.see = func(c *pop3.Client) { found.connection(c) }
	client, err := d.enter(ctx, fetch.Opening{Serial: true})
	if err != nil {
		var refused *tls.CertificateVerificationError
		if errors.As(err, &refused) && len(refused.UnverifiedCertificates) > 0 {
			found.certificate(refused.UnverifiedCertificates[0])
		}
		return found, err
	}
	defer client.Close()
	found.Method = d.method
	found.Capabilities = client.Capabilities().Lines()
	if found.Messages, found.Octets, err = client.Stat(); err != nil {
		return found, err
	}
	if found.UniqueIDs, err = hasUniqueIDs(client); err != nil {
		return found, err
	}
	return found, client.Quit()
}

// hasUniqueIDs asks for them: some servers have UIDL and do not announce it.
func hasUniqueIDs(client *pop3.Client) (bool, error) {
	for _, err := range client.Uidl() {
		var refused *pop3.ResponseError
		var line *pop3.LineError
		if errors.As(err, &refused) {
			return false, nil
		}
		if err != nil && !errors.As(err, &line) {
			return false, err
		}
	}
	return true, nil
}

// connection notes what is known before the login.
func (f *inspection) connection(c *pop3.Client) {
	f.Greeting = c.Greeting()
	s, ok := c.TLS()
	if !ok {
		f.TLS = "none"
		return
	}
	f.TLS = tls.VersionName(s.Version) + ", " + tls.CipherSuiteName(s.CipherSuite)
	f.certificate(s.PeerCertificates[0])
}

// certificate notes what the server says of itself, verified or not.
func (f *inspection) certificate(cert *x509.Certificate) {
	f.Certificate = fmt.Sprintf("%s, issued by %s", cert.Subject, cert.Issuer)
	f.Names = cert.DNSNames
	for _, ip := range cert.IPAddresses {
		f.Names = append(f.Names, ip.String())
	}
	f.Expires = cert.NotAfter.Format(time.RFC3339)
	f.Fingerprint = fmt.Sprintf("%x", sha256.Sum256(cert.Raw))
}

// write shows the inspection to a person.
func (f *inspection) write(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", f.Account, f.Server)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-13s %s\n", name, value)
		}
	}
	line("greeting", quoteUnlessPlain(f.Greeting))
	line("TLS", f.TLS)
	line("certificate", quoteUnlessPlain(f.Certificate))
	line("valid for", quoteUnlessPlain(strings.Join(f.Names, ", ")))
	line("expires", f.Expires)
	line("fingerprint", f.Fingerprint)
	if f.Method == "" {
		return
	}
	line("capabilities", quoteUnlessPlain(strings.Join(f.Capabilities, ", ")))
	line("logged in", "with "+f.Method)
	line("waiting mail", fmt.Sprintf("%d messages, %s", f.Messages, size(f.Octets)))
	if !f.UniqueIDs {
		line("unique-ids", "none: messages are told apart by their header blocks")
	}
}
