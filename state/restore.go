package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Restored is what Restore has done.
type Restored struct {
	From time.Time // when the snapshot was made: mail recorded later counts as new again
	Kept string    // path of the file that stood there before, "" where none did
}

// Restore puts a copy of the last snapshot in the place of the store at path. It
// takes the lock like Open. The snapshot stays, and is read whole first; where
// there is none the error is fs.ErrNotExist, where it cannot be used one of those
// of Open. The file that stands at path, damaged or not, is kept as
// PATH.damaged-<UTC time>. There is a whole file at path at every moment, and
// after an error it is the one that was there before, unless the error is that of
// the last step, the sync of the directory.
func Restore(path string, wait time.Duration) (r Restored, err error) {
	bak := path + snapshotSuffix
	if _, err := os.Lstat(bak); errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("state file %s: restore: there is no snapshot %s: %w", path, bak, fs.ErrNotExist)
	}
	l, err := lockFor(path, wait)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	if r, err = restore(path, bak); err != nil {
		return r, fmt.Errorf("state file %s: restore: %w", path, err)
	}
	return r, nil
}

func restore(path, bak string) (r Restored, err error) {
	if err := removeLeftovers(path); err != nil {
		return r, err
	}
	c, err := openCopy(bak)
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

// keep gives the file at path a second name that stays, and returns it; "" where
// there is no file. The first name stays too: were it gone for one moment, a
// crash in it would make the next Open begin with an empty store.
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
	return kept, syncDir(filepath.Dir(path))
}
