package fetch

import (
	"context"
	"errors"
	"iter"
	"slices"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/state"
)

// forgetAtOnce is how many ids one transaction forgets: a greater one would
// make the state file grow.
const forgetAtOnce = 10_000

// Retry gives another chance to what is held up: messages that are set aside,
// and intents that cannot be finished because their destination is gone. The
// next poll fetches them. It returns how many messages that are. Once ctx has
// ended nothing is forgotten.
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
	err = a.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for id, r := range known {
			if !r.Seen() && r.Reason != plan.LargerThanMaxSize {
				again = append(again, string(id))
			}
		}
		return nil
	})
	if err != nil {
		return 0, &StateError{err}
	}
	return voided + len(again), a.forget(again)
}

// voidElsewhere finishes the open intents and forgets those whose place is gone,
// with their messages. It returns how many it has forgotten.
func (a *Account) voidElsewhere(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		_, held := a.finishOpen(ctx)
		if !errors.Is(held, deliver.ErrElsewhere) {
			return n, held
		}
		// What comes before the one that is held has been decided.
		open, err := a.Maildrop.Intents()
		if err != nil {
			return n, &StateError{err}
		}
		if err := a.forget([]string{open[0].ID}); err != nil {
			return n, err
		}
	}
}

// Forget forgets all that was delivered from the maildrop: the next poll fetches
// everything that is there. It returns how many ids that were.
func (a *Account) Forget() (int, error) {
	var ids []string
	err := a.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for id := range known {
			ids = append(ids, string(id))
		}
		return nil
	})
	if err == nil {
		err = a.Maildrop.Commit(state.Change{Begin: true})
	}
	if err != nil {
		return 0, &AccountError{a.Name, []error{&StateError{err}}}
	}
	if err := a.forget(ids); err != nil {
		return 0, &AccountError{a.Name, []error{err}}
	}
	return len(ids), nil
}

func (a *Account) forget(ids []string) error {
	for chunk := range slices.Chunk(ids, forgetAtOnce) {
		if err := a.Maildrop.Commit(state.Change{Forget: chunk}); err != nil {
			return &StateError{err}
		}
	}
	return nil
}
