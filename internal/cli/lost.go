package cli

import (
	"fmt"
	"slices"

	"popfetch/deliver/maildir"
	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/state"
)

// lostError is an account of which the state file knows nothing, although a
// Maildir shows that popfetch has filled it for that account.
type lostError struct {
	account *config.Account
	file    string // the state file
	renamed bool   // under the same state file, for another user or server
}

func (e *lostError) Error() string {
	if e.renamed {
		return fmt.Sprintf("the state file knows nothing of user %q at %q, but popfetch has filled %s for an account that is not configured any more; "+
			"if that was the same maildrop, everything that is kept there would be delivered again", e.account.User, e.account.Host, e.account.Maildir)
	}
	return fmt.Sprintf("the state file %s knows nothing of this account, but popfetch has filled %s for it: "+
		"everything that is kept on the server would be delivered again", e.file, e.account.Maildir)
}

func (e *lostError) hint() string {
	if e.renamed {
		return fmt.Sprintf("was user or server renamed? popfetch state rebuild %s learns from the Maildir what was delivered; if it is another maildrop, popfetch state forget %s begins anew",
			e.account.Name, e.account.Name)
	}
	return fmt.Sprintf("was the state file lost or moved? popfetch state restore --force brings back its snapshot, popfetch state rebuild %s learns from the Maildir what was delivered, popfetch state forget %s has everything fetched again",
		e.account.Name, e.account.Name)
}

// lost says whether the state file should know an account and does not.
func (h *house) lost(a *config.Account) error {
	key := state.Key(a.User, a.Host)
	if a.Maildir == "" || slices.Contains(h.known, key) {
		return nil
	}
	claims, err := maildir.Claims(a.Maildir)
	if err != nil {
		return nil // who opens the Maildir says what is wrong with it
	}
	for _, c := range claims {
		if c.Account == tag(key) {
			if c.Store == h.store.ID() {
				return nil
			}
			return &lostError{account: a, file: h.config.State}
		}
	}
	configured := make(map[string]bool)
	for _, other := range h.config.Accounts {
		configured[tag(state.Key(other.User, other.Host))] = true
	}
	for _, c := range claims {
		if c.Store == h.store.ID() && !configured[c.Account] {
			return &lostError{account: a, file: h.config.State, renamed: true}
		}
	}
	return nil
}

// allLost returns an error where the state file knows no account at all and
// should know one: then it is the file that was lost, and with it what was handed
// to programs, of which there is no trace.
func (h *house) allLost() error {
	if len(h.known) > 0 {
		return nil
	}
	for _, a := range h.chosen {
		if err := h.lost(a); err != nil {
			return &fetch.AccountError{Account: a.Name, Errs: []error{&fetch.StateError{Err: err}}}
		}
	}
	return nil
}

// use makes store the one of the house.
func (h *house) use(store state.Store) error {
	known, err := store.Keys()
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	h.store, h.known = store, known
	return nil
}
