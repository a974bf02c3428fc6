package state

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"popfetch/internal/durable"
)

// newName returns a name for a file that is not complete yet. Open removes files with
// such names.
func newName(path string) string { return path + ".new-" + randomHex() }

// copyFile makes a copy of a file whose content is durable and whose name is not yet.
// After an error there is no copy.
func copyFile(to, from string) error { return copyThen(to, from, (*os.File).Sync) }

// copyUnsynced is copyFile for a copy that need not survive a power cut.
func copyUnsynced(to, from string) error {
	return copyThen(to, from, func(*os.File) error { return nil })
}

// copyThen copies a file and calls then before the copy is closed. After an error there is
// no copy.
func copyThen(to, from string, then func(*os.File) error) error {
	src, err := openPlain(from, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := durable.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = then(dst)
	}
	if err = errors.Join(err, dst.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// openCopy opens a file that no other popfetch uses, because it is a copy of our own or
// the caller holds the lock, and reads all of it. The caller closes it with closeFile.
func openCopy(path string) (*Bolt, Report, error) {
	c := &Bolt{path: path, readOnly: true}
	if err := c.open(time.Second); err != nil {
		return nil, Report{}, ofCopy(err)
	}
	r, err := c.count()
	if err != nil {
		return nil, Report{}, errors.Join(ofCopy(err), c.closeFile())
	}
	return c, r, nil
}

// verifyCopy returns why a new file is not a whole copy of the store with an id.
func verifyCopy(path, id string) error {
	c, _, err := openCopy(path)
	if err != nil {
		return err
	}
	if c.id != id {
		err = errors.New("the copy has another id")
	}
	return errors.Join(err, c.closeFile())
}

// replace renames temp, whose content is durable, to path, and makes that durable. If
// replaced is true the rename was done, even if err is not nil.
//
// A process may be killed between the rename and its sync. A power cut would then take
// the name back, with all that the next process has committed under it. An empty file
// beside it tells the next process to sync the directory first, see removeLeftovers.
func replace(temp, path string) (replaced bool, err error) {
	mark := newName(path)
	f, err := durable.Create(mark)
	if err != nil {
		return false, err
	}
	if err := errors.Join(f.Close(), os.Rename(temp, path)); err != nil {
		return false, errors.Join(err, os.Remove(mark))
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return true, err
	}
	_ = os.Remove(mark) // or by the next Open
	return true, nil
}
