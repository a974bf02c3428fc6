package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"popfetch/deliver/maildir"
	"popfetch/deliver/mbox"
	"popfetch/deliver/mda"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/internal/durable"
	"popfetch/internal/kerberos"
	"popfetch/internal/network"
	"popfetch/internal/secret"
	"popfetch/state"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "test the accounts: state file, destination, connection, TLS, login; fetch nothing",
		ArgsUsage: "[ACCOUNT...]",
		Flags:     flags(jsonFlag()),
		Action:    p.check,
	}
}

// check succeeds only if a poll would. It looks at everything that a poll needs
// and changes nothing.
func (p *program) check(c *cli.Context) error {
	con := p.console(c)
	con.checking = true
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	known, err := p.checkState(c.Context, s, con)
	if err != nil {
		con.complain(err)
	}
	return reported(errors.Join(err, s.each(con, func(a *config.Account, w io.Writer) error {
		found := &inspection{Account: a.Name, Server: a.Address(), State: known.summary, SetAside: known.aside[a]}
		errs := []error{known.lost[a], found.checkDestination(c.Context, a, s, con.log.With("account", a.Name))}
		if err := known.trust(a); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, found.visit(c.Context, a, s.secret(a), known.trusted[a], con))
		}
		errs = withoutNil(errs)
		found.Problem = tlsFaultOf(errors.Join(errs...), true).problem
		if con.json {
			found.Error = joinMessages(errs)
			encode(w, found)
		} else {
			found.write(w, con.width)
		}
		if len(errs) > 0 {
			return &fetch.AccountError{Account: a.Name, Errs: errs}
		}
		return nil
	})))
}

func withoutNil(errs []error) []error {
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func joinMessages(errs []error) string {
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

// stateSummary is what check has found out about the state file.
type stateSummary struct {
	summary string
	lost    map[*config.Account]error  // see checkLost
	aside   map[*config.Account]int    // messages that are set aside
	trusted map[*config.Account]string // fingerprints remembered on first use; nil = not known
}

// checkState looks at the state file. One that another popfetch holds, which does not
// answer, is not an error.
func (p *program) checkState(ctx context.Context, s *selection, con *console) (stateSummary, error) {
	unusable := stateSummary{summary: "cannot be used"}
	store, err := view(ctx, s.config)
	if errors.Is(err, state.ErrLocked) {
		return stateSummary{summary: "in use by another popfetch"}, nil
	}
	if err != nil {
		return unusable, err
	}
	defer store.Close()
	h, err := p.house(s, con, store, false)
	if err != nil {
		return unusable, err
	}
	found := stateSummary{
		summary: "ok", lost: make(map[*config.Account]error), aside: make(map[*config.Account]int), trusted: make(map[*config.Account]string),
	}
	if store.ID() == "" {
		found.summary = "to be created"
	}
	if err := writable(s.config.State); err != nil {
		return unusable, &fetch.StateError{Err: fmt.Errorf("state file %s: %w", s.config.State, err)}
	}
	for _, a := range s.chosen {
		found.lost[a] = h.checkLost(a)
		drop := store.Maildrop(maildropKey(a))
		facts, err := drop.Facts()
		if err != nil {
			return unusable, &fetch.StateError{Err: err}
		}
		found.trusted[a] = facts.Trusted
		err = drop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
			for _, r := range known {
				if plan.IsSetAside(r) {
					found.aside[a]++
				}
			}
			return nil
		})
		if err != nil {
			return unusable, &fetch.StateError{Err: err}
		}
	}
	return found, nil
}

// trust returns an error if it is not known which server a trusts: the secret may go to no
// other.
func (s stateSummary) trust(a *config.Account) error {
	if !a.TrustsFirstUse() || s.trusted != nil {
		return nil
	}
	return fmt.Errorf(`not connected: which server is trusted (tls_fingerprint = "first-use") is in the state file: %w`, state.ErrLocked)
}

// writable returns nil if the file at path can be written, or created if it is
// missing.
func writable(path string) error {
	err := unix.Access(path, unix.W_OK)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return durable.Creatable(durable.OS{}, filepath.Dir(path))
}

// inspection is what check has found out about one account, as JSON.
// popfetch(1) describes the fields.
type inspection struct {
	Account  string `json:"account"`
	Server   string `json:"server"`
	Address  string `json:"address"`
	Greeting string `json:"greeting"`
	TLS      string `json:"tls"`
	shownCertificate
	Capabilities []string `json:"capabilities"`
	Secret       string   `json:"secret"`
	Method       string   `json:"method"`
	Messages     int      `json:"messages"`
	Octets       int64    `json:"octets"`
	UniqueIDs    bool     `json:"unique_ids"`
	Expiry       string   `json:"expiry"`
	Destination  string   `json:"destination"`
	State        string   `json:"state"`
	SetAside     int      `json:"set_aside"`
	Problem      string   `json:"problem"` // with TLS, see tlsFault
	Error        string   `json:"error"`

	listed bool // Messages, Octets and UniqueIDs are known
}

// checkDestination looks at the place where the mail of a goes.
func (f *inspection) checkDestination(ctx context.Context, a *config.Account, s *selection, log *slog.Logger) error {
	if a.IMAP.IsSet() {
		return f.checkMailbox(ctx, a, s, log)
	}
	if len(a.MDA) > 0 {
		f.Destination = "program " + a.MDA[0]
		return (&mda.MDA{Argv: a.MDA}).Check()
	}
	if a.MBox != "" {
		f.Destination = "mbox " + a.MBox
		exists, err := (&mbox.Mbox{Path: a.MBox}).Check()
		return f.toBeCreated(exists, err)
	}
	if a.LMTP.IsSet() || a.SMTP.IsSet() {
		return f.checkRelay(ctx, a, s, log)
	}
	f.Destination = "Maildir " + a.Maildir
	exists, err := (&maildir.Maildir{Path: a.Maildir}).Check()
	return f.toBeCreated(exists, err)
}

// toBeCreated notes that the destination is missing and can be made.
func (f *inspection) toBeCreated(exists bool, err error) error {
	if err == nil && !exists {
		f.Destination += ", to be created"
	}
	return err
}

// visit logs in and asks for everything but the messages. It notes what it sees
// up to an error. trusted is the fingerprint that was remembered on first use.
func (f *inspection) visit(ctx context.Context, a *config.Account, source *secret.Source, trusted string, con *console) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.Deadline))
	defer cancel()
	d := &connector{account: a, log: con.log.With("account", a.Name), secret: source, connected: f.connection,
		routed: func(r network.Route) { f.Address = describe(r) }}
	f.Secret = provenance(a, source)
	f.trust(a, trusted)
	client, err := d.login(ctx, fetch.Opening{Serial: true, Trusted: trusted})
	if err != nil {
		f.refused(err)
		return d.explain(ctx, err)
	}
	defer client.Close()
	f.Method = d.method
	f.Capabilities = client.ShownCapabilities()
	f.Expiry = fetch.Expiry(client.Capabilities(), plan.Policy{Delete: a.Keep.Delete, After: time.Duration(a.Keep.After)})
	if f.Messages, f.Octets, err = client.Stat(); err != nil {
		return err
	}
	if err := f.identities(client); err != nil {
		return err
	}
	f.listed = true
	return client.Quit()
}

// provenance says what a logs in with, and where that comes from.
func provenance(a *config.Account, source *secret.Source) string {
	switch {
	case !a.NeedsSecret() && slices.Contains(a.Auth, config.GSSAPI):
		return kerberos.Source()
	case slices.Contains(a.Auth, config.NoLogin):
		return "none"
	case !a.NeedsSecret():
		return "certificate " + a.TLSClientCert
	case a.PasswordText.IsSet():
		return source.Kind().String() + " from the configuration"
	}
	return source.Kind().String() + " from " + source.String()
}

// identities finds out how the server lets messages be told apart: by unique-ids,
// which some servers have without announcing them, or by header blocks.
func (f *inspection) identities(client *pop3.Client) error {
	caps := client.Capabilities()
	if f.Messages == 0 { // some servers refuse UIDL then, so the client does not ask
		f.UniqueIDs = caps.Has("UIDL") || !caps.Known
		if !f.UniqueIDs && !caps.Has("TOP") {
			return &fetch.NoUIDLError{Err: errors.New("its reply to CAPA names neither")}
		}
		return nil
	}
	var refused *pop3.ResponseError
	for _, err := range client.Uidl() {
		if err != nil && !errors.As(err, &refused) && !errors.As(err, new(*pop3.LineError)) {
			return err
		}
	}
	f.UniqueIDs = refused == nil
	switch {
	case f.UniqueIDs:
		return nil
	case caps.Has("UIDL"), refused.Code == pop3.InUse, refused.Code == pop3.LoginDelay, refused.Code == pop3.SysTemp:
		return refused // the server has unique-ids and does not tell them now
	case caps.Has("TOP"):
		return nil
	}
	for _, err := range client.Top([]int{1}, 0) {
		if errors.As(err, new(*pop3.ResponseError)) {
			return &fetch.NoUIDLError{Err: refused}
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	f.show(s.PeerCertificates, time.Now())
}

// write shows the inspection to a person, on a terminal of so many columns, 0 = none.
func (f *inspection) write(w io.Writer, width int) {
	fmt.Fprintf(w, "%s: %s\n", f.Account, f.Server)
	lines := sheet{w: w, width: width}
	lines.line("TLS problem", f.Problem)
	lines.line("address", quoteUnlessPlain(f.Address))
	lines.line("greeting", quoteUnlessPlain(f.Greeting))
	lines.line("TLS", f.TLS)
	f.shownCertificate.write(&lines)
	lines.line("capabilities", quoteUnlessPlain(strings.Join(f.Capabilities, ", ")))
	lines.line("secret", quoteUnlessPlain(f.Secret))
	switch f.Method {
	case "":
	case config.NoLogin:
		lines.line("logged in", "by the server itself")
	default:
		lines.line("logged in", "with "+f.Method)
	}
	if f.listed {
		lines.line("waiting mail", fmt.Sprintf("%s, %s", messages(f.Messages), size(f.Octets)))
	}
	if f.listed && !f.UniqueIDs {
		lines.line("unique-ids", "none: popfetch tells messages apart by their header blocks")
	}
	lines.line("attention", f.Expiry)
	lines.line("destination", quoteUnlessPlain(f.Destination))
	lines.line("state file", f.State)
	if f.SetAside > 0 {
		lines.line("set aside", messages(f.SetAside)+"; popfetch list shows why")
	}
}
