package fetch

import (
	"errors"
	"fmt"

	"popfetch/fetch/settle"
)

// AccountError is why the poll of an account did not end well. Classify says what
// kind of reason it is.
type AccountError struct {
	Account string
	// Errs are the reasons, at least one: first those of the account as a whole and an
	// *UndeletedError, then a *MessageError for each message that was not delivered.
	Errs []error
}

func (e *AccountError) Error() string {
	more := ""
	if len(e.Errs) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(e.Errs)-1)
	}
	return fmt.Sprintf("account %q: %v%s", e.Account, e.Errs[0], more)
}

// Unwrap returns the reasons.
func (e *AccountError) Unwrap() []error { return e.Errs }

// MessageError is why one message was not delivered. It is still on the server.
type MessageError struct {
	Num int
	UID string
	Err error
}

func (e *MessageError) Error() string {
	return fmt.Sprintf("message %d (unique-id %q): %v", e.Num, e.UID, e.Err)
}

// SetAside reports whether this failure has set the message aside.
func (e *MessageError) SetAside() bool {
	_, ok := errors.AsType[*settle.AsideError](e.Err)
	return ok
}

// Unwrap returns the reason.
func (e *MessageError) Unwrap() error { return e.Err }

// StateError is a state store that could not be read or written.
type StateError struct{ Err error }

func (e *StateError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StateError) Unwrap() error { return e.Err }

// ConfigError is a setting that cannot work until somebody changes it: it names a
// file or program that is missing, for example.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// LostError is an account whose record of delivered mail is lost. Polling it would
// deliver that mail again, so this account is held; the others go on.
type LostError struct{ Err error }

func (e *LostError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *LostError) Unwrap() error { return e.Err }

// NoUIDLError is a server whose messages cannot be told apart.
type NoUIDLError struct{ Err error }

func (e *NoUIDLError) Error() string {
	return fmt.Sprintf("the server has neither unique-ids (UIDL) nor TOP, so popfetch cannot tell which messages it has fetched: %v", e.Err)
}

// Unwrap returns the refusal of UIDL.
func (e *NoUIDLError) Unwrap() error { return e.Err }

// RelayedError is why a poll that another process did for this one did not go well.
type RelayedError struct {
	Class Class
	Text  string
	Hint  string // what the user can do, "" for nothing
}

func (e *RelayedError) Error() string { return e.Text }
