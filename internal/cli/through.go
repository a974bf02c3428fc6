package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/control"
	"popfetch/state"
)

// mostOwners is how many owners in turn may end before they have done what they were
// asked for.
const mostOwners = 5

// take opens the state file for the polls of a command. popfetch --once has another
// popfetch that holds it poll the accounts, and reports as if it had done that itself;
// errs are their errors. If that one ends too early, s is left with the other accounts.
// sum counts the polls. A nil store means that nothing is left to do.
func (p *program) take(c *cli.Context, con *console, s *selection, sum *tally) (store *state.Bolt, errs []error, err error) {
	file := stateFile(s.config)
	for range mostOwners {
		store, owner, err := own(c.Context, file)
		if owner == nil {
			return store, errs, err
		}
		if !c.Bool("once") || !worksForOthers(owner.Owner) {
			defer owner.Close()
			return nil, nil, ownedBy(file, owner.Owner, besideOwner(owner.Owner))
		}
		failed, err := pollThrough(c, con, s, owner, sum)
		errs = append(errs, failed...)
		owner.Close()
		switch {
		case err != nil && con.terminal && c.Context.Err() != nil:
			return nil, errs, reported(err)
		case err != nil && !errors.Is(err, control.ErrNobody):
			return nil, errs, ownerError(file, err)
		}
		if len(s.chosen) == 0 {
			return nil, errs, nil
		}
		pause(c.Context) // it is ending
	}
	return nil, errs, ownerError(file, control.ErrNobody)
}

// besideOwner says what to do beside an owner of the state file that the command cannot work
// through.
func besideOwner(owner control.Info) string {
	switch {
	case !worksForOthers(owner):
		return whoOwns(owner) + "; try again when it has ended"
	case owner.Command == commandOnce:
		return whoOwns(owner) + "; start the daemon when it has ended"
	}
	return whoOwns(owner) + "; popfetch status shows what it does, popfetch --once has it poll now"
}

// asked is the request for the chosen accounts.
func (s *selection) asked(do string) control.Request {
	r := control.Request{Do: do}
	for _, a := range s.chosen {
		r.Accounts = append(r.Accounts, control.Account{Name: a.Name, Settings: a.Digest()})
	}
	return r
}

// pollThrough has the owner poll the chosen accounts and reports each. It leaves those
// in s that the owner has not polled, because it ends.
func pollThrough(c *cli.Context, con *console, s *selection, owner *control.Client, sum *tally) (errs []error, err error) {
	r := s.asked(doPoll)
	r.Keep, r.Watch = c.Bool("keep"), con.wants()
	shown := newSpectator(con)
	con.progress.expect(len(s.chosen))
	if con.terminal && !con.quiet && !con.json {
		con.say("the running popfetch (process %d) polls", owner.Owner.PID)
	}
	err = owner.Do(c.Context, r, func(a control.Answer) {
		if a.Watched != nil {
			shown.show(a.Watched)
			return
		}
		shown.end(a.Account)
		s.chosen = slices.DeleteFunc(s.chosen, func(of *config.Account) bool { return of.Name == a.Account })
		report := reportOf(a)
		if report.Err != nil && fetch.Classify(report.Err) == fetch.OK {
			con.reportBusy(report)
			return
		}
		sum.add(report)
		con.relay(report, a.Known)
		if report.Err != nil {
			errs = append(errs, report.Err)
		}
	})
	shown.close()
	if c.Context.Err() != nil {
		con.goesOn(owner.Owner)
	}
	return errs, err
}

// goesOn tells a user who has stopped this process that the owner has not stopped.
func (con *console) goesOn(owner control.Info) {
	text := fmt.Sprintf("the running popfetch (process %d) goes on polling; popfetch status shows how it goes", owner.PID)
	switch {
	case con.quiet:
	case con.terminal && !con.json: // it has echoed ^C, so the line does not begin at its left edge
		fmt.Fprintf(con.err, "\rpopfetch: %s\n", text)
	default:
		con.say("%s", text)
	}
}

// relay tells how a poll of the owner went as one of this process. A failure that the user
// knows of is told to those alone who ask.
func (con *console) relay(r fetch.Report, known bool) {
	switch {
	case con.json:
		con.writeJSON(newReportLine(r, time.Now()))
	case con.terminal && !con.quiet:
		con.tell(slog.LevelInfo, r.Account, summary(r))
	}
	if r.Err != nil && (!known || con.verbose || con.terminal) {
		con.complain(r.Err)
	}
}

// reportBusy says that an account was not polled now because a poll of it takes long, which
// is no failure.
func (con *console) reportBusy(r fetch.Report) {
	switch {
	case con.json:
		con.writeJSON(newReportLine(r, time.Now()))
	case con.terminal && !con.quiet:
		con.complain(r.Err)
	}
}

// perform does what r asks for to the records of the chosen accounts, one after the
// other, or has the owner of the state file do it. done is called for each account for
// which that went well.
func (p *program) perform(c *cli.Context, r control.Request, done func(account string, what performed)) error {
	return p.performIf(c, func(*config.Account) error { return nil }, r, done)
}

// performIf is perform for those of the chosen accounts for which check returns nil.
func (p *program) performIf(c *cli.Context, check func(*config.Account) error, r control.Request, done func(account string, what performed)) error {
	con := p.console(c)
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	var errs []error
	refused := func(a *config.Account) bool {
		err := check(a)
		if err != nil {
			con.complain(err)
			errs = append(errs, err)
		}
		return err != nil
	}
	if s.chosen = slices.DeleteFunc(s.chosen, refused); len(s.chosen) == 0 {
		return reported(errors.Join(errs...))
	}
	file := stateFile(s.config)
	store, owner, err := own(c.Context, file)
	if err != nil {
		return err
	}
	note := func(name string, what performed, err error) {
		if err != nil {
			con.complain(err)
			errs = append(errs, err)
			return
		}
		done(name, what)
	}
	if owner != nil {
		defer owner.Close()
		if !worksForOthers(owner.Owner) {
			return ownedBy(file, owner.Owner, besideOwner(owner.Owner))
		}
		r.Accounts = s.asked(r.Do).Accounts
		err = performThrough(c.Context, r, owner, note)
		return errors.Join(ownerError(file, err), reported(errors.Join(errs...)))
	}
	defer store.Close()
	h, err := p.house(s, con, store, false)
	if err != nil {
		return err
	}
	defer p.serveAlone(con, h, store, "state "+r.Do)()
	for _, a := range h.chosen {
		what, err := perform(c.Context, h.account(a, nil), r)
		note(a.Name, what, err)
	}
	return reported(errors.Join(errs...))
}

func performThrough(ctx context.Context, r control.Request, owner *control.Client, note func(string, performed, error)) error {
	return owner.Do(ctx, r, func(a control.Answer) {
		var what performed
		err := errorOf(a)
		if err == nil {
			err = json.Unmarshal(a.Result, &what)
		}
		note(a.Account, what, err)
	})
}
