package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/internal/config"
	"popfetch/state"
)

func (p *program) pollCommand() *cli.Command {
	return &cli.Command{
		Name:               pollCommand,
		Hidden:             true,
		CustomHelpTemplate: help,
		Action:             p.poll,
		Flags: flags(
			boolFlag("poll each account once and exit", "once", "1"),
			boolFlag("show what would be fetched and deleted, and do nothing", "dry-run", "n"),
			boolFlag("delete nothing on the server in this run", "keep", "k"),
			boolFlag("show the version", "version"),
			jsonFlag(),
		),
	}
}

// memoryAim is how many octets of memory a poll should do with: from there on garbage is
// collected more often. What is in use may be more, and is bounded elsewhere. An account
// takes some KiB as long as the program runs; where these alone came near the aim, garbage
// would be collected without end.
func memoryAim(accounts int) int64 { return 44<<20 + 5<<10*int64(accounts) }

func (p *program) poll(c *cli.Context) error {
	switch {
	case c.Bool("version"):
		fmt.Fprintf(p.out, "popfetch %s (%s, %s/%s)\n", p.version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return nil
	case c.Bool("dry-run"):
		return p.dryRun(c)
	}
	con := p.pollConsole(c)
	defer con.progress.close()
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryAim(len(s.config.Accounts)))
	}
	sum := new(tally)
	file, failed, err := p.take(c, con, s, sum)
	if file == nil {
		sum.conclude(con)
		return errors.Join(err, reported(errors.Join(failed...)))
	}
	defer file.Close()
	h, err := p.house(s, con, file, c.Bool("keep"))
	if err != nil {
		return err
	}
	if c := file.Compaction(); c != (state.Compaction{}) {
		h.log.Info("state file compacted", "before", size(c.Before), "after", size(c.After), "reason", c.Err)
	}
	if err := h.checkAllLost(); err != nil {
		return err
	}
	r := &pollRun{program: p, command: c, con: con, file: file, sum: sum}
	defer r.snapshot()
	defer con.acknowledge(c.Context)()
	late, free := outlast(c.Context)
	defer free()
	r.late = late
	if c.Bool("once") {
		return r.once(h, failed)
	}
	return newDaemon(r, h).run(c.Context)
}

// pollRun is one run of the poll command that owns the state file.
type pollRun struct {
	program *program
	command *cli.Context
	con     *console
	file    *state.Bolt
	sum     *tally          // of the polls so far that another process has made
	late    context.Context // of the programs that run beside the polls, see outlast
}

// snapshot makes the daily copy of the state file if it is due.
func (r *pollRun) snapshot() {
	if _, err := r.file.Snapshot(time.Now()); err != nil {
		r.con.log.Warn("the state file has no snapshot of today", "reason", err)
	}
}

// once polls each chosen account once. failed are the errors of those that another process
// has polled.
func (r *pollRun) once(h *house, failed []error) error {
	ctx, con := r.command.Context, r.con
	var current atomic.Pointer[house]
	current.Store(h)
	o := r.program.newOwner(con, &current, r.file, commandOnce)
	defer o.close()
	tells, err := newReporter(con, r.file, func() time.Time { return h.config.Modified }, false)
	if err != nil {
		return err
	}
	con.progress.expect(len(h.chosen))
	tells.mine, tells.sum = accountNames(h.chosen), r.sum
	defer tells.later()()
	var hooks queue
	defer hooks.wait()
	if argv := h.config.OnFailure; len(argv) > 0 {
		tells.failing = func(env []string) { hooks.add(func() { con.runHook(r.late, "on_failure", argv, env...) }) }
	}
	o.scheduler = h.scheduler(con, func(polled fetch.Report) { o.note(polled, tells.report(polled)) })
	o.scheduler.Brief = h.brief(con)
	if argv := h.config.OnNewMail; len(argv) > 0 {
		o.scheduler.Round = func(_ context.Context, delivered int) {
			con.runHook(r.late, "on_new_mail", argv, deliveredEnv(delivered))
		}
	}
	defer r.program.newExporter(con, o).write(h.config)
	defer o.serve()()
	err = o.scheduler.Once(ctx)
	r.sum.conclude(con)
	return reported(errors.Join(append(failed, err)...))
}

// scheduler prepares the polls of the chosen accounts, and of the others on request. done
// is called after each, one call at a time.
func (h *house) scheduler(con *console, done func(fetch.Report)) *fetch.Scheduler {
	s := &fetch.Scheduler{
		Parallel: h.polls,
		Spare:    h.spare,
		PerHost:  h.config.ParallelPerHost,
		Done:     done,
	}
	chosen := h.isChosen()
	for _, a := range h.config.Accounts {
		s.Accounts = append(s.Accounts, h.scheduled(con, a, chosen[a]))
	}
	return s
}

// scheduled assembles what the scheduler needs for the polls of a, on request only unless
// it is chosen.
func (h *house) scheduled(con *console, a *config.Account, chosen bool) *fetch.Account {
	account := h.account(a, con.progress.of(a.Name))
	account.OnRequest = !chosen
	return account
}

// brief reports whether a slow account must not keep a run for long: the run holds the
// state file, nobody watches, and the next run from cron has other accounts to poll.
func (h *house) brief(con *console) bool {
	enabled := 0
	for _, a := range h.config.Accounts {
		if a.Enabled {
			enabled++
		}
	}
	return !con.terminal && enabled > 1
}

// dryRun prints for each account what a poll would do.
func (p *program) dryRun(c *cli.Context) error {
	con := p.console(c)
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	return p.readOnly(c.Context, s, con, c.Bool("keep"), func(h *house, a *config.Account, w io.Writer) error {
		return h.account(a, nil).Look(c.Context, func(_ fetch.Session, listing *plan.Listing, todo plan.Plan) error {
			if con.json {
				return writePlanJSON(w, a.Name, todo)
			}
			fmt.Fprintf(w, "%s: %s: %s\n", a.Name, messages(listing.Len()), todo)
			for it := range todo.Retrieve.All() {
				fmt.Fprintf(w, "  fetch  %6d  %9s  %s\n", it.Num, size(it.Octets), quoteUnlessPlain(it.UID()))
			}
			for it := range todo.Delete.All() {
				fmt.Fprintf(w, "  delete %6d  %9s  %s\n", it.Num, size(it.Octets), quoteUnlessPlain(it.UID()))
			}
			return nil
		})
	})
}

// planLine is what a poll of one account would do, as JSON.
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
		Account: account, Fetch: todo.Retrieve.Len(), Delete: todo.Delete.Len(), Verify: todo.Unsure,
		Seen: todo.Seen, TooBig: todo.TooBig.Len(), SetAside: todo.SetAside.Len(), Deferred: todo.Deferred,
	})
}
