package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// Publish implements deliver.Destination. It renames each file to new/ and then syncs the
// directory new/ once. It ignores the end of ctx: it is short, and what it leaves undone
// is left to Recover.
func (m *Maildir) Publish(_ context.Context, group []deliver.Staged) []error {
	errs := make([]error, len(group))
	if err := m.failure(); err != nil {
		return all(errs, err)
	}
	for i := range group {
		s, err := m.ours(group[i])
		if err == nil {
			err = s.rename()
		}
		errs[i] = err
	}
	if anyNil(errs) {
		// The error of a sync is that of all: the kernel does not report which entry
		// was lost.
		if err := m.syncDir(m.new, filepath.Join(m.Path, "new")); err != nil {
			return all(errs, err)
		}
	}
	for i := range group {
		if errs[i] == nil {
			group[i].(*staged).end()
		}
	}
	return anyOf(errs)
}

// rename makes the message visible. It never uses link and unlink: a crash between the
// two leaves both names, and a later rename of one link to another of the same file
// does nothing.
func (s *staged) rename() error {
	if !s.durable || s.ended {
		return notStaged(s.path())
	}
	err := s.m.tmp.Rename(s.name, s.m.new, published(s.name, s.octets))
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return s.missing(err)
	}
	return s.renameError(err)
}

// missing decides what it means that rename did not find the file, and returns nil if the
// message is published. An NFS client repeats a request when the reply was lost: the
// second rename does not find the file because the first one succeeded.
func (s *staged) missing(cause error) error {
	if _, err := s.m.tmp.Stat(s.name); !errors.Is(err, fs.ErrNotExist) {
		return s.renameError(cause) // new/ was not found
	}
	cur, err := s.m.root.OpenDir("cur")
	if err == nil {
		defer cur.Close()
		var found bool
		if found, err = isIn(s.name, s.m.new, cur); found {
			return nil
		}
	}
	if err != nil {
		return s.renameError(err)
	}
	return &deliver.Error{
		Op: "rename", Path: s.path(), Scope: deliver.Message, Temporary: true,
		Hint: "does another program clean tmp/ of this Maildir?",
		Err:  fmt.Errorf("%w: %w", deliver.ErrGone, durable.Bare(cause)),
	}
}

func (s *staged) renameError(err error) error {
	return placeError("rename into new/", s.path(), err)
}

// isIn reports whether one of dirs has the message name.
func isIn(name string, dirs ...durable.Dir) (bool, error) {
	for _, dir := range dirs {
		entries, err := dir.Names()
		if err != nil {
			return false, err
		}
		for _, entry := range entries {
			if isPublished(entry, name) {
				return true, nil
			}
		}
	}
	return false, nil
}

// ours returns s if this Maildir has staged it.
func (m *Maildir) ours(s deliver.Staged) (*staged, error) {
	if own, ok := s.(*staged); ok && own.m == m {
		return own, nil
	}
	return nil, notStaged(m.Path)
}

// all sets each element that is nil to err and returns errs.
func all(errs []error, err error) []error {
	for i := range errs {
		if errs[i] == nil {
			errs[i] = err
		}
	}
	return errs
}

// anyNil reports whether errs has an element that is nil.
func anyNil(errs []error) bool {
	for _, err := range errs {
		if err == nil {
			return true
		}
	}
	return false
}

// anyOf returns errs, or nil if all elements are nil.
func anyOf(errs []error) []error {
	for _, err := range errs {
		if err != nil {
			return errs
		}
	}
	return nil
}
