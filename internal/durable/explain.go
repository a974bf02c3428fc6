//go:build unix

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Cause is what an error of the operating system means to the user.
type Cause struct {
	Temporary bool   // may pass without anybody's help
	Hint      string // what the user can do, or ""
}

// NoRoom reports whether err says that there is no room for so much: a file system or a
// quota is full, or a file would be too large.
func NoRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// Bare returns the cause of an error of a file operation without operation and path, for
// texts that name both themselves, and any other error unchanged.
func Bare(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return linkErr.Err
	}
	return err
}

// Explain returns what err means to the user. An error it does not know may pass, so
// that counts as temporary.
func Explain(err error) Cause {
	var owner *OwnerError
	var give *GiveError
	switch {
	case errors.As(err, &owner):
		return Cause{Hint: fmt.Sprintf("run popfetch as user %d, or make all of the path belong to root and this user", owner.Owner)}
	case errors.As(err, &give):
		return Cause{Hint: fmt.Sprintf("run popfetch as user %d", give.Owner)}
	}
	for _, known := range []struct {
		errno unix.Errno
		Cause
	}{
		{unix.ENOSPC, Cause{Hint: "disk full: free some space, or inodes; popfetch leaves the last 1 MiB for its records"}},
		{unix.EDQUOT, Cause{Hint: "disk quota exceeded: free some space or have the quota raised"}},
		{unix.EFBIG, Cause{Hint: "the file is larger than the file system or the limit on file sizes (ulimit -f) allows"}},
		{unix.EROFS, Cause{Hint: "the file system is mounted read-only: look at the kernel log for a disk error"}},
		{unix.EACCES, Cause{Hint: "permission denied: look at owner and mode of the directories"}},
		{unix.EPERM, Cause{Hint: "not permitted: look at owner, mode and attributes of the directories"}},
		{unix.EIO, Cause{Hint: "the disk reports an error: look at the kernel log first"}},
		{unix.ELOOP, Cause{Hint: "there is a symbolic link where a directory has to be"}},
		{unix.ENOTDIR, Cause{Hint: "there is a file where a directory has to be"}},
		{unix.ENAMETOOLONG, Cause{Hint: "the file system does not allow names of this length: use a shorter host name"}},
		{unix.ENOENT, Cause{Temporary: true, Hint: "a file or directory is missing: is the file system mounted?"}},
		{unix.EMFILE, Cause{Temporary: true, Hint: "too many open files: raise the limit (ulimit -n) or poll fewer accounts at once"}},
		{unix.ENFILE, Cause{Temporary: true, Hint: "the system has too many open files"}},
	} {
		if errors.Is(err, known.errno) {
			return known.Cause
		}
	}
	return Cause{Temporary: true}
}
