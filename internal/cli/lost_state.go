package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"popfetch/deliver"
	"popfetch/deliver/mailbox"
	"popfetch/deliver/maildir"
	"popfetch/deliver/mbox"
	"popfetch/fetch"
	"popfetch/internal/config"
)

// lostError is an account that the state file does not know, although its
// Maildir, mbox or mailbox shows that popfetch has delivered into it for that
// account. It comes wrapped in a fetch.LostError.
type lostError struct {
	account *config.Account
	file    string // the state file
	renamed bool   // the Maildir was filled under this state file, for another user or server
}

func (e *lostError) Error() string {
	if e.renamed {
		return fmt.Sprintf("the state file has no record of user %q at %q, but popfetch has filled %s for an account that is no longer configured; "+
			"if both are the same maildrop, everything kept on the server would be delivered again", e.account.User, e.account.Host, e.account.Maildir)
	}
	return fmt.Sprintf("the state file %s has no record of this account, but popfetch has filled %s for it; "+
		"everything kept on the server would be delivered again", e.file, cmp.Or(e.account.Maildir, e.account.MBox, "the mailbox of "+e.account.IMAP.User+" at "+e.account.IMAP.Address()))
}

func (e *lostError) hint() string {
	if e.renamed {
		return fmt.Sprintf("if you changed user or server, run popfetch state rebuild %s to learn from the Maildir what was delivered; if this is another maildrop, run popfetch state forget %[1]s to fetch everything",
			e.account.Name)
	}
	if e.account.Maildir == "" {
		return fmt.Sprintf("if the state file was lost or moved, popfetch state restore --force brings back its snapshot; popfetch state seed %s marks what is on the server as delivered; popfetch state forget %[1]s fetches everything again",
			e.account.Name)
	}
	return fmt.Sprintf("if the state file was lost or moved, popfetch state restore --force brings back its snapshot; popfetch state rebuild %s learns from the Maildir what was delivered; popfetch state forget %[1]s fetches everything again",
		e.account.Name)
}

// checkLost returns a *fetch.LostError if the state file should know a and does not. It
// takes the same time however many accounts there are: each new one is checked.
func (h *house) checkLost(a *config.Account) error {
	key := maildropKey(a)
	if a.Maildir == "" && a.MBox == "" || h.known[key] {
		return nil
	}
	lost := h.signOfLoss(a, key)
	if lost == nil || h.recordedSince(key) {
		return nil
	}
	return lost
}

// signOfLoss is checkLost for an account that the state file did not know when the run
// began.
func (h *house) signOfLoss(a *config.Account, key string) error {
	if a.MBox != "" {
		return h.checkLostMbox(a)
	}
	claims, err := maildir.Claims(a.Maildir)
	if err != nil {
		return nil // opening the Maildir will tell what is wrong with it
	}
	for _, c := range claims {
		if c.Account == tag(key) {
			if c.Store == h.store.ID() {
				return nil
			}
			return &fetch.LostError{Err: &lostError{account: a, file: h.config.State}}
		}
	}
	for _, c := range claims {
		if c.Store == h.store.ID() && !h.configured()[c.Account] {
			return &fetch.LostError{Err: &lostError{account: a, file: h.config.State, renamed: true}}
		}
	}
	return nil
}

// configuredTags returns the tags of the maildrops of all accounts.
func configuredTags(accounts []*config.Account) map[string]bool {
	tags := make(map[string]bool, len(accounts))
	for _, a := range accounts {
		tags[tag(maildropKey(a))] = true
	}
	return tags
}

// recordedSince reports whether the state file has a maildrop now. It may have been made since
// the run began, by popfetch state forget through this process.
func (h *house) recordedSince(key string) bool {
	known, err := h.store.Keys()
	return err == nil && slices.Contains(known, key)
}

// checkLostMailbox is checkLost for an account whose mail goes into m. It connects only if the
// state file did not know the account when the run began, and once if m shows no deliveries. An
// error is that of the connection: without an answer nobody knows, and nothing could be
// delivered either.
func (h *house) checkLostMailbox(ctx context.Context, a *config.Account, m *mailbox.Mailbox) error {
	key := maildropKey(a)
	if h.known[key] {
		return nil
	}
	if _, begun := h.begun.Load(key); begun {
		return nil
	}
	filled, err := m.Filled(ctx, h.mark(a))
	switch {
	case err != nil:
		return err
	case filled && !h.recordedSince(key):
		return &fetch.LostError{Err: &lostError{account: a, file: h.config.State}}
	}
	h.begun.Store(key, true)
	return nil
}

// mark returns the first line of the Received field of a, which shows that popfetch has
// delivered a message for it.
func (h *house) mark(a *config.Account) string {
	line, _, _ := strings.Cut(h.stamp.Received(deliver.Meta{Host: a.Host, Account: a.Name}), "\r\n")
	return line
}

// checkLostMbox is checkLost for an account that the state file does not know. The Received
// field of popfetch in one of the last messages shows that it should.
func (h *house) checkLostMbox(a *config.Account) error {
	// Opening the mbox will tell what is wrong with it.
	if filled, err := mbox.Filled(a.MBox, h.mark(a)); err != nil || !filled {
		return nil
	}
	return &fetch.LostError{Err: &lostError{account: a, file: h.config.State}}
}

// checkAllLost returns an error if the state file knows no account at all and
// should know one. Then the file itself was lost, and with it the record of
// what was handed to programs, which leaves no other trace.
func (h *house) checkAllLost() error {
	if len(h.known) > 0 {
		return nil
	}
	for _, a := range h.chosen {
		if err := h.checkLost(a); err != nil {
			return &fetch.AccountError{Account: a.Name, Errs: []error{err}}
		}
	}
	return nil
}
