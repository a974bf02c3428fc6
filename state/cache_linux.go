package state

import (
	"os"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// forgetCache asks the kernel to drop its cached pages of a file that could not be
// written. Linux marks a page clean whose write has failed, so that a read returns what
// the disk does not have; without these pages the next Open reads the disk. It is a
// hint, and an error changes nothing.
func forgetCache(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// mapping is the memory of this process through which bbolt reads the file.
type mapping struct{ addr, size uintptr }

// mapping returns the mapping of a transaction. It is valid while the transaction is
// open: bbolt maps the file anew only when no transaction reads it.
func (s *Bolt) mapping(tx *bbolt.Tx) mapping { return mapping{s.db.Info().Data, uintptr(tx.Size())} }

// forget removes the pages of the file from the memory of the process. Without it, all
// of the file is resident after a Scan, and a poll of 1,000,000 known ids takes 300 MiB
// in place of 50 MiB. Nothing is lost, not even to another reader or a writer: the
// mapping is only read, the kernel keeps the pages, and a page that is needed again
// comes back at the same address. It is a hint, and an error changes nothing.
func (m mapping) forget() {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.addr, m.size, unix.MADV_DONTNEED)
}
