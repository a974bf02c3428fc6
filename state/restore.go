package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"popfetch/internal/durable"
)

// Restored is what Restore has done.
type Restored struct {
	From time.Time // when the snapshot was made: mail recorded later counts as new again
	Kept string    // new path of the file that was there before, "" if none was
}

// HealthyError is the error of a Restore without force of a file that is in order.
type HealthyError struct {
	Path string
	IDs  int // unique-ids of all maildrops in it
}

func (e *HealthyError) Error() string {
	return fmt.Sprintf("state file %s: restore: the file is in order, with %d unique-ids", e.Path, e.IDs)
}

// Restore puts a copy of the last snapshot in the place of the file. Without force
// it does so only if Check finds the file damaged or lost. It holds the lock from that
// check to the end. If the file is in order the error is a *HealthyError; any other
// reason why it cannot be read, such as ErrVersion or a lock of another program, ends
// Restore too.
//
// The snapshot stays, and is first read completely. If there is none the error is
// fs.ErrNotExist, and if it cannot be used one of those of Open. The replaced file,
// damaged or not, is kept as Path.damaged-TIME (UTC). Path is a complete file at every
// moment. After an error it is the file that was there before, unless the error is that
// of the last step, the sync of the directory.
func (f File) Restore(force bool) (r Restored, err error) {
	bak := f.Path + snapshotSuffix
	if _, err := os.Lstat(bak); errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("state file %s cannot be restored: there is no snapshot %s: %w", f.Path, bak, fs.ErrNotExist)
	}
	l, err := f.lock()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	if !force {
		if err := needsRestore(f.Path); err != nil {
			return r, err
		}
	}
	if r, err = restore(f.Path, bak); err != nil {
		return r, fmt.Errorf("state file %s cannot be restored: %w", f.Path, err)
	}
	return r, nil
}

// needsRestore returns nil if the file at path is damaged or lost. The caller
// holds the lock.
func needsRestore(path string) error {
	c, r, err := openCopy(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged):
		return nil
	case err != nil:
		return err
	}
	if err := c.closeFile(); err != nil {
		return fmt.Errorf("state file %s cannot be restored: %w", path, err)
	}
	return &HealthyError{Path: path, IDs: r.IDs}
}

func restore(path, bak string) (r Restored, err error) {
	if err := removeLeftovers(path); err != nil {
		return r, err
	}
	c, _, err := openCopy(bak)
	if err != nil {
		return r, fmt.Errorf("the snapshot cannot be used: %w", err)
	}
	info, err := c.file.Stat()
	if err := errors.Join(err, c.closeFile()); err != nil {
		return r, err
	}
	r.From = info.ModTime()

	temp := newName(path)
	if err := copyFile(temp, bak); err != nil {
		return r, err
	}
	if err = verifyCopy(temp, c.id); err == nil {
		r.Kept, err = keep(path)
	}
	replaced := false
	if err == nil {
		replaced, err = replace(temp, path)
	}
	if err != nil && !replaced {
		_ = os.Remove(temp)
	}
	return r, err
}

// keep gives the file at path a second name and returns it, "" if there is no file.
// The first name stays too: after a crash without it the next Open would find no file.
func keep(path string) (kept string, err error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err == nil:
		err = checkPlain(path, info)
	}
	if err != nil {
		return "", err
	}
	kept = path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	err = os.Link(path, kept)
	if errors.Is(err, fs.ErrExist) { // the second in this second
		kept += "-" + randomHex()
		err = os.Link(path, kept)
	}
	if err != nil { // not every file system has hard links
		err = copyFile(kept, path)
	}
	if err != nil {
		return "", err
	}
	return kept, durable.SyncDir(filepath.Dir(path))
}
