package maildir

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// Prepare implements deliver.Destination. It syncs each file and then, once, the directory
// tmp/, so that Recover finds the file of an intent after a power cut.
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
			group[i].(*staged).durable = true
		}
	}
	return anyOf(errs)
}

// fewestTogether is from how many files on one syncfs(2) is faster than an fsync(2) of
// each file, see bench/disk.md.
const fewestTogether = 16

// syncAll makes the content of the group's files durable, with one syncfs(2) where that is
// reliable. errs gets the error of each message. The returned error is that of all.
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

// syncFiles syncs the file of each member. It uses its own goroutine and as many more as
// Syncs grants without waiting: other Maildirs share Syncs, and their disk may hang.
func (m *Maildir) syncFiles(group []deliver.Staged, errs []error) {
	left := make(chan int, len(group)) // indices of members that are not synced yet
	for i := range group {
		if _, errs[i] = m.ours(group[i]); errs[i] == nil {
			left <- i
		}
	}
	close(left)
	syncMember := func(i int) { errs[i] = group[i].(*staged).sync() }
	var helpers sync.WaitGroup
	for i := range left {
		for range len(left) {
			if !m.Syncs.TryAcquire(1) {
				break
			}
			helpers.Go(func() {
				defer m.Syncs.Release(1)
				for i := range left {
					syncMember(i)
				}
			})
		}
		syncMember(i)
	}
	helpers.Wait()
}

// sync makes the content of the file durable, without its directory entry. It tries once:
// after a failed fsync the kernel counts the pages as clean, and a second fsync succeeds.
func (s *staged) sync() error {
	return s.finish(func() error { return s.file.Sync() })
}

// finish calls sync, unless it is nil or Stage has synced the file, and closes the file.
func (s *staged) finish(sync func() error) error {
	if s.syncedEarly {
		s.syncedEarly = false
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
		return fileError("sync", s.path(), err)
	}
	if closed != nil {
		return fileError("close", s.path(), closed)
	}
	return nil
}

// syncTmp makes the entries of tmp/ durable unless all messages have an error. The first
// call after Open also syncs the Maildir itself: the process that made tmp and new
// may have been killed before it synced them.
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

// syncDir syncs a directory of the Maildir. After an error the Maildir delivers nothing
// until the next Open, see fail.
func (m *Maildir) syncDir(dir durable.Dir, path string) error {
	if err := dir.Sync(); err != nil {
		return m.fail(placeError("sync", path, err))
	}
	return nil
}

// fail makes every delivery until the next Open fail with err, and returns err.
func (m *Maildir) fail(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = err
	return err
}
