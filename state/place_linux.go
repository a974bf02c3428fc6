package state

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// checkPlace refuses a directory on a network file system. There an flock may hold on
// this host only (NFS, SMB) or not at all (9P), and a write to the file may not show in
// its memory map, through which bbolt reads (AFS, Coda, 9P without a cache). There is no
// way to override this.
//
// The file systems of clusters (Ceph, GFS2, OCFS2, Lustre) keep both promises. FUSE is
// allowed, because encrypted home directories use it, although sshfs does too: on one
// host the kernel itself keeps the locks and the page cache of FUSE, and if it cannot
// map a file the open fails. Two hosts must not share a store through it.
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

// networkName returns the name of a file system that is refused, or "". On some machines
// the type in statfs(2) is wider than 32 bits or signed; these 32 bits are the same on
// all.
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
