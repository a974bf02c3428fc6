package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// Prepare implements deliver.Destination: every file is synced, then the directory
// tmp/ once, so that after a power cut the intent finds its file.
func (m *Maildir) Prepare(ctx context.Context, group []deliver.Staged) []error {
	errs := make([]error, len(group))
	if err := errors.Join(m.usable(ctx), m.MakeClaim()); err != nil {
		return all(errs, err)
	}
	if err := m.syncAll(group, errs); err != nil {
		return all(errs, err)
	}
	if err := m.syncTmp(errs); err != nil {
		return all(errs, err)
	}
	for i := range group {
		if errs[i] == nil {
			group[i].(*staged).synced = true
		}
	}
	return anyOf(errs)
}

// fewestTogether is how many files are worth a sync of all that the file system has
// to write: it is quicker then than one for each, see bench/disk.md.
const fewestTogether = 16

// syncAll makes the files of the members durable, all at once where that can be relied
// on. An error is that of all.
func (m *Maildir) syncAll(group []deliver.Staged, errs []error) error {
	if len(group) < m.together {
		m.syncFiles(group, errs)
		return nil
	}
	done, err := m.root.SyncFS()
	switch {
	case err != nil:
		return m.fail(placeError("sync the file system of", m.Path, err))
	case !done:
		m.syncFiles(group, errs)
		return nil
	}
	for i := range group {
		s, err := m.ours(group[i])
		if err == nil {
			err = s.finish(nil)
		}
		errs[i] = err
	}
	return nil
}

// syncFiles syncs the file of every member, several at once. It does one after the other
// itself and has the help of as many goroutines as Syncs has to give: to wait for
// them would be to wait for the disk of another Maildir, which may hang.
func (m *Maildir) syncFiles(group []deliver.Staged, errs []error) {
	left := make(chan int, len(group)) // members that are still to do
	for i := range group {
		if _, errs[i] = m.ours(group[i]); errs[i] == nil {
			left <- i
		}
	}
	close(left)
	do := func(i int) { errs[i] = group[i].(*staged).sync() }
	var help sync.WaitGroup
	for i := range left {
		for range len(left) {
			if !m.Syncs.TryAcquire(1) {
				break
			}
			help.Go(func() {
				defer m.Syncs.Release(1)
				for i := range left {
					do(i)
				}
			})
		}
		do(i)
	}
	help.Wait()
}

// sync makes the file durable, without its directory entry. It is tried once: after
// a failed sync the pages count as clean, and a second one would find nothing wrong.
func (s *staged) sync() error {
	return s.finish(func() error { return s.file.Sync() })
}

// finish ends the writing of a file: it syncs it, unless its content is durable
// already, and closes it.
func (s *staged) finish(sync func() error) error {
	if s.early {
		s.early = false
		return nil
	}
	if s.file == nil {
		return notStaged(s.path())
	}
	var err error
	if sync != nil {
		err = sync()
	}
	closed := s.close()
	if err != nil {
		return placeError("sync", s.path(), err)
	}
	if closed != nil {
		return placeError("close", s.path(), closed)
	}
	return nil
}

// syncTmp makes the entries of tmp/ durable, and once after Open those of the
// Maildir: its tree may be the leftover of a process that was killed before it
// had synced it.
func (m *Maildir) syncTmp(errs []error) error {
	if !anyNil(errs) {
		return nil
	}
	if !m.rooted {
		if err := m.syncDir(m.root, m.Path); err != nil {
			return err
		}
		m.rooted = true
	}
	return m.syncDir(m.tmp, filepath.Join(m.Path, "tmp"))
}

// syncDir syncs one of our directories. After a failure it will not be asked again:
// the Maildir is of no use until it has been opened anew.
func (m *Maildir) syncDir(dir durable.Dir, path string) error {
	if err := dir.Sync(); err != nil {
		return m.fail(placeError("sync", path, err))
	}
	return nil
}

// fail notes why nothing more is done until the next Open, and returns it.
func (m *Maildir) fail(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = err
	return err
}

// Publish implements deliver.Destination: every file is renamed to new/, then the
// directory new/ is synced once. It is short, and what it leaves undone falls
// to Recover, so it does not heed the end of ctx.
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
		// All of them share one directory, and the kernel does not say whose entry
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

// rename makes the message visible. It is a rename and never a link that is followed by an
// unlink: a crash between those leaves both names, and a rename of one link over
// another of the same file does nothing.
func (s *staged) rename() error {
	if !s.synced || s.ended {
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

// missing decides what it means that rename did not find the file. NFS sends a request
// again when the reply was lost, and then reports that the file, which it has
// renamed, is not there.
func (s *staged) missing(cause error) error {
	if _, err := s.m.tmp.Stat(s.name); !errors.Is(err, fs.ErrNotExist) {
		return s.renameError(cause) // it is new/ that was not found
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
		Err:  fmt.Errorf("%w: %w", deliver.ErrGone, bare(cause)),
	}
}

func (s *staged) renameError(err error) error {
	return placeError("rename into new/", s.path(), err)
}

// isIn says whether one of dirs has the message name.
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

// ours returns s as a message that this Maildir has staged.
func (m *Maildir) ours(s deliver.Staged) (*staged, error) {
	if own, ok := s.(*staged); ok && own.m == m {
		return own, nil
	}
	return nil, notStaged(m.Path)
}

// notStaged is the error for a call out of order.
func notStaged(path string) error {
	return &deliver.Error{
		Op: "deliver", Path: path, Scope: deliver.Message, Temporary: true,
		Err: errors.New("message is not at this step of its delivery"),
	}
}

// all sets every element that is nil to err.
func all(errs []error, err error) []error {
	for i := range errs {
		if errs[i] == nil {
			errs[i] = err
		}
	}
	return errs
}

func anyNil(errs []error) bool {
	for _, err := range errs {
		if err == nil {
			return true
		}
	}
	return false
}

// anyOf returns errs, or nil where it holds none.
func anyOf(errs []error) []error {
	for _, err := range errs {
		if err != nil {
			return errs
		}
	}
	return nil
}
