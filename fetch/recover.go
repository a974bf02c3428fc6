package fetch

import (
	"context"
	"time"

	"popfetch/deliver"
	"popfetch/state"
)

// recover finishes what an earlier run recorded and did not end, before anything
// else is done for the account. Where that is not possible the account is held:
// nothing may be decided about its mail.
func (p *poll) recover() error {
	delivered, err := p.finishOpen(p.life)
	p.delivered += delivered
	if err != nil {
		return p.because(err)
	}
	return nil
}

// finishOpen decides about the open intents and records that. It returns how many
// messages it has delivered, also with an error.
func (a *Account) finishOpen(ctx context.Context) (delivered int, err error) {
	open, err := a.Maildrop.Intents()
	if err != nil {
		return 0, &StateError{err}
	}
	change, delivered, held := a.decide(ctx, open)
	if err := a.Maildrop.Commit(change); err != nil {
		return delivered, &StateError{err}
	}
	return delivered, held
}

// decide asks for the outcome of open intents, up to the first that has none. The
// change records what was decided; held is why the next one could not be.
func (a *Account) decide(ctx context.Context, open []state.OpenIntent) (change state.Change, delivered int, held error) {
	for _, o := range open {
		outcome, err := a.Recover(ctx, deliver.Intent(o.Intent))
		if err != nil {
			return change, delivered, err
		}
		change.Done = append(change.Done, o.ID)
		switch outcome {
		case deliver.Redone:
			delivered++
		case deliver.Again:
			r := o.Record
			r.Delivered = time.Time{}
			r.Failures++
			r.Reason = "popfetch was interrupted while the message was being delivered"
			change.Put = append(change.Put, state.Entry{ID: o.ID, Record: r})
		}
	}
	return change, delivered, nil
}
