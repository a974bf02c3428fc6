//go:build unix

package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openFile opens the regular file name. O_NONBLOCK keeps a named pipe from holding up the
// caller; a regular file ignores it.
func (d *osDir) openFile(name string, flags int) (*os.File, error) {
	path := filepath.Join(d.path, name)
	flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) { return unix.Openat(d.fd(), name, flags, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Append implements Dir.
func (d *osDir) Append(name string) (AppendFile, error) {
	f, err := d.openFile(name, unix.O_RDWR|unix.O_APPEND)
	if err != nil {
		return nil, err // not a nil *os.File
	}
	return appendFile{f}, nil
}

// Read implements Dir.
func (d *osDir) Read(name string, most int) ([]byte, error) {
	f, err := d.openFile(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(most)))
}

// Link implements Dir.
func (d *osDir) Link(name, newname string) error {
	err := again(func() error { return unix.Linkat(d.fd(), name, d.fd(), newname, 0) })
	if err != nil {
		return &os.LinkError{
			Op: "link", Old: filepath.Join(d.path, name), New: filepath.Join(d.path, newname), Err: err,
		}
	}
	return nil
}

// appendFile implements AppendFile.
type appendFile struct{ *os.File }

// Size implements AppendFile.
func (f appendFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Reserve implements AppendFile.
func (f appendFile) Reserve(octets int64) error {
	size, err := f.Size()
	if err != nil || octets <= 0 {
		return err
	}
	err = again(func() error { return reserve(int(f.Fd()), size, octets) })
	if NoRoom(err) {
		return &fs.PathError{Op: "reserve room in", Path: f.Name(), Err: err}
	}
	return nil
}

// TryLock implements AppendFile.
func (f appendFile) TryLock() (bool, error) {
	err := again(func() error { return lockFile(int(f.Fd())) })
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		return false, nil
	}
	return false, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
}

// ID implements AppendFile.
func (f appendFile) ID() (ID, error) {
	id, err := identity(int(f.Fd()))
	if err != nil {
		return ID{}, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return id, nil
}
