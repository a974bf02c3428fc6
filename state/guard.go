package state

import (
	"errors"
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

// damage is an ErrDamaged. It says what is wrong with the file and what its
// owner can do.
type damage struct{ path, what string }

func damaged(path, what string) error {
	if len(what) > 200 {
		what = what[:200]
	}
	return &damage{path, what}
}

func (d *damage) Error() string {
	return fmt.Sprintf("%s: %v: %s; it is kept as it is; see popfetch state --help:"+
		" `popfetch state restore` puts the daily snapshot in its place; without one, move it away,"+
		" and `popfetch state rebuild` makes it anew from the mail that is there", d.path, ErrDamaged, d.what)
}

func (d *damage) Unwrap() error { return ErrDamaged }

// ofCopy takes the advice out of the error of a copy of the state file, for
// which it would be wrong.
func ofCopy(err error) error {
	if d, ok := errors.AsType[*damage](err); ok {
		return fmt.Errorf("%s: %w: %s", d.path, ErrDamaged, d.what)
	}
	return err
}
