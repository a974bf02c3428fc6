package maildir

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"popfetch/deliver"
)

// stale is the age from which on a file in tmp/ counts as abandoned, whoever wrote it: the
// 36 hours of https://cr.yp.to/proto/maildir.html.
const stale = 36 * time.Hour

// Sweep removes the leftovers of crashed deliveries from tmp/: files of the same Owner that
// no open intent names and that are not being delivered, and files of others after 36
// hours. open are the open intents of this account; intents of other kinds and places
// do not matter. Names that begin with a dot, directories and symbolic links stay. A
// file that somebody else removes meanwhile is not an error.
func (m *Maildir) Sweep(open []deliver.Intent) error {
	keep := make(map[string]bool, len(open))
	for _, in := range open {
		if in.Kind != Kind {
			continue
		}
		n, err := parse(in)
		if err != nil { // it may name any file
			return &deliver.Error{Op: "sweep", Path: m.Path, Scope: deliver.Place, Err: err}
		}
		keep[n.Name] = true
	}
	m.mu.Lock()
	for name := range m.live {
		keep[name] = true
	}
	m.mu.Unlock()
	names, err := m.tmp.Names()
	if err != nil {
		return placeError("sweep", filepath.Join(m.Path, "tmp"), err)
	}
	var removed int
	var errs []error
	for _, name := range names {
		if keep[name] || strings.HasPrefix(name, ".") {
			continue
		}
		gone, err := m.sweepOne(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, placeError("sweep", filepath.Join(m.Path, "tmp", name), err))
		}
		if gone {
			removed++
		}
	}
	if removed > 0 {
		m.Log.Info("removed leftovers of earlier deliveries", "path", m.Path, "files", removed)
	}
	return errors.Join(errs...)
}

// sweepOne removes the entry name of tmp/ if it is a leftover.
func (m *Maildir) sweepOne(name string) (removed bool, err error) {
	info, err := m.tmp.Stat(name)
	if err != nil || !info.Regular {
		return false, err
	}
	if !isOwned(name, m.Owner) && time.Since(info.ModTime) <= stale {
		return false, nil
	}
	if err := m.tmp.Remove(name); err != nil {
		return false, err
	}
	return true, nil
}
