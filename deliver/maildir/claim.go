package maildir

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// claimPrefix begins the names of the empty files that hold the claims:
// popfetch-<account>-<state file>.
const claimPrefix = "popfetch-"

// Claim says in a Maildir that a state file knows what was delivered into it for
// an account; both names are 16 hex digits. A state file that knows nothing of
// an account, beside a Maildir with a claim for it, is not the one under which
// that was filled.
type Claim struct{ Account, Store string }

// Claims returns the claims on the Maildir at path, none where there is no
// Maildir.
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

// MakeClaim makes the Maildir's own claim, once. Prepare does it before the first
// message is published; it is durable. It takes the place of the claims of other state files for the
// same account. A claim that is there already costs one look.
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
	// The new claim is durable before an old one goes: no power cut leaves none.
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
