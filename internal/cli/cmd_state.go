package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/deliver"
	"popfetch/deliver/maildir"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/internal/config"
	"popfetch/internal/control"
	"popfetch/state"
)

func (p *program) stateCommand() *cli.Command {
	return &cli.Command{
		Name:   "state",
		Usage:  "check and repair the record of what was delivered",
		Action: subcommandNeeded,
		Flags:  flags(),
		Subcommands: []*cli.Command{
			{Name: "check", Usage: "read the whole state file and show what is in it", Flags: flags(jsonFlag()), Action: p.stateCheck},
			{Name: "compact", Usage: "make the state file smaller", Flags: flags(), Action: p.stateCompact},
			{Name: "restore", Usage: "replace a damaged or lost state file by its last daily snapshot", Action: p.stateRestore,
				Flags: flags(boolFlag("replace a state file that is not damaged, too", "force"))},
			{Name: "rebuild", Usage: "learn from the Maildirs what was delivered; fetches nothing", ArgsUsage: "[ACCOUNT...]", Flags: flags(), Action: p.stateRebuild},
			p.seedCommand(),
			{Name: "retry", Usage: "try again what was set aside or not deleted", ArgsUsage: "[ACCOUNT...]", Flags: flags(), Action: p.stateRetry},
			{Name: "trust", Usage: `accept another key of a server with tls_fingerprint = "first-use" at the next poll`, ArgsUsage: "ACCOUNT...", Flags: flags(), Action: p.stateTrust},
			{Name: "forget", Usage: "forget what was delivered, so that everything on the server is fetched again", ArgsUsage: "ACCOUNT...", Flags: flags(), Action: p.stateForget},
		},
	}
}

// stateLine describes a state file as JSON. popfetch(1) describes the fields.
type stateLine struct {
	File      string  `json:"file"`
	Maildrops int     `json:"maildrops"`
	IDs       int     `json:"ids"`
	Intents   int     `json:"intents"`
	Failures  int     `json:"failures"`
	Octets    int64   `json:"octets"`
	Free      float64 `json:"free"`
	Snapshot  string  `json:"snapshot"`
}

// stateCheck checks the file, and then whether it knows the accounts that it
// should know.
func (p *program) stateCheck(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	con := p.console(c)
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	store, err := view(c.Context, s.config)
	if err != nil {
		return err
	}
	defer store.Close()
	r, err := store.Check()
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	snapshot := "none"
	if !r.Snapshot.IsZero() {
		snapshot = r.Snapshot.Format(time.RFC3339)
	}
	if con.json {
		con.writeJSON(stateLine{s.config.State, r.Maildrops, r.IDs, r.Intents, r.Failures, r.Octets, r.Free, snapshot})
	} else {
		fmt.Fprintf(con.out, "%s: ok\n", s.config.State)
		fmt.Fprintf(con.out, "  %-12s %d\n", "maildrops", r.Maildrops)
		fmt.Fprintf(con.out, "  %-12s %d, %d of them not delivered because of failures\n", "unique-ids", r.IDs, r.Failures)
		fmt.Fprintf(con.out, "  %-12s %d\n", "unfinished", r.Intents)
		fmt.Fprintf(con.out, "  %-12s %s, %.0f%% of it free\n", "size", size(r.Octets), 100*r.Free)
		fmt.Fprintf(con.out, "  %-12s %s\n", "snapshot", snapshot)
	}
	h, err := p.house(s, con, store, false)
	if err != nil {
		return err
	}
	return h.eachKnown(con, func(*config.Account, io.Writer) error { return nil })
}

// stateFile returns the state file, for a command that takes no account.
func (p *program) stateFile(c *cli.Context) (state.File, error) {
	if err := noArguments(c); err != nil {
		return state.File{}, err
	}
	cfg, err := loadConfig(c, p.console(c))
	if err != nil {
		return state.File{}, err
	}
	return stateFile(cfg), nil
}

func (p *program) stateCompact(c *cli.Context) error {
	file, err := p.stateFile(c)
	if err != nil {
		return err
	}
	if err := refuseBeside(c.Context, file, "state compact"); err != nil {
		return err
	}
	before, after, err := file.Compact()
	if err != nil {
		return stateError(err)
	}
	fmt.Fprintf(p.out, "%s: %s before, %s now\n", file.Path, size(before), size(after))
	return nil
}

func (p *program) stateRestore(c *cli.Context) error {
	file, err := p.stateFile(c)
	if err != nil {
		return err
	}
	if err := refuseBeside(c.Context, file, "state restore"); err != nil {
		return err
	}
	r, err := file.Restore(c.Bool("force"))
	if healthy, ok := errors.AsType[*state.HealthyError](err); ok {
		return &usage{fmt.Sprintf("state restore: %s is not damaged and holds %d unique-ids; --force replaces it by the older snapshot", file.Path, healthy.IDs)}
	}
	if err != nil {
		return stateError(err)
	}
	fmt.Fprintf(p.out, "%s: restored from the snapshot of %s\n", file.Path, r.From.Format(time.RFC3339))
	if r.Kept != "" {
		fmt.Fprintf(p.out, "the old file is kept as %s\n", r.Kept)
	}
	fmt.Fprintln(p.out, "mail delivered since the snapshot and still on a server would be delivered again;")
	fmt.Fprintln(p.out, "to prevent that for mail in a Maildir, run popfetch state rebuild now")
	return nil
}

func (p *program) stateRetry(c *cli.Context) error {
	return p.perform(c, control.Request{Do: doRetry}, func(account string, done performed) {
		fmt.Fprintf(p.out, "%s: %s to be tried again by the next poll\n", account, messages(done.Messages))
	})
}

func (p *program) stateForget(c *cli.Context) error {
	if !c.Args().Present() {
		return &usage{"state forget: name the accounts whose mail is to be fetched again"}
	}
	return p.perform(c, control.Request{Do: doForget}, func(account string, done performed) {
		fmt.Fprintf(p.out, "%s: forgot %d unique-ids; the next poll fetches everything on the server\n", account, done.Messages)
	})
}

func (p *program) stateTrust(c *cli.Context) error {
	if !c.Args().Present() {
		return &usage{"state trust: name the accounts whose servers have a new key"}
	}
	trusts := func(a *config.Account) error {
		if a.TrustsFirstUse() {
			return nil
		}
		return &fetch.AccountError{Account: a.Name, Errs: []error{&usage{`the account has no tls_fingerprint = "first-use"`}}}
	}
	return p.performIf(c, trusts, control.Request{Do: doTrust}, func(account string, done performed) {
		if done.Key == "" {
			fmt.Fprintf(p.out, "%s: no key is remembered; the next poll remembers the one that the server shows\n", account)
			return
		}
		fmt.Fprintf(p.out, "%s: forgot the key %s; the next poll remembers the one that the server shows\n", account, done.Key)
	})
}

// mostNamed is how many messages state rebuild names that look like others.
const mostNamed = 5

func (p *program) stateRebuild(c *cli.Context) error {
	con := p.console(c)
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	store, err := ownAlone(c.Context, stateFile(s.config), "state rebuild")
	if err != nil {
		return err
	}
	defer store.Close()
	h, err := p.house(s, con, store, false)
	if err != nil {
		return err
	}
	defer p.serveAlone(con, h, store, "state rebuild")()
	var errs []error
	for _, a := range h.chosen {
		if err := p.rebuild(c, h, a); err != nil {
			con.complain(err)
			errs = append(errs, err)
		}
	}
	return reported(errors.Join(errs...))
}

// rebuild learns from the Maildir of one account.
func (p *program) rebuild(c *cli.Context, h *house, a *config.Account) error {
	const noMaildir = "does not deliver into a Maildir, so there is none to learn from"
	if a.Maildir == "" && !c.Args().Present() {
		fmt.Fprintf(p.out, "%s: %s\n", a.Name, noMaildir)
		return nil
	}
	if a.Maildir == "" {
		return &fetch.AccountError{Account: a.Name, Errs: []error{&usage{"the account " + noMaildir}}}
	}
	stored, err := storedMessages(a.Maildir)
	if err != nil {
		return &fetch.AccountError{Account: a.Name, Errs: []error{err}}
	}
	found, err := h.account(a, nil).Relearn(c.Context, stored)
	if err == nil && len(stored) > 0 {
		err = h.claimMaildir(a)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s: recognised %s as delivered; %s not in the Maildir, to be fetched by the next poll\n", a.Name, messages(found.Learned), messages(found.Unknown))
	named := found.Ambiguous[:min(len(found.Ambiguous), mostNamed)]
	for _, m := range named {
		fmt.Fprintf(p.out, "%s: message %d (unique-id %q) looks like several others, so it is not known whether it is in the Maildir; the next poll fetches it\n", a.Name, m.Num, m.UID())
	}
	if more := len(found.Ambiguous) - len(named); more > 0 {
		fmt.Fprintf(p.out, "%s: %d more messages look like several others\n", a.Name, more)
	}
	return nil
}

// claimMaildir marks the Maildir of a as known to the state file.
func (h *house) claimMaildir(a *config.Account) error {
	m := h.maildir(a, h.log)
	err := m.Open()
	if err == nil {
		err = errors.Join(m.MakeClaim(), m.Close())
	}
	if err != nil {
		return &fetch.AccountError{Account: a.Name, Errs: []error{err}}
	}
	return nil
}

// storedMessages reads every message in a Maildir.
func storedMessages(path string) ([]plan.Stored, error) {
	var all []plan.Stored
	for m, err := range maildir.Messages(path) {
		if err != nil {
			return nil, err
		}
		stored, err := storedMessage(m)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a mail reader has moved it
		}
		if err != nil {
			return nil, err
		}
		all = append(all, stored)
	}
	return all, nil
}

func storedMessage(m maildir.Message) (plan.Stored, error) {
	f, err := m.Open()
	if err != nil {
		return plan.Stored{}, err
	}
	defer f.Close()
	stored, err := plan.Inspect(deliver.Wire(f))
	stored.Time = m.Time
	return stored, err
}
