package state

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// guard calls fn, which reads the mapped state file through bbolt, and turns a panic or
// a memory fault in it into ErrDamaged. bbolt panics on an invalid page. A mapped page
// beyond the end of the file, or one that the disk cannot read, is a memory fault, which
// would end the process.
//
// Only the code of this package and bbolt may run in fn, on this goroutine: a panic of
// any other code would be taken for damage.
func guard(path string, fn func() error) (panicked bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			panicked, err = true, damaged(path, fmt.Sprint(p))
		}
	}()
	return false, fn()
}

// damage is an ErrDamaged that tells what is wrong with the file and what its owner can
// do.
type damage struct{ path, what string }

func damaged(path, what string) error {
	if len(what) > 200 {
		what = what[:200]
	}
	return &damage{path, what}
}

func (d *damage) Error() string {
	return fmt.Sprintf("%s: %v: %s; it was not changed;"+
		" `popfetch state restore` puts the daily snapshot in its place; if there is none, move the file away,"+
		" and `popfetch state rebuild` learns from the Maildirs what was delivered", d.path, ErrDamaged, d.what)
}

func (d *damage) Unwrap() error { return ErrDamaged }

// ofCopy removes the advice from the error of a copy of the state file, for which it
// would be wrong.
func ofCopy(err error) error {
	if d, ok := errors.AsType[*damage](err); ok {
		return fmt.Errorf("%s: %w: %s", d.path, ErrDamaged, d.what)
	}
	return err
}
