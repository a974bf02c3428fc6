package state

import (
	"fmt"
	"runtime/debug"
)

// guard calls fn, which reads the mapped state file through bbolt, and turns a
// panic or a memory fault in it into ErrDamaged. bbolt panics on pages that make
// no sense; a mapped page beyond the end of the file, or one that the disk
// cannot read, is a memory fault, which would end the process.
//
// Nothing but our own code and bbolt may run in fn, on this goroutine.
func guard(path string, fn func() error) (panicked bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			panicked, err = true, damaged(path, fmt.Sprint(p))
		}
	}()
	return false, fn()
}

// damaged says what is wrong with the file and what its owner can do.
func damaged(path, what string) error {
	if len(what) > 200 {
		what = what[:200]
	}
	return fmt.Errorf("%s: %w: %s; it is kept as it is: restore it from a backup, or move it away"+
		" and see STATE in popfetch.toml(5), for without it mail kept on the servers would be fetched again",
		path, ErrDamaged, what)
}
