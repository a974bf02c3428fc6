package mda

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// widen makes the pipe w hold size octets where the system allows it, and returns how
// many it holds.
func widen(w *os.File, size int64) int64 {
	room := 0
	conn, err := w.SyscallConn()
	if err != nil {
		return 0
	}
	_ = conn.Control(func(fd uintptr) {
		room, err = unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
		if err == nil && int64(room) < size && size <= maxMemory {
			if wide, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, int(size)); err == nil {
				room = wide
			}
		}
	})
	return int64(max(room, 0))
}

// closeOnExec lets no descriptor but the standard three go to programs. Ours are
// close-on-exec anyway; those that popfetch was started with need not be. It is
// close_range(2) of Linux 5.11; an older kernel leaves things as they were.
func closeOnExec() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}
