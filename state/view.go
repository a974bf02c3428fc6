package state

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"popfetch/internal/durable"
)

// OpenView opens the store for reading as it is now: Commit and Snapshot return
// ErrReadOnly. If there is no file it returns an empty store and makes nothing. It takes
// the lock of Open, because a commit would overwrite pages under the reader, but holds it
// only while it copies the file, and the copy is gone when it returns; so nobody has to
// wait for a reader that takes long. If there is no room for a copy it keeps the lock
// until Close.
func (f File) OpenView() (*Bolt, error) {
	missing, err := f.missing()
	if err != nil {
		return nil, err
	}
	if missing {
		return &Bolt{path: f.Path, readOnly: true}, nil
	}
	l, err := f.lock()
	if err != nil {
		return nil, err
	}
	return f.viewUnder(l, newName(f.Path))
}

func (f File) viewUnder(l *lock, temp string) (*Bolt, error) {
	if err := copyUnsynced(temp, f.Path); err != nil {
		return f.openUnder(l, true)
	}
	s, err := f.openCopy(temp)
	return s, errors.Join(err, l.release())
}

// OpenCopy opens a copy that Bolt.Copy has made in the process that holds the lock, for
// reading as OpenView does.
func (f File) OpenCopy(name string) (*Bolt, error) {
	return f.openCopy(filepath.Join(filepath.Dir(f.Path), filepath.Base(name)))
}

// openCopy opens a copy of the file and removes its name.
func (f File) openCopy(temp string) (*Bolt, error) {
	s := &Bolt{path: f.Path, copy: temp, readOnly: true}
	err := s.open(f.Wait)
	if err = errors.Join(err, os.Remove(temp)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Copy copies the store as it is now to a file beside its own, for File.OpenCopy, and
// returns the name. Nothing about the copy is durable. The caller removes it; Open
// removes one that was left behind.
func (s *Bolt) Copy() (name string, err error) {
	if err := s.enter(); err != nil {
		return "", err
	}
	defer s.calls.Done()
	name = newName(s.path)
	f, err := durable.Create(name)
	if err != nil {
		return "", fileError(s.path, "copied", err)
	}
	err = s.view(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(f)
		return err
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fileError(s.path, "copied", err), os.Remove(name))
	}
	return name, nil
}
