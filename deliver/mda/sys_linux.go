package mda

import (
	"math"
	"os"

	"golang.org/x/sys/unix"

	"popfetch/internal/spool"
)

// widen makes the capacity of the pipe w at least size octets, if the system allows that, and
// returns the capacity, 0 if it is not known.
func widen(w *os.File, size int64) int64 {
	room := 0
	conn, err := w.SyscallConn()
	if err != nil {
		return 0
	}
	_ = conn.Control(func(fd uintptr) {
		room, err = unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
		if err == nil && int64(room) < size && size <= spool.MaxMemory {
			if wide, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, int(size)); err == nil {
				room = wide
			}
		}
	})
	return int64(max(room, 0))
}

// closeOnExec keeps programs from inheriting descriptors besides the standard three. Those that
// Go opens are close-on-exec anyway, those that popfetch was started with may not be. It
// needs close_range(2) of Linux 5.11 and does nothing on an older kernel.
func closeOnExec() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}
