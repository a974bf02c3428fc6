package maildir

import (
	"errors"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// refused returns the error for a place that the user has to correct.
func refused(path, why, hint string) error {
	return &deliver.Error{Op: "use Maildir", Path: path, Scope: deliver.Place, Hint: hint, Err: errors.New(why)}
}

// placeError returns the error for an operation that the operating system refused.
func placeError(op, path string, err error) error {
	cause := durable.Explain(err)
	return &deliver.Error{
		Op: op, Path: path, Scope: deliver.Place,
		Temporary: cause.Temporary, Hint: cause.Hint, Err: durable.Bare(err),
	}
}

// fileError is placeError for the file of one message. A smaller message may have room
// where this one has not.
func fileError(op, path string, err error) error {
	failed := placeError(op, path, err)
	if e, ok := errors.AsType[*deliver.Error](failed); ok && durable.NoRoom(err) {
		e.Scope = deliver.Room
	}
	return failed
}

// notStaged returns the error for a call out of order.
func notStaged(path string) error {
	return &deliver.Error{
		Op: "deliver", Path: path, Scope: deliver.Message, Temporary: true,
		Err: deliver.ErrOutOfOrder,
	}
}
