package fetch

import (
	"time"

	"popfetch/deliver"
	"popfetch/state"
)

// recover finishes what an earlier run recorded and did not end, before anything
// else is done for the account. Where that is not possible the account is held:
// nothing may be decided about its mail.
func (p *poll) recover() error {
	open, err := p.Maildrop.Intents()
	if err != nil {
		return &StateError{err}
	}
	var change state.Change
	for _, o := range open {
		outcome, err := p.Recover(p.life, deliver.Intent(o.Intent))
		if err != nil {
			return p.because(err)
		}
		p.log.Info("recovered", "uid", Listed{ID: o.ID}.UID(), "outcome", outcome)
		change.Done = append(change.Done, o.ID)
		switch outcome {
		case deliver.Redone:
			p.report.Delivered++
		case deliver.Again:
			r := o.Record
			r.Delivered = time.Time{}
			r.Failures++
			r.Reason = "popfetch was interrupted while the message was being delivered"
			change.Put = append(change.Put, state.Entry{ID: o.ID, Record: r})
		}
	}
	if err := p.Maildrop.Commit(change); err != nil {
		return &StateError{err}
	}
	return nil
}
