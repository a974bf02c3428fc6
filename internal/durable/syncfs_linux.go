package durable

import (
	"bytes"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// syncable are the file systems where syncfs(2) and a later fsync of a directory do all
// that fsync(2) of each file does, and report every write that fails: those for which
// tests cut the power. (ext2 has the number of ext4. There the fsync of the directory
// flushes the cache of the disk.) On most FUSE file systems syncfs does nothing.
var syncable = []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.TMPFS_MAGIC}

// From Linux 5.8 on syncfs(2) reports lost writes of every file, from this version on
// also the errors of the file system itself.
const syncfsMajor, syncfsMinor = 5, 17

// mostDirty is how many unwritten octets the machine may have for SyncFS not to
// decline: writing all of them must not take long. The messages of a group count too.
const mostDirty = 192 << 20

// SyncFS implements Dir.
func (d *osDir) SyncFS() (done bool, err error) {
	if !d.hasReliableSyncFS() || unwritten() > mostDirty {
		return false, nil
	}
	if err := again(func() error { return unix.Syncfs(d.fd()) }); err != nil {
		return false, os.NewSyscallError("syncfs", err)
	}
	_, err = d.f.Stat() // as in syncEntries
	return err == nil, err
}

// hasReliableSyncFS reports whether kernel and file system report every lost write.
func (d *osDir) hasReliableSyncFS() bool {
	var fs unix.Statfs_t
	var host unix.Utsname
	if unix.Fstatfs(d.fd(), &fs) != nil || unix.Uname(&host) != nil {
		return false
	}
	return slices.Contains(syncable, int64(fs.Type)) && reportsErrors(string(host.Release[:]))
}

// reportsErrors reports whether syncfs(2) returns all errors in a release of Linux.
func reportsErrors(release string) bool {
	major, rest, _ := bytes.Cut([]byte(release), []byte("."))
	digits := bytes.IndexFunc(append(rest, '.'), func(r rune) bool { return r < '0' || r > '9' })
	x, err := strconv.Atoi(string(major))
	y, err2 := strconv.Atoi(string(rest[:digits]))
	return err == nil && err2 == nil && (x > syncfsMajor || x == syncfsMajor && y >= syncfsMinor)
}

// unwritten returns how many octets of all file systems wait to be written or are
// being written, mostDirty + 1 if that is not known. See proc_vmstat(5).
func unwritten() int64 {
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
