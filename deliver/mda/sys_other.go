//go:build !linux

package mda

import "os"

// widen returns 0: the capacity of a pipe is not known on this system.
func widen(*os.File, int64) int64 { return 0 }

// closeOnExec does nothing on this system: programs inherit the descriptors that popfetch was
// started with.
func closeOnExec() {}
