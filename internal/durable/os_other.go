//go:build unix && !linux

package durable

import (
	"time"

	"golang.org/x/sys/unix"
)

func renameNoReplace(olddir int, old string, newdir int, new string) error {
	return lookAndRename(olddir, old, newdir, new)
}

func modTime(st *unix.Stat_t) time.Time { return time.Unix(st.Mtim.Unix()) }

func identity(fd int) (ID, error) {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return ID{}, err
	}
	return ID{Device: uint64(st.Dev), Inode: uint64(st.Ino)}, nil
}

// lockFile locks a whole file for writing. Other processes are kept out; the other accounts
// of this process are kept out by the lock file alone.
func lockFile(fd int) error {
	return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

func reserve(int, int64, int64) error { return nil }
