package maildir

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// claimPrefix begins the names of the empty files in a Maildir that say which
// state file knows what was delivered into it, for each account:
// popfetch-<account>-<state file>.
const claimPrefix = "popfetch-"

// Claims returns the state files that have a claim on the Maildir at path for
// account, see Claim. There is none where there is no Maildir.
func Claims(path, account string) (stores []string, err error) {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, placeError("read", path, err)
	}
	for _, e := range entries {
		if store, ok := strings.CutPrefix(e.Name(), claimPrefix+account+"-"); ok {
			stores = append(stores, store)
		}
	}
	return stores, nil
}

// Claim notes in the open Maildir that the state file store knows what was
// delivered into it for account; both are 16 hex digits. It takes the place of
// the claims of other state files, and is durable. A claim that is there already
// costs one look.
func (m *Maildir) Claim(account, store string) error {
	if err := m.claim(claimPrefix+account+"-", store); err != nil {
		return placeError("claim", m.Path, err)
	}
	return nil
}

func (m *Maildir) claim(prefix, store string) error {
	_, err := m.root.Stat(prefix + store)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, err := m.root.Names()
	if err != nil {
		return err
	}
	file, err := m.root.Create(prefix + store)
	if err == nil {
		err = file.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if err := m.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return m.root.Sync()
}
