package fetch

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// changedAtOnce is how many records one transaction changes at most where many are known
// at once. A larger transaction would take more memory, some 3 MiB, and make the state file
// grow.
const changedAtOnce = 10_000

// Retry gives another chance to messages that are set aside, and to intents that
// cannot be finished because their destination is gone: the next poll fetches them. It also
// asks the server again to delete what it has not deleted.
// It returns how many messages these are. Once ctx has ended nothing is forgotten.
func (a *Account) Retry(ctx context.Context) (int, error) {
	n, err := a.retry(ctx)
	if err != nil {
		return 0, &AccountError{a.Name, []error{err}}
	}
	return n, nil
}

func (a *Account) retry(ctx context.Context) (int, error) {
	voided, err := a.voidElsewhere(ctx)
	if err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	var again []string
	var undeleted []state.Entry
	err = memory{a.Maildrop}.Scan(func(known iter.Seq2[[]byte, state.Record]) {
		for id, r := range known {
			if !r.Seen() && r.Reason != plan.LargerThanMaxSize {
				again = append(again, string(id))
			}
			if plan.AskedFor(r) {
				r.Failures, r.Reason, r.Tried = 0, "", time.Time{}
				undeleted = append(undeleted, state.Entry{ID: string(id), Record: r})
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if err := a.deleteAgain(undeleted); err != nil {
		return 0, err
	}
	return voided + len(again) + len(undeleted), a.forget(again)
}

// deleteAgain stores the records of messages that the server has not deleted, and forgets
// that it deletes nothing.
func (a *Account) deleteAgain(undeleted []state.Entry) error {
	m := memory{a.Maildrop}
	for chunk := range slices.Chunk(undeleted, changedAtOnce) {
		if err := m.Commit(state.Change{Put: chunk}); err != nil {
			return err
		}
	}
	facts, err := m.Facts()
	if err != nil || facts.Undeleted == 0 {
		return err
	}
	facts.Undeleted, facts.UndeletedAt, facts.UndeletedWhy = 0, time.Time{}, ""
	return m.Commit(state.Change{Facts: &facts})
}

// voidElsewhere finishes the open intents and forgets those whose place is gone,
// with their messages. It returns how many it has forgotten.
func (a *Account) voidElsewhere(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		_, held := a.finishOpen(ctx)
		if !errors.Is(held, deliver.ErrElsewhere) {
			return n, held
		}
		// The intents before the one that is held have been closed.
		open, err := memory{a.Maildrop}.Intents()
		if err != nil {
			return n, err
		}
		if err := a.forget([]string{open[0].ID}); err != nil {
			return n, err
		}
	}
}

// Forget forgets everything that was delivered from the maildrop: the next poll
// fetches all messages that are there. It returns how many ids it has forgotten.
func (a *Account) Forget() (int, error) {
	var ids []string
	m := memory{a.Maildrop}
	err := m.Scan(func(known iter.Seq2[[]byte, state.Record]) {
		for id := range known {
			ids = append(ids, string(id))
		}
	})
	if err == nil {
		err = m.Commit(state.Change{Begin: true})
	}
	if err == nil {
		err = a.forget(ids)
	}
	if err != nil {
		return 0, &AccountError{a.Name, []error{err}}
	}
	return len(ids), nil
}

// ForgetTrust forgets the server that was trusted on first use, so that the next poll
// trusts the one that it finds. It returns the fingerprint, "" for none.
func (a *Account) ForgetTrust() (fingerprint string, err error) {
	m := memory{a.Maildrop}
	facts, err := m.Facts()
	if fingerprint = facts.Trusted; err == nil && fingerprint != "" {
		facts.Trusted = ""
		err = m.Commit(state.Change{Facts: &facts})
	}
	if err != nil {
		return "", &AccountError{a.Name, []error{err}}
	}
	return fingerprint, nil
}

func (a *Account) forget(ids []string) error {
	for chunk := range slices.Chunk(ids, changedAtOnce) {
		if err := (memory{a.Maildrop}).Commit(state.Change{Forget: chunk}); err != nil {
			return err
		}
	}
	return nil
}
