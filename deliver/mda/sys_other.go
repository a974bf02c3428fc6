//go:build !linux

package mda

import "os"

// widen returns how many octets the pipe w is sure to hold: this system does not tell.
func widen(*os.File, int64) int64 { return 0 }

// closeOnExec does nothing here: descriptors that popfetch was started with, and
// that are not close-on-exec, go to programs.
func closeOnExec() {}
