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
	"popfetch/internal/config"
	"popfetch/state"
)

func (p *program) stateCommand() *cli.Command {
	return &cli.Command{
		Name:  "state",
		Usage: "check, restore and mend what is remembered of delivered mail",
		Action: func(c *cli.Context) error {
			return &usage{"state: say check, compact, restore, rebuild, retry or forget"}
		},
		Flags: flags(),
		Subcommands: []*cli.Command{
			{Name: "check", Usage: "read the state file whole and say what is in it", Flags: flags(jsonFlag()), Action: p.stateCheck},
			{Name: "compact", Usage: "make the state file smaller", Flags: flags(), Action: p.stateCompact},
			{Name: "restore", Usage: "put the last daily snapshot in the place of a damaged or lost state file", Action: p.stateRestore,
				Flags: flags(&cli.BoolFlag{Name: "force", Usage: "also where the state file is in order"})},
			{Name: "rebuild", Usage: "learn from the Maildirs what was delivered, and fetch nothing", ArgsUsage: "[ACCOUNT...]", Flags: flags(), Action: p.stateRebuild},
			{Name: "retry", Usage: "give messages that were set aside another chance", ArgsUsage: "[ACCOUNT...]", Flags: flags(), Action: p.stateRetry},
			{Name: "forget", Usage: "forget what was delivered: everything on the server is fetched again", ArgsUsage: "ACCOUNT...", Flags: flags(), Action: p.stateForget},
		},
	}
}

// statePath is the state file of the configuration, for commands that take no
// account.
func (p *program) statePath(c *cli.Context) (string, error) {
	if c.Args().Present() {
		return "", &usage{fmt.Sprintf("state %s takes no argument, %q was given", c.Command.Name, c.Args().First())}
	}
	cfg, err := p.config(c)
	if err != nil {
		return "", err
	}
	return cfg.State, nil
}

// stateLine is a state file for programs. popfetch(1) describes the fields.
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

func (p *program) stateCheck(c *cli.Context) error {
	path, err := p.statePath(c)
	if err != nil {
		return err
	}
	r, err := state.File{Path: path, Wait: lockWait}.Check()
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	snapshot := "none"
	if !r.Snapshot.IsZero() {
		snapshot = r.Snapshot.Format(time.RFC3339)
	}
	if c.Bool("json") {
		p.writeJSON(stateLine{path, r.Maildrops, r.IDs, r.Intents, r.Failures, r.Octets, r.Free, snapshot})
		return p.unknown(c)
	}
	fmt.Fprintf(p.out, "%s: in order\n", path)
	fmt.Fprintf(p.out, "  %-12s %d\n", "maildrops", r.Maildrops)
	fmt.Fprintf(p.out, "  %-12s %d, of which %d failed so far\n", "unique-ids", r.IDs, r.Failures)
	fmt.Fprintf(p.out, "  %-12s %d\n", "unfinished", r.Intents)
	fmt.Fprintf(p.out, "  %-12s %s, %.0f %% of it free\n", "size", size(r.Octets), 100*r.Free)
	fmt.Fprintf(p.out, "  %-12s %s\n", "snapshot", snapshot)
	return p.unknown(c)
}

// unknown says which accounts the state file should know and does not.
func (p *program) unknown(c *cli.Context) error {
	h, err := p.load(c)
	if err != nil {
		return err
	}
	return p.look(c, h, func(*fetch.Account, io.Writer) error { return nil })
}

func (p *program) stateCompact(c *cli.Context) error {
	path, err := p.statePath(c)
	if err != nil {
		return err
	}
	before, after, err := state.File{Path: path, Wait: lockWait}.Compact()
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	fmt.Fprintf(p.out, "%s: %s before, %s now\n", path, size(before), size(after))
	return nil
}

func (p *program) stateRestore(c *cli.Context) error {
	path, err := p.statePath(c)
	if err != nil {
		return err
	}
	r, err := state.File{Path: path, Wait: lockWait}.Restore(c.Bool("force"))
	if healthy, ok := errors.AsType[*state.HealthyError](err); ok {
		return &usage{fmt.Sprintf("state restore: %s is in order, with %d unique-ids; to replace it by the older snapshot all the same, say --force", path, healthy.IDs)}
	}
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	fmt.Fprintf(p.out, "%s: restored from the snapshot of %s\n", path, r.From.Format(time.RFC3339))
	if r.Kept != "" {
		fmt.Fprintf(p.out, "the former file is kept as %s\n", r.Kept)
	}
	fmt.Fprintln(p.out, "mail that was delivered after the snapshot and is still on a server would be delivered again;")
	fmt.Fprintln(p.out, "popfetch state rebuild recognises it where it went into a Maildir")
	return nil
}

// withStore opens the state file for the chosen accounts and calls fn for each.
func (p *program) withStore(c *cli.Context, fn func(h *house, a *config.Account, account *fetch.Account) error) error {
	h, err := p.load(c)
	if err != nil {
		return err
	}
	store, err := state.File{Path: h.config.State, Wait: lockWait}.Open()
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	defer store.Close()
	if err := h.use(store); err != nil {
		return err
	}
	var errs []error
	for _, a := range h.chosen {
		if err := fn(h, a, h.account(a, nil)); err != nil {
			p.complain(err)
			errs = append(errs, err)
		}
	}
	return said(errors.Join(errs...))
}

func (p *program) stateRetry(c *cli.Context) error {
	return p.withStore(c, func(_ *house, a *config.Account, account *fetch.Account) error {
		n, err := account.Retry(c.Context)
		if err == nil {
			fmt.Fprintf(p.out, "%s: %d messages are tried again\n", a.Name, n)
		}
		return err
	})
}

func (p *program) stateForget(c *cli.Context) error {
	if !c.Args().Present() {
		return &usage{"state forget: name the accounts whose mail is to be fetched again"}
	}
	return p.withStore(c, func(_ *house, a *config.Account, account *fetch.Account) error {
		n, err := account.Forget()
		if err == nil {
			fmt.Fprintf(p.out, "%s: %d unique-ids are forgotten; the next poll fetches whatever is on the server\n", a.Name, n)
		}
		return err
	})
}

func (p *program) stateRebuild(c *cli.Context) error {
	return p.withStore(c, func(h *house, a *config.Account, account *fetch.Account) error {
		if a.Maildir == "" && !c.Args().Present() {
			fmt.Fprintf(p.out, "%s: delivers to a program, so there is no Maildir to learn from\n", a.Name)
			return nil
		}
		if a.Maildir == "" {
			return &fetch.AccountError{Account: a.Name, Errs: []error{&usage{"the account delivers to a program, so there is no Maildir to learn from"}}}
		}
		have, err := stored(a.Maildir)
		if err != nil {
			return &fetch.AccountError{Account: a.Name, Errs: []error{err}}
		}
		learned, unknown, err := account.Relearn(c.Context, have)
		if err == nil && len(have) > 0 {
			err = h.makeClaim(a)
		}
		if err == nil {
			fmt.Fprintf(p.out, "%s: %d messages recognised as delivered, %d are not in the Maildir and will be fetched\n", a.Name, learned, unknown)
		}
		return err
	})
}

// makeClaim notes in the Maildir of a that the state file knows of it now.
func (h *house) makeClaim(a *config.Account) error {
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

// stored looks at every message in a Maildir.
func stored(path string) ([]fetch.Stored, error) {
	var have []fetch.Stored
	for m, err := range maildir.Messages(path) {
		if err != nil {
			return nil, err
		}
		one, err := recognise(m)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a reader has moved it
		}
		if err != nil {
			return nil, err
		}
		have = append(have, one)
	}
	return have, nil
}

func recognise(m maildir.Message) (fetch.Stored, error) {
	f, err := m.Open()
	if err != nil {
		return fetch.Stored{}, err
	}
	defer f.Close()
	one, err := fetch.Recognise(deliver.Wire(f))
	one.Time = m.Time
	return one, err
}
