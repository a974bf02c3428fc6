package durable

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// renameNoReplace is renameat2(2) with RENAME_NOREPLACE. Where kernel or file system
// do not know the flag (before Linux 3.15, NFS, some FUSE) it is lookAndRename.
func renameNoReplace(olddir int, old string, newdir int, new string) error {
	err := unix.Renameat2(olddir, old, newdir, new, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return lookAndRename(olddir, old, newdir, new)
	}
	return err
}

func modTime(st *unix.Stat_t) time.Time { return time.Unix(st.Mtim.Unix()) }

func identity(fd int) (ID, error) {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return ID{}, err
	}
	id := ID{Device: st.Dev, Inode: st.Ino}
	var x unix.Statx_t
	err := again(func() error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &x)
	})
	if err == nil && x.Mask&unix.STATX_BTIME != 0 {
		id.Born = time.Unix(x.Btime.Sec, int64(x.Btime.Nsec)).UnixNano()
	}
	return id, nil
}

// lockFile locks a whole file for writing with a lock of the open file description: it
// keeps out the locks of other processes and those of other descriptors here, and closing
// such a descriptor does not free it. See fcntl(2), F_OFD_SETLK.
func lockFile(fd int) error {
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// reserve allocates octets from offset on and leaves the length of the file alone.
func reserve(fd int, offset, octets int64) error {
	return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, offset, octets)
}
