package state

import (
	"os"

	"golang.org/x/sys/unix"
)

// forgetCache asks the kernel to drop its cached pages of a file that could not
// be written. Linux marks pages clean whose write has failed, so that a read
// returns what the disk does not have; without them the next Open sees the disk.
// It is a hint: nothing can be done where it is not followed.
func forgetCache(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
