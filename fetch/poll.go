package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// poll is one look at one account. What belongs to one session is in its visit.
type poll struct {
	*Account
	memory      memory
	ledger      *settle.Ledger
	log         *slog.Logger
	notices     notices
	share       claim // of the room for long listings
	life        *lifetime
	dest        deliver.Destination
	facts       state.Facts // about the server, as this poll knows them
	noted       state.Facts // as they are recorded
	when        plan.When   // NoHeaders aside, see visit
	records     bool        // a poll that may record, unlike Look and Relearn
	alwaysSizes bool        // list the sizes even if the plan does not need them
	without     without     // what is not asked for in this poll
	asked       bool        // the server was asked to delete messages
	visit       *visit      // the latest one, nil before the first login
	failures    []error     // of the account as a whole
	report      Report
}

func (a *Account) begin(ctx context.Context, leave <-chan struct{}) *poll {
	p := &poll{Account: a, memory: memory{a.Maildrop}, log: a.Log, life: newLifetime(ctx, leave, cmp.Or(a.Deadline, defaultDeadline), a.MinRate)}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.notices.log = p.log
	p.share.room = a.Room
	p.ledger = settle.NewLedger(p.memory, p.log, p.now)
	return p
}

// guard runs a step of the poll. A panic is a defect that ends this poll only.
func (p *poll) guard(step func()) { p.fail(settle.Guard(step)) }

// run takes the steps of the poll. Failures are in p.failures and in the visit.
func (p *poll) run() {
	if until := p.tooSoon(); !until.IsZero() {
		p.report.TooSoon, p.report.LoginDelay = until, until.Sub(p.now())
		p.fail(p.finishIntents())
		return
	}
	if err := p.prepare(); err != nil {
		p.fail(err)
		if Classify(err) != State {
			p.fail(p.recordFacts())
		}
		return
	}
	p.age()
	p.visit.note()
	if p.when.Daily && p.visit.lostLines == 0 {
		p.facts.Looked = p.when.Now
	}
	p.visit.trim()

	p.life.hold()
	p.visit.retrieve()
	if !p.visit.usable() {
		p.fallBack()
	}
	if p.visit.usable() && !p.ledger.Unsure() {
		p.life.finishing()
		p.showStage(Finishing)
		p.fail(p.finish())
	}
	if !p.ledger.Unsure() {
		if facts := p.learned(); facts != nil {
			p.ledger.Learn(*facts)
		}
		p.fail(p.ledger.Commit())
	}
}

// prepare does what comes before the first message.
func (p *poll) prepare() error {
	if err := p.finishIntents(); err != nil {
		return err
	}
	dest, err := p.Destination(p.life)
	if err != nil {
		return err
	}
	p.dest = dest
	if limited, ok := dest.(deliver.Limited); ok {
		if room, known := limited.Room(); known {
			p.when.Room = max(room, 1)
		}
	}
	if err := p.enter(); err != nil {
		return err
	}
	return p.visit.apply()
}

// finishIntents finishes the deliveries that an earlier run left open. If that is not
// possible the account is held: nothing may be decided about its mail.
func (p *poll) finishIntents() error {
	delivered, err := p.finishOpen(p.life)
	p.ledger.Count(delivered)
	return p.because(err)
}

// age records which ids the listing lacks. An incomplete listing says nothing about
// that: an id may be in a line that could not be read.
func (p *poll) age() {
	if p.visit.lostLines > 0 {
		return
	}
	p.ledger.Put(p.visit.plan.Aged...)
	p.ledger.Forget(p.visit.plan.Forget...)
}

// recordFacts records what was learned about the server, by itself.
func (p *poll) recordFacts() error {
	facts := p.learned()
	if facts == nil || p.ledger.Unsure() {
		return nil
	}
	return p.ledger.CommitOnly(state.Change{Facts: facts})
}

// end closes everything. A session that is still open ends without UPDATE.
func (p *poll) end() {
	defer p.life.end()
	defer p.share.release()
	p.notices.end()
	if p.visit != nil {
		p.fail(p.visit.settler.Wait()) // after a panic
		p.visit.close()
	}
	if p.dest != nil {
		p.dest.Close()
	}
}

// fail notes why the poll does not end well; nil is ignored.
func (p *poll) fail(err error) {
	if err != nil {
		p.failures = append(p.failures, err)
	}
}

// outcome returns the error of the poll, nil if all went well.
func (p *poll) outcome() error {
	errs := slices.DeleteFunc(p.failures, func(err error) bool {
		// A poll that made progress and then made room for other accounts has not failed.
		inOrder := err == errTurn && p.ledger.Delivered() > 0
		if inOrder {
			p.log.Info(err.Error())
		}
		return inOrder
	})
	if p.visit != nil {
		for _, problem := range p.visit.settler.Problems {
			errs = append(errs, &MessageError{problem.Num, problem.UID(), problem.Err})
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &AccountError{p.Name, errs}
}

// because returns why the poll had to end, if err only says that it had to, and
// otherwise err.
func (p *poll) because(err error) error {
	cause := context.Cause(p.life)
	switch {
	case err == nil || cause == nil:
		return err
	case errors.Is(err, context.Canceled):
		return cause
	case errors.Is(err, cause):
		return err
	}
	return fmt.Errorf("%w (%v)", cause, err)
}
