//go:build unix

package durable

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// OwnerError is a directory that root must not write to: another user than its owner
// decides what its path leads to.
type OwnerError struct {
	Owner  uint32 // of the directory, a user id
	Part   string // a directory or symbolic link on its path
	Holder uint32 // the owner of Part
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("it belongs to user %d, but %s on its path belongs to user %d, who could put another directory there", e.Owner, e.Part, e.Holder)
}

// GiveError is a file or directory that root could not give to the owner of its
// directory.
type GiveError struct {
	Owner uint32 // a user id
	Err   error
}

func (e *GiveError) Error() string {
	return fmt.Sprintf("give it to user %d, who owns the directory: %v", e.Owner, e.Err)
}

// Unwrap returns the error of the operating system.
func (e *GiveError) Unwrap() error { return e.Err }

// isRoot reports whether the process may write to the directories of all users.
func isRoot() bool { return os.Geteuid() == 0 }

// give gives a new file or directory to the owner and group of the directory that it
// is in. Only root makes files in directories of others.
func (d *osDir) give(f *os.File) error {
	if !isRoot() {
		return nil
	}
	var dir, st unix.Stat_t
	if err := again(func() error { return unix.Fstat(d.fd(), &dir) }); err != nil {
		return &fs.PathError{Op: "stat", Path: d.path, Err: err}
	}
	if err := again(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		return &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	if dir.Uid == 0 || st.Uid == dir.Uid {
		return nil
	}
	if err := again(func() error { return unix.Fchown(int(f.Fd()), int(dir.Uid), int(dir.Gid)) }); err != nil {
		return &fs.PathError{Op: "create", Path: f.Name(), Err: &GiveError{dir.Uid, err}}
	}
	return nil
}

// checkPath returns an *OwnerError if root opened the directory by a path that another
// user than its owner and root can redirect. Such a user could do that at any time, but
// cannot take himself off the path: the first part of it that is his stays.
func (d *osDir) checkPath() error {
	if !isRoot() {
		return nil
	}
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(d.fd(), &st) }); err != nil {
		return &fs.PathError{Op: "stat", Path: d.path, Err: err}
	}
	path := d.path
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		path = dir + "/" + path // not Join: "link/.." is another directory to the kernel
	}
	return walk(path, func(part string, owner uint32) error {
		if owner == 0 || owner == st.Uid {
			return nil
		}
		return &fs.PathError{Op: "open", Path: d.path, Err: &OwnerError{st.Uid, part, owner}}
	})
}

// maxLinks is how many symbolic links a path may have, as in Linux.
const maxLinks = 40

// walk calls visit for each directory and symbolic link that an absolute path leads
// through, with its owner, until visit returns an error.
func walk(path string, visit func(part string, owner uint32) error) error {
	at, rest := "/", strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		next := filepath.Join(at, name) // ".." needs no visit: what it leads to was visited
		var st unix.Stat_t
		if err := again(func() error { return unix.Lstat(next, &st) }); err != nil {
			return &fs.PathError{Op: "stat", Path: next, Err: err}
		}
		if err := visit(next, st.Uid); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
		}
		target, err := os.Readlink(next)
		if err != nil {
			return err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return nil
}
