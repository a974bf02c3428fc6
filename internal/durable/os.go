//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// OS is the FS of the operating system.
type OS struct{}

var _ FS = OS{}

// dirFlags opens a directory to work in it.
const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

// OpenDir implements FS.
func (OS) OpenDir(path string) (Dir, error) {
	dir, err := openPath(path)
	if err != nil {
		return nil, err // not a nil *osDir
	}
	return dir, nil
}

// openPath opens the directory path and checks who owns what leads to it.
func openPath(path string) (*osDir, error) {
	dir, err := openDir(unix.AT_FDCWD, path, path, 0)
	if err != nil {
		return nil, err
	}
	if err := dir.checkPath(); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// MakeDirs implements FS. It goes down from the deepest directory that exists, so
// that each new entry is durable before anything is made below it.
func (o OS) MakeDirs(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	top, missing, err := deepest(path)
	if err != nil {
		return err
	}
	if err := syncParent(top); err != nil {
		return err
	}
	dir, err := openPath(top)
	if err != nil {
		return err
	}
	for _, name := range missing {
		child, err := dir.makeDir(name)
		dir.Close()
		if err != nil {
			return err
		}
		dir = child
	}
	return dir.Close()
}

// deepest splits path into a directory that exists and the names below it
// that do not.
func deepest(path string) (top string, missing []string, err error) {
	for top = path; ; top = filepath.Dir(top) {
		_, err := os.Stat(top)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || top == filepath.Dir(top) {
			return "", nil, err
		}
	}
	rest := strings.Trim(strings.TrimPrefix(path, top), "/")
	if rest != "" {
		missing = strings.Split(rest, "/")
	}
	return top, missing, nil
}

// syncParent makes the entry of the directory path durable. It does nothing where the
// permissions of the parent forbid to open it: we cannot have made an entry there.
func syncParent(path string) error {
	parent := filepath.Dir(path)
	dir, err := openDir(unix.AT_FDCWD, parent, parent, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	// A read-only parent (of a Maildir mounted below a read-only root) has nothing
	// to write. Some file systems return an error for that.
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// osDir implements Dir.
type osDir struct {
	f    *os.File
	path string // only for error texts
}

func openDir(at int, name, path string, flags int) (*osDir, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(at, name, dirFlags|flags, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &osDir{f: os.NewFile(uintptr(fd), path), path: path}, nil
}

// makeDir makes the directory name, makes its entry durable, and opens it.
func (d *osDir) makeDir(name string) (*osDir, error) {
	path := filepath.Join(d.path, name)
	err := again(func() error { return unix.Mkdirat(d.fd(), name, 0o700) })
	// Another process may have made it since we looked. Its mode stays then.
	ours := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	child, err := openDir(d.fd(), name, path, unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	if ours {
		err = ignoreNoModes(child.f.Chmod(0o700))
	}
	if ours && err == nil {
		err = d.give(child.f)
	}
	if err == nil {
		err = d.Sync()
	}
	if err != nil {
		child.Close()
		return nil, err
	}
	return child, nil
}

// ignoreNoModes returns the error of a chmod of something that this process has just
// made, nil if it only says that the file system has no modes (vfat, some network file
// systems).
func ignoreNoModes(err error) error {
	for _, none := range []unix.Errno{unix.EPERM, unix.ENOTSUP, unix.EOPNOTSUPP, unix.ENOSYS} {
		if errors.Is(err, none) {
			return nil
		}
	}
	return err
}

func (d *osDir) fd() int { return int(d.f.Fd()) }

func (d *osDir) OpenDir(name string) (Dir, error) {
	child, err := openDir(d.fd(), name, filepath.Join(d.path, name), unix.O_NOFOLLOW)
	if err != nil {
		return nil, err // not a nil *osDir
	}
	return child, nil
}

func (d *osDir) Create(name string) (File, error) {
	path := filepath.Join(d.path, name)
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) { return unix.Openat(d.fd(), name, flags, 0o600) })
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	// The umask only removes permissions, and rarely the owner's, so that Chmod is
	// seldom needed.
	info, err := f.Stat()
	if err == nil && info.Mode().Perm() != 0o600 {
		err = ignoreNoModes(f.Chmod(0o600))
	}
	if err == nil {
		err = d.give(f)
	}
	if err != nil {
		f.Close()
		return nil, errors.Join(err, d.Remove(name))
	}
	return f, nil
}

func (d *osDir) Rename(name string, to Dir, newname string) error {
	target, ok := to.(*osDir)
	if !ok {
		return &os.LinkError{Op: "rename", Old: name, New: newname, Err: unix.EXDEV}
	}
	err := again(func() error { return renameNoReplace(d.fd(), name, target.fd(), newname) })
	if err != nil {
		return &os.LinkError{
			Op: "rename", Old: filepath.Join(d.path, name),
			New: filepath.Join(target.path, newname), Err: err,
		}
	}
	return nil
}

func (d *osDir) Remove(name string) error {
	if err := again(func() error { return unix.Unlinkat(d.fd(), name, 0) }); err != nil {
		return &fs.PathError{Op: "remove", Path: filepath.Join(d.path, name), Err: err}
	}
	return nil
}

func (d *osDir) Stat(name string) (Info, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return Info{}, &fs.PathError{Op: "stat", Path: filepath.Join(d.path, name), Err: err}
	}
	kind := st.Mode & unix.S_IFMT
	return Info{
		Octets:  st.Size,
		Links:   int(st.Nlink),
		ModTime: modTime(&st),
		Regular: kind == unix.S_IFREG,
		Dir:     kind == unix.S_IFDIR,
		Private: st.Mode&0o077 == 0,
	}, nil
}

// Names reads through a descriptor of its own, since two readers of one open file
// would share the position in the directory.
func (d *osDir) Names() ([]string, error) {
	dir, err := openDir(d.fd(), ".", d.path, unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.f.Readdirnames(-1)
}

func (d *osDir) Writable() error {
	err := again(func() error {
		return unix.Faccessat(d.fd(), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	})
	if err != nil {
		return &fs.PathError{Op: "write to", Path: d.path, Err: err}
	}
	return nil
}

func (d *osDir) ID() (ID, error) {
	id, err := identity(d.fd())
	if err != nil {
		return ID{}, &fs.PathError{Op: "stat", Path: d.path, Err: err}
	}
	return id, nil
}

// Sync implements Dir.
func (d *osDir) Sync() error { return syncEntries(d.f) }

func (d *osDir) Close() error { return d.f.Close() }

// again calls fn until no signal interrupts it.
func again(fn func() error) error {
	_, err := retry(func() (int, error) { return 0, fn() })
	return err
}

// retry is again for a function with a result.
func retry(fn func() (int, error)) (int, error) {
	for {
		n, err := fn()
		if err != unix.EINTR {
			return n, err
		}
	}
}
