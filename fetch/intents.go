package fetch

import (
	"context"
	"time"

	"popfetch/deliver"
	"popfetch/state"
)

// finishOpen decides about the open intents and records the decisions. It returns
// how many messages it has delivered, even with an error.
func (a *Account) finishOpen(ctx context.Context) (delivered int, err error) {
	m := memory{a.Maildrop}
	open, err := m.Intents()
	if err != nil {
		return 0, err
	}
	change, delivered, held := a.decide(ctx, open)
	if err := m.Commit(change); err != nil {
		return delivered, err
	}
	return delivered, held
}

// decide asks for the outcome of open intents, up to the first that has none. The
// change records the decisions; held is why the next intent has no outcome.
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
		case deliver.Behind:
			r := o.Record
			r.Delivered = time.Time{}
			change.Put = append(change.Put, state.Entry{ID: o.ID, Record: r})
		case deliver.Again:
			r := o.Record
			r.Delivered, r.Tried = time.Time{}, a.now()
			r.Failures++
			r.Reason = "popfetch was interrupted while the message was being delivered"
			change.Put = append(change.Put, state.Entry{ID: o.ID, Record: r})
		}
	}
	return change, delivered, nil
}
