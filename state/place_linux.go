package state

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// checkPlace refuses a directory on a network file system. A store there is in
// danger from other hosts and from this one: an flock may hold on this host only
// (NFS, SMB) or not at all (9P), and what a write puts into the file may not show
// in the memory map of it, which bbolt reads by (AFS, Coda, 9P without a cache).
//
// The file systems of clusters (Ceph, GFS2, OCFS2, Lustre) keep both promises.
// FUSE is allowed, though sshfs is behind it like encrypted homes are: on one
// host the kernel itself keeps its locks and its page cache, and where a map
// cannot be had, the open fails. Two hosts must not share a store through it.
// There is no way to override this.
func checkPlace(dir string) error {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	for errors.Is(err, unix.EINTR) {
		err = unix.Statfs(dir, &st)
	}
	if err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if name := networkName(uint32(st.Type)); name != "" {
		return fmt.Errorf("%s is on a network file system (%s), where neither locks nor memory maps can be relied on;"+
			" choose a path on a local disk with state = \"...\" in the configuration", dir, name)
	}
	return nil
}

// networkName returns the name of a file system that is refused, or "". Its
// type in statfs(2) is wider than 32 bits, or signed, on some machines only.
func networkName(fsType uint32) string {
	switch fsType {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "SMB"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.V9FS_MAGIC:
		return "9P"
	}
	return ""
}
