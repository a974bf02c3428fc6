package state

import (
	"os"

	"go.etcd.io/bbolt"
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

// mapping is the part of the memory of this process through which bbolt reads the
// file.
type mapping struct{ addr, size uintptr }

// mapping returns the mapping, valid as long as the transaction is open: bbolt
// maps the file anew only when nobody reads.
func (s *Bolt) mapping(tx *bbolt.Tx) mapping { return mapping{s.db.Info().Data, uintptr(tx.Size())} }

// forget takes out of the memory of the process what it has read of the file, which
// would be all of it after a scan. Nothing is lost, not even to a reader or a writer
// at the same time: the kernel keeps the pages, they are only read through this
// mapping, and who needs one again finds it at the same address. It is a hint.
func (m mapping) forget() {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.addr, m.size, unix.MADV_DONTNEED)
}
