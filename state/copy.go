package state

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// newName returns a name for a file that is not whole yet. Open removes files
// with such a name.
func newName(path string) string { return path + ".new-" + randomHex() }

// createNew makes a file that is ours alone, whatever the umask.
func createNew(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// copyFile makes a durable copy of a file. The new name is not durable yet. After
// an error there is no copy.
func copyFile(to, from string) error {
	src, err := openPlain(from, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := createNew(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = dst.Sync()
	}
	if err = errors.Join(err, dst.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// openCopy opens a file that no other process uses, and reads all of it. The
// caller closes it with closeFile.
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

// verifyCopy says why a new file is not a whole copy of the store with an id.
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

// replace puts temp, which is durable, in the place of path, and makes that
// durable. With replaced, temp stands at path, although err may not be nil.
//
// A process that is killed after the rename must not leave to the next one a
// name that a power cut would take back, with all that was committed under it
// since. A file beside it tells the next one to sync the directory first, see
// removeLeftovers.
func replace(temp, path string) (replaced bool, err error) {
	mark := newName(path)
	f, err := createNew(mark)
	if err != nil {
		return false, err
	}
	if err := errors.Join(f.Close(), os.Rename(temp, path)); err != nil {
		return false, errors.Join(err, os.Remove(mark))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return true, err
	}
	_ = os.Remove(mark) // or by the next Open
	return true, nil
}
