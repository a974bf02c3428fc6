package durable

import "golang.org/x/sys/unix"

// Reserve is how many octets of a file system are left free for records and directories
// when messages fill it.
const Reserve = 1 << 20

// Room returns how many octets can be written below the directory path until only
// Reserve is free; false if the file system does not tell.
func Room(path string) (octets int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil || s.Blocks == 0 || s.Bsize <= 0 {
		return 0, false
	}
	const most = 1 << 62
	if s.Bavail > uint64(most/int64(s.Bsize)) {
		return most, true
	}
	return max(int64(s.Bavail)*int64(s.Bsize)-Reserve, 0), true
}
