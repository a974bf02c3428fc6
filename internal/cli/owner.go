package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/control"
	"popfetch/internal/status"
	"popfetch/state"
)

// What one popfetch asks another for.
const (
	doPoll   = "poll"
	doStatus = "status"
	doCopy   = "copy" // of the state file
	doRetry  = "retry"
	doForget = "forget"
	doSeed   = "seed"
	doTrust  = "trust" // forget the key that the server is known by
)

// What an owner is, see control.Info. Any other is the name of a command that works alone,
// such as "state seed": it lets others read, and does nothing for them.
const (
	commandDaemon = "daemon"
	commandOnce   = "once"
	// commandUnserved: it holds the state file and does not serve the socket. No owner says so.
	commandUnserved = "unserved"
)

// worksForOthers reports whether an owner polls and changes records for others.
func worksForOthers(owner control.Info) bool {
	return owner.Command == commandDaemon || owner.Command == commandOnce
}

// owner does what other popfetch processes ask for while this one holds the state file.
type owner struct {
	house     *atomic.Pointer[house] // a reload replaces it
	scheduler *fetch.Scheduler       // nil of a command that works alone
	file      *state.Bolt
	book      *status.Book
	info      control.Info
	signals   *signals
	con       *console

	mu    sync.Mutex
	known map[string]bool // accounts whose failure the user was told of before the last poll
}

// newOwner returns the owner of an open state file. Its scheduler is set before serve.
func (p *program) newOwner(con *console, house *atomic.Pointer[house], file *state.Bolt, command string) *owner {
	return &owner{
		con: con, house: house, file: file, signals: &p.signals, book: status.Open(house.Load().config.State), known: make(map[string]bool),
		info: control.Info{Version: p.version, PID: os.Getpid(), Command: command, Since: time.Now().UTC().Truncate(time.Second)},
	}
}

// note remembers how a poll went. known says that the user knows of its failure.
func (o *owner) note(r fetch.Report, known bool) {
	o.mu.Lock()
	o.known[r.Account] = known
	o.mu.Unlock()
	h := o.house.Load()
	a := h.named(r.Account)
	if a == nil || r.Key != maildropKey(a) || !r.TooSoon.IsZero() {
		return // a reload has removed it or given it another maildrop, or the server was not asked
	}
	if fetch.Classify(r.Err) == fetch.Canceled {
		o.book.Count(r.Account, r.Key, totalsOf(r))
		return // the user has stopped it
	}
	o.book.Note(pollOf(r, time.Now()))
	o.save()
}

// save writes what is remembered of the last polls, but not every moment.
func (o *owner) save() { o.logUnsaved(o.house.Load(), o.book.Save(time.Now())) }

// close writes what is remembered of the last polls.
func (o *owner) close() { o.logUnsaved(o.house.Load(), o.book.Write()) }

// logUnsaved logs that the last polls cannot be kept for popfetch status; nil is ignored.
func (o *owner) logUnsaved(h *house, err error) {
	if err != nil {
		h.log.Debug("how the last polls went is not kept", "reason", err)
	}
}

func (o *owner) isKnown(account string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known[account]
}

// serveAlone serves the socket while a command that works alone holds the state file, so
// that others can read meanwhile and learn who keeps them waiting.
func (p *program) serveAlone(con *console, h *house, file *state.Bolt, command string) (stop func()) {
	var current atomic.Pointer[house]
	current.Store(h)
	return p.newOwner(con, &current, file, command).serve()
}

// serve serves the socket beside the state file until stop is called. Without the socket
// popfetch works all the same, alone.
func (o *owner) serve() (stop func()) {
	path := o.house.Load().config.State
	l, err := control.Listen(path)
	if err != nil {
		level := slog.LevelWarn
		if !worksForOthers(o.info) { // it soon ends
			level = slog.LevelDebug
		}
		o.con.log.Log(context.Background(), level, "other popfetch commands cannot work beside this one: the socket beside the state file cannot be made", "reason", err)
		return func() {}
	}
	server := control.Start(l, o.info, o)
	server.Keep(l, path)
	return func() { _ = server.Close() }
}

// Do implements control.Owner.
func (o *owner) Do(ctx context.Context, r control.Request, answer func(control.Answer)) error {
	switch r.Do {
	case doPoll, doRetry, doForget, doSeed, doTrust:
		if !worksForOthers(o.info) { // the client knows that, unless it is of an older version
			return &control.Refusal{Reason: control.Reason{Text: "the state file is in use: " + whoOwns(o.info), Hint: "try again when it has ended"}}
		}
	}
	switch r.Do {
	case doPoll:
		return o.poll(ctx, r, answer)
	case doStatus:
		return o.status(r, answer)
	case doCopy:
		return o.copy(ctx, answer)
	case doRetry, doForget, doSeed, doTrust:
		return o.perform(ctx, r, answer)
	}
	return &control.Refusal{Reason: control.Reason{
		Text: fmt.Sprintf("the running popfetch (version %s, process %d) does not know %q; restart it", o.info.Version, o.info.PID, r.Do),
	}}
}

// current returns the names of the accounts that the owner has as the client has them, and
// answers for the others.
func (o *owner) current(h *house, r control.Request, answer func(control.Answer)) (names []string) {
	accounts := make(map[string]*config.Account, len(h.config.Accounts))
	for _, a := range h.config.Accounts {
		accounts[a.Name] = a
	}
	for _, asked := range r.Accounts {
		what := "does not have this account"
		if a := accounts[asked.Name]; a != nil {
			if a.Digest() == asked.Settings {
				names = append(names, asked.Name)
				continue
			}
			what = "has different settings for this account"
		}
		answer(control.Answer{Account: asked.Name, Reasons: []control.Reason{o.outdated(what)}})
	}
	return names
}

// outdated is why an account is not worked on whose configuration has changed.
func (o *owner) outdated(what string) control.Reason {
	r := control.Reason{
		Text: fmt.Sprintf("the running popfetch (process %d) %s", o.info.PID, what),
		Hint: fmt.Sprintf("it read its configuration earlier, or reads another file; kill -HUP %d reloads it", o.info.PID),
	}
	switch {
	case o.info.Command == commandOnce:
		r.Hint = "try again when it has ended"
	case !o.signals.reload.Load():
		r.Hint = "it read its configuration earlier, or reads another file; end it in its terminal and start it again"
	}
	return r
}

func (o *owner) poll(ctx context.Context, r control.Request, answer func(control.Answer)) error {
	names := o.current(o.house.Load(), r, answer)
	if len(names) == 0 {
		return nil
	}
	poll := o.scheduler.Poll
	if r.Keep {
		poll = o.scheduler.PollKeeping
	}
	answer, done := o.con.show(r.Watch, names, answer)
	defer done()
	return poll(ctx, names, func(report fetch.Report) {
		// The client itself polls what the end of this process leaves undone.
		if !errors.Is(report.Err, fetch.ErrStopped) && fetch.Classify(report.Err) != fetch.Canceled {
			a := answerOf(report)
			a.Known = o.isKnown(report.Account)
			answer(a)
		}
	})
}

func (o *owner) status(r control.Request, answer func(control.Answer)) error {
	h := o.house.Load()
	var schedule []fetch.AccountStatus
	if o.scheduler != nil {
		schedule = o.scheduler.Status()
	}
	lines := statusLines(h.config, o.book, schedule)
	for _, asked := range r.Accounts {
		i := slices.IndexFunc(h.config.Accounts, func(a *config.Account) bool { return a.Name == asked.Name })
		if i < 0 {
			continue
		}
		text, err := json.Marshal(ownerLine{lines[i], maildropKey(h.config.Accounts[i])})
		if err != nil {
			return err
		}
		answer(control.Answer{Account: asked.Name, Result: text})
	}
	return nil
}

// copy makes a copy of the state file for a client, which opens it while it is there.
func (o *owner) copy(ctx context.Context, answer func(control.Answer)) error {
	path, err := o.file.Copy()
	if err != nil {
		return &control.Refusal{Reason: reasonOf(stateError(err))}
	}
	defer os.Remove(path)
	name, err := json.Marshal(filepath.Base(path))
	if err != nil {
		return err
	}
	answer(control.Answer{Result: name})
	select {
	case <-ctx.Done():
	case <-time.After(control.Patience):
	}
	return nil
}

// perform changes the records of accounts while they are not polled.
func (o *owner) perform(ctx context.Context, r control.Request, answer func(control.Answer)) error {
	for _, name := range o.current(o.house.Load(), r, answer) {
		var done performed
		err := o.scheduler.Alone(ctx, name, func(ctx context.Context, a *fetch.Account) (err error) {
			done, err = perform(ctx, a, r)
			return err
		})
		a := control.Answer{Account: name, Reasons: reasonsOf(err)}
		if err == nil {
			a.Result, _ = json.Marshal(done)
		}
		for i := range a.Reasons {
			if a.Reasons[i].Class == fetch.OK.String() {
				a.Reasons[i].Class = fetch.Temporary.String() // the command was not done
			}
		}
		answer(a)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// performed is what a command has done to the records of an account.
type performed struct {
	Messages int    `json:"messages"`
	Newer    int    `json:"newer"` // see fetch.Seeded
	Undated  int    `json:"undated"`
	Key      string `json:"key,omitempty"` // that was forgotten
}

// perform does what r asks for to the records of an account.
func perform(ctx context.Context, a *fetch.Account, r control.Request) (performed, error) {
	switch r.Do {
	case doRetry:
		n, err := a.Retry(ctx)
		return performed{Messages: n}, err
	case doForget:
		n, err := a.Forget()
		return performed{Messages: n}, err
	case doTrust:
		key, err := a.ForgetTrust()
		return performed{Key: key}, err
	case doSeed:
		found, err := a.Seed(ctx, r.Before)
		return performed{Messages: found.Marked, Newer: found.Newer, Undated: found.Undated}, err
	}
	return performed{}, fmt.Errorf("nothing is known of %q", r.Do)
}
