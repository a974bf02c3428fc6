package durable

import (
	"bytes"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// File systems where syncfs(2) and the fsync of a directory that follows it do all that
// fsync(2) of each file does, and report what could not be written: those on which the
// power was cut in tests. (ext2 has the number of ext4; there it is the directory's fsync
// that empties the cache of the disk.) On most of FUSE it does nothing.
var syncable = []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.TMPFS_MAGIC}

// Since this version of Linux syncfs(2) reports lost writes of any file (5.8), and also
// what the file system itself says (5.17).
const syncfsMajor, syncfsMinor = 5, 17

// mostDirty is how many octets the machine may have waiting to be written, so that to
// write all of them is no great matter. A group of messages is a part of it.
const mostDirty = 192 << 20

// SyncFS implements Dir.
func (d *osDir) SyncFS() (done bool, err error) {
	if !d.syncfs() || dirty() > mostDirty {
		return false, nil
	}
	if err := again(func() error { return unix.Syncfs(d.fd()) }); err != nil {
		return false, os.NewSyscallError("syncfs", err)
	}
	_, err = d.f.Stat() // as in Sync
	return err == nil, err
}

// syncfs says whether the kernel and the file system can be relied on.
func (d *osDir) syncfs() bool {
	var fs unix.Statfs_t
	var host unix.Utsname
	if unix.Fstatfs(d.fd(), &fs) != nil || unix.Uname(&host) != nil {
		return false
	}
	return slices.Contains(syncable, int64(fs.Type)) && reports(string(host.Release[:]))
}

// reports says whether syncfs(2) reports errors in a release of Linux.
func reports(release string) bool {
	major, rest, _ := bytes.Cut([]byte(release), []byte("."))
	digits := bytes.IndexFunc(append(rest, '.'), func(r rune) bool { return r < '0' || r > '9' })
	x, err := strconv.Atoi(string(major))
	y, err2 := strconv.Atoi(string(rest[:digits]))
	return err == nil && err2 == nil && (x > syncfsMajor || x == syncfsMajor && y >= syncfsMinor)
}

// dirty returns how many octets wait to be written or are being written, on all file
// systems, mostDirty + 1 where that is not known. proc_vmstat(5)
func dirty() int64 {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return mostDirty + 1
	}
	pages := int64(0)
	for line := range bytes.Lines(text) {
		name, count, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if string(name) != "nr_dirty" && string(name) != "nr_writeback" {
			continue
		}
		n, err := strconv.ParseInt(string(count), 10, 64)
		if err != nil {
			return mostDirty + 1
		}
		pages += n
	}
	return pages * int64(os.Getpagesize())
}
