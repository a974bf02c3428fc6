package maildir

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// claimPrefix begins the name of the empty file that is a claim:
// popfetch-<account>-<state file>.
const claimPrefix = "popfetch-"

// Claim is a mark in a Maildir: the state file Store records what was delivered into it
// for the account Account. Both are 16 hex digits. When a state file does not know an
// account and the Maildir has a claim for it, the state file was lost or replaced.
type Claim struct{ Account, Store string }

// Claims returns the claims on the Maildir at path, none if there is no Maildir.
func Claims(path string) (claims []Claim, err error) {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, placeError("read", path, err)
	}
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), claimPrefix); ok {
			account, store, _ := strings.Cut(name, "-")
			claims = append(claims, Claim{account, store})
		}
	}
	return claims, nil
}

// MakeClaim makes the claim of the field Claim durable, and removes those of other state
// files for the same account. Only the first call does something; Prepare makes it. If
// the claim exists, that costs one stat.
func (m *Maildir) MakeClaim() error {
	if m.hasClaim || m.Claim == (Claim{}) {
		return nil
	}
	if err := m.claim(claimPrefix+m.Claim.Account+"-", m.Claim.Store); err != nil {
		return placeError("claim", m.Path, err)
	}
	m.hasClaim = true
	return nil
}

// claim makes the claim prefix + store the only one with the prefix.
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
	if info, err := m.root.Stat(prefix + store); err == nil && !info.Private {
		m.Log.Warn("the file system has no modes: other users may be able to read the mail", "path", m.Path)
	}
	// The new claim is durable before an old one is removed: no power cut leaves none.
	if err := m.root.Sync(); err != nil {
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
