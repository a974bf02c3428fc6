package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/state"
)

func (p *program) pollCommand() *cli.Command {
	return &cli.Command{
		Name:               pollCommand,
		Hidden:             true,
		CustomHelpTemplate: help,
		Action:             p.poll,
		Flags: flags(
			&cli.BoolFlag{Name: "once", Aliases: []string{"1"}, Usage: "poll each account once and exit"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "say what would be fetched and deleted, and do not do it"},
			&cli.BoolFlag{Name: "keep", Aliases: []string{"k"}, Usage: "delete nothing from the servers this time"},
			&cli.BoolFlag{Name: "version", Usage: "show the version"},
			jsonFlag(),
		),
	}
}

func (p *program) poll(c *cli.Context) error {
	if c.Bool("version") {
		fmt.Fprintf(p.out, "popfetch %s\n", p.version)
		return nil
	}
	h, err := p.load(c)
	if err != nil {
		return err
	}
	h.keep = c.Bool("keep")
	if c.Bool("dry-run") {
		return p.dryRun(c, h)
	}
	store, err := state.File{Path: h.config.State, Wait: lockWait}.Open()
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	defer store.Close()
	if err := h.use(store); err != nil {
		return err
	}
	if c := store.Compaction(); c != (state.Compaction{}) {
		h.log.Info("the state file was made smaller", "before", size(c.Before), "after", size(c.After), "reason", c.Err)
	}
	if err := h.allLost(); err != nil {
		return err
	}
	defer h.snapshot(store)
	if !c.Bool("once") && !p.terminal && !hasClock() && !c.Bool("json") {
		p.err = stamped{p.err}
		h.log = newLog(p.err, false, level(c.Count("verbose"), c.Bool("quiet")))
	}
	s, done := p.scheduler(c, h, store)
	defer done()
	if c.Bool("once") {
		return said(s.Once(c.Context))
	}
	return said(s.Loop(c.Context))
}

// snapshot makes the daily copy of the state file if it is due.
func (h *house) snapshot(store *state.Bolt) {
	if _, err := store.Snapshot(time.Now()); err != nil {
		h.log.Warn("no snapshot of the state file was made", "reason", err)
	}
}

// scheduler prepares the polls of the chosen accounts. done is called after them.
func (p *program) scheduler(c *cli.Context, h *house, store *state.Bolt) (s *fetch.Scheduler, done func()) {
	asJSON, quiet, once := c.Bool("json"), c.Bool("quiet"), c.Bool("once")
	var bars *bars
	done = func() {}
	if p.terminal && !asJSON && !quiet && c.Count("verbose") == 0 {
		bars = newBars(p.err)
		terminal := p.err
		p.err = bars
		done = func() {
			bars.close()
			p.err = terminal
		}
		h.log = newLog(p.err, false, level(0, false))
	}
	s = &fetch.Scheduler{
		Parallel: h.polls,
		PerHost:  h.config.ParallelPerHost,
		Done: func(r fetch.Report) {
			p.report(r, asJSON, quiet || bars != nil && !once && r.Err == nil && r.Delivered == 0)
			if !once {
				h.snapshot(store)
			}
		},
	}
	for _, a := range h.chosen {
		s.Accounts = append(s.Accounts, h.account(a, bars.of(a.Name)))
	}
	if argv := h.config.OnNewMail; len(argv) > 0 {
		s.Round = func(ctx context.Context, delivered int) { p.runHook(ctx, argv, delivered) }
	}
	return s, done
}

// dryRun says for each account what a poll would do.
func (p *program) dryRun(c *cli.Context, h *house) error {
	return p.look(c, h, func(a *fetch.Account, w io.Writer) error {
		return a.Look(c.Context, func(_ fetch.Session, listing *plan.Listing, todo plan.Plan) error {
			if c.Bool("json") {
				return writePlanJSON(w, a.Name, todo)
			}
			fmt.Fprintf(w, "%s: %d messages: %s\n", a.Name, listing.Len(), todo)
			for it := range todo.Retrieve.All() {
				fmt.Fprintf(w, "  fetch  %6d  %9s  %s\n", it.Num, size(it.Octets), shown(it.UID()))
			}
			for it := range todo.Delete.All() {
				fmt.Fprintf(w, "  delete %6d  %9s  %s\n", it.Num, size(it.Octets), shown(it.UID()))
			}
			return nil
		})
	})
}

// planLine is what a poll of one account would do, for programs.
type planLine struct {
	Account  string `json:"account"`
	Fetch    int    `json:"would_fetch"`
	Delete   int    `json:"would_delete"`
	Verify   int    `json:"would_verify"`
	Seen     int    `json:"seen"`
	TooBig   int    `json:"too_big"`
	SetAside int    `json:"set_aside"`
	Deferred int    `json:"deferred"`
}

func writePlanJSON(w io.Writer, account string, todo plan.Plan) error {
	return encode(w, planLine{
		Account: account, Fetch: todo.Retrieve.Len(), Delete: todo.Delete.Len(), Verify: todo.Verify.Len(),
		Seen: todo.Seen, TooBig: todo.TooBig.Len(), SetAside: todo.SetAside.Len(), Deferred: todo.Deferred,
	})
}
