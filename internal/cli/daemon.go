package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"popfetch/fetch"
	"popfetch/internal/config"
)

// daemon is a run that polls until it is stopped: what is done beside the polls, from
// the configuration that is in force now.
type daemon struct {
	*pollRun
	house     atomic.Pointer[house]
	scheduler *fetch.Scheduler
	owner     *owner
	exporter  *exporter
	reporter  *reporter
	accounts  map[*config.Account]*fetch.Account // those that are polled; only run and reload use it
	manager   manager
	hooks     queue // runs of on_failure
	copies    queue // copies of the state file
	copying   atomic.Bool
}

// newDaemon returns the daemon of a run that begins with h.
func newDaemon(r *pollRun, h *house) *daemon {
	d := &daemon{pollRun: r, manager: newManager(os.Getenv("NOTIFY_SOCKET"))}
	d.house.Store(h)
	d.owner = r.program.newOwner(r.con, &d.house, r.file, commandDaemon)
	return d
}

// run polls until ctx ends. A SIGHUP reloads the configuration, a SIGUSR1 polls all
// accounts now.
func (d *daemon) run(ctx context.Context) error {
	defer d.owner.close()
	tells, err := newReporter(d.con, d.file, func() time.Time { return d.house.Load().config.Modified }, true)
	if err != nil {
		return err
	}
	d.reporter = tells
	if err := d.reporter.forget(d.house.Load().config.Accounts); err != nil {
		d.con.log.Warn("incidents of accounts that are gone stay in the state", "reason", err)
	}
	d.reporter.failing = d.onFailure
	s := d.house.Load().scheduler(d.con, func(r fetch.Report) {
		d.owner.note(r, d.reporter.report(r))
		d.copy()
	})
	d.scheduler, d.owner.scheduler = s, s
	d.accounts = make(map[*config.Account]*fetch.Account)
	for i, a := range d.house.Load().config.Accounts {
		d.accounts[a] = s.Accounts[i]
		d.resume(s.Accounts[i])
	}
	s.Reopen = d.file.Reopen
	s.Round = d.onNewMail
	s.Beat, s.BeatEvery = func() { d.manager.beat(s.Status) }, d.manager.beatEvery()

	// The end of a terminal session ends the daemon that runs in it.
	if !d.program.terminal && !term.IsTerminal(int(os.Stdin.Fd())) {
		d.program.signals.reloadOnHangup()
	}
	d.exporter = d.program.newExporter(d.con, d.owner)
	d.exporter.configure(d.house.Load().config)
	signals := make(chan struct{})
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		defer close(signals)
		d.obey(ctx)
	}()
	defer context.AfterFunc(ctx, d.manager.stopping)()
	stop := d.owner.serve()
	d.manager.ready()
	err = s.Loop(ctx)
	stop()
	cancel(errors.New("the run is over"))
	<-signals
	d.exporter.close()
	d.hooks.wait()
	d.copies.wait()
	return reported(err)
}

// obey does what signals ask for until ctx ends, and keeps the metrics up to date.
func (d *daemon) obey(ctx context.Context) {
	poll := make(chan struct{}, 1)
	export := time.NewTicker(exportEvery)
	defer export.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-export.C:
			d.exporter.update()
			d.owner.save() // of the last polls before a long interval
		case <-d.program.signals.hangups:
			d.reload()
		case <-d.program.signals.wakeups:
			select {
			case poll <- struct{}{}:
			default:
				continue // one is under way
			}
			d.con.log.Info("polling all accounts now")
			go func() {
				defer func() { <-poll }()
				_ = d.scheduler.Poll(ctx, nil, func(fetch.Report) {}) // Done has reported it
			}()
		}
	}
}

// reload puts the configuration in force that its files hold now. One that is not valid
// changes nothing. It is called by one goroutine.
func (d *daemon) reload() {
	d.manager.reloading()
	defer d.manager.ready()
	old := d.house.Load()
	fresh, err := d.load(old)
	if err != nil {
		d.con.tell(slog.LevelError, "", "the configuration is not reloaded; the old one stays in force")
		d.con.complain(err)
		return
	}
	accounts, list, counts := d.assemble(old, fresh)
	d.accounts = accounts
	d.house.Store(fresh)
	fresh.shareDescriptors()
	d.scheduler.SetLimits(fresh.polls, fresh.config.ParallelPerHost, fresh.spare)
	d.scheduler.SetAccounts(list)
	d.exporter.configure(fresh.config)
	if !d.con.quiet {
		d.con.tell(levelNotice, "", "configuration reloaded: "+counts)
	}
}

// load returns the house of the configuration that the files hold now.
func (d *daemon) load(old *house) (*house, error) {
	cfg, err := loadConfig(d.command, d.con)
	if err != nil {
		return nil, err
	}
	if cfg.State != old.config.State {
		return nil, &fetch.ConfigError{Err: &config.Error{File: cfg.File, Key: "state",
			Msg: "the state file of a running popfetch cannot change", Hint: "restart it"}}
	}
	s, err := d.program.choose(cfg, d.command.Args().Slice())
	if err != nil {
		return nil, err
	}
	fresh, err := d.program.house(s, d.con, d.file, old.keep)
	if err != nil {
		return nil, err
	}
	fresh.syncs, fresh.room, fresh.maxOpen = old.syncs, old.room, old.maxOpen // all accounts share them
	return fresh, nil
}

// assemble makes the accounts that are new or changed and takes over the others.
func (d *daemon) assemble(old, fresh *house) (accounts map[*config.Account]*fetch.Account, list []*fetch.Account, counts string) {
	known := make(map[string]*config.Account, len(old.config.Accounts))
	for _, a := range old.config.Accounts {
		known[a.Name] = a
	}
	accounts = make(map[*config.Account]*fetch.Account, len(fresh.config.Accounts))
	wasChosen, isChosen := old.isChosen(), fresh.isChosen()
	added, changed := 0, 0
	for _, a := range fresh.config.Accounts {
		before := known[a.Name]
		account := d.accounts[before]
		same := account != nil && reflect.DeepEqual(before, a) && wasChosen[before] == isChosen[a]
		if !same {
			account = fresh.scheduled(d.con, a, isChosen[a])
		}
		switch {
		case !isChosen[a]:
		case before == nil || !wasChosen[before]:
			added++
		case !same:
			changed++
		}
		accounts[a], list = account, append(list, account)
	}
	removed := len(old.chosen) + added - len(fresh.chosen)
	return accounts, list, fmt.Sprintf("%s, %d new, %d changed, %d removed", accountsInWords(len(fresh.chosen)), added, changed, removed)
}

// resume makes an account that backed off when the last daemon ended go on with that,
// unless its configuration was changed since.
func (d *daemon) resume(a *fetch.Account) {
	i, ok := d.reporter.incidents[a.Key]
	if !ok || !d.house.Load().config.Modified.Equal(i.Changed) {
		return
	}
	if a.Failures, a.Next = i.Failures, i.Next; a.Next.After(time.Now()) {
		d.con.log.Info("the back-off of the last daemon goes on", "account", a.Name, "failures", a.Failures, "until", a.Next.Local().Format(time.DateTime))
	}
}

// copy has the daily copy of the state file made beside the polls.
func (d *daemon) copy() {
	if d.copying.CompareAndSwap(false, true) {
		d.copies.add(func() {
			defer d.copying.Store(false)
			d.snapshot()
		})
	}
}

// onNewMail runs on_new_mail as it is configured now.
func (d *daemon) onNewMail(_ context.Context, delivered int) {
	if argv := d.house.Load().config.OnNewMail; len(argv) > 0 {
		d.con.runHook(d.late, "on_new_mail", argv, deliveredEnv(delivered))
	}
}

// onFailure has on_failure run as it is configured now.
func (d *daemon) onFailure(env []string) {
	if argv := d.house.Load().config.OnFailure; len(argv) > 0 {
		d.hooks.add(func() { d.con.runHook(d.late, "on_failure", argv, env...) })
	}
}

// deliveredEnv is what on_new_mail finds in its environment.
func deliveredEnv(n int) string { return "POPFETCH_DELIVERED=" + strconv.Itoa(n) }

// accountsInWords is a number of accounts in words.
func accountsInWords(n int) string {
	if n == 1 {
		return "1 account"
	}
	return strconv.Itoa(n) + " accounts"
}
