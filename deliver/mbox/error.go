package mbox

import (
	"errors"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// refused returns the error for a file that the user has to correct.
func refused(path, why, hint string) error {
	return &deliver.Error{Op: "use mbox", Path: path, Scope: deliver.Place, Hint: hint, Err: errors.New(why)}
}

// placeError returns the error for an operation that the operating system refused, nil if
// err is nil.
func placeError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var known *deliver.Error
	if errors.As(err, &known) {
		return err
	}
	cause := durable.Explain(err)
	scope := deliver.Place
	if durable.NoRoom(err) {
		scope = deliver.Room
	}
	return &deliver.Error{
		Op: op, Path: path, Scope: scope, Temporary: cause.Temporary, Hint: cause.Hint, Err: durable.Bare(err),
	}
}

// notStaged returns the error for a message that is not at this step.
func (m *Mbox) notStaged() error {
	return &deliver.Error{
		Op: "deliver to", Path: m.Path, Scope: deliver.Message, Temporary: true, Err: deliver.ErrOutOfOrder,
	}
}
