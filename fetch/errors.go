package fetch

import (
	"context"
	"errors"

	"popfetch/deliver"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// Class is the kind of reason for which a poll did not end well. The classes are
// in ascending order of gravity.
type Class uint8

const (
	OK        Class = iota
	Canceled        // the user stopped popfetch
	Temporary       // worth another try as it is: network, busy server; anything unknown
	Config          // a setting of the account is of no use until somebody changes it
	Protocol        // the server does not speak as agreed, or TLS is not to be had
	Auth            // the server refused the credentials
	Delivery        // the destination does not take mail
	Lost            // what was delivered for this account is not on record any more: it alone is held
	State           // what was delivered cannot be remembered: nothing may go on
)

// ConfigError is a setting that is of no use as it is: the file or program that
// it names is missing, for example.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// LostError is an account for which mail was delivered that is not on record any
// more. Polling it would deliver that mail again; the other accounts go on.
type LostError struct{ Err error }

func (e *LostError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *LostError) Unwrap() error { return e.Err }

// StateError is a state store that could not be read or written.
type StateError struct{ Err error }

func (e *StateError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StateError) Unwrap() error { return e.Err }

// Classify returns the class of an error, the gravest one where it holds
// several. It knows all error types of the house; an error that it does not know
// is temporary, the safe side.
func Classify(err error) Class {
	if err == nil {
		return OK
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		worst := Canceled
		for _, e := range many.Unwrap() {
			worst = max(worst, Classify(e))
		}
		return worst
	}
	if c, ok := classOf(err); ok {
		return c
	}
	if inner := errors.Unwrap(err); inner != nil {
		return Classify(inner)
	}
	return Temporary
}

// classOf knows the class of an error by its own type, not by what it wraps.
func classOf(err error) (Class, bool) {
	switch err {
	case context.Canceled:
		return Canceled, true
	case state.ErrLocked:
		return Temporary, true
	}
	switch e := err.(type) {
	case *StateError:
		if errors.Is(e, state.ErrLocked) {
			return Temporary, true
		}
		return State, true
	case *deliver.Error:
		// A destination that was stopped has no fault of its own.
		var late *deadlineError
		switch {
		case errors.Is(e.Err, context.Canceled):
			return Canceled, true
		case errors.As(e.Err, &late):
			return Temporary, true
		}
		if e.Temporary && e.Scope == deliver.Message {
			return Temporary, true
		}
		return Delivery, true
	case *pop3.AuthError:
		var refused *pop3.ResponseError
		if errors.As(e, &refused) && refused.Code != "" && refused.Code != pop3.AuthCode {
			return classOf(refused)
		}
		return Auth, true
	case *pop3.ResponseError:
		if e.Code == pop3.SysPerm {
			return Protocol, true
		}
		return Temporary, true
	case *ConfigError:
		return Config, true
	case *LostError:
		return Lost, true
	case *pop3.ProtocolError, *pop3.LineError, *pop3.TLSError, *NoUIDLError:
		return Protocol, true
	}
	return 0, false
}

// ofMessages says whether an error of Poll is about single messages only: the
// account as a whole is well.
func ofMessages(err error) bool {
	var account *AccountError
	if !errors.As(err, &account) {
		return false
	}
	_, ok := account.Errs[0].(*MessageError)
	return ok
}

// scopeOf says what an error of a destination is about; an unknown one is about
// the place, so that nothing more is tried.
func scopeOf(err error) deliver.Scope {
	var e *deliver.Error
	if errors.As(err, &e) {
		return e.Scope
	}
	return deliver.Place
}

// temporary says whether the destination may take the message another time.
func temporary(err error) bool { return Classify(err) == Temporary }

// temporaryCode says whether a refusal of the server is about the moment and not
// about the message (RFC 2449 section 8, RFC 3206).
func temporaryCode(c pop3.Code) bool {
	return c == pop3.InUse || c == pop3.LoginDelay || c == pop3.SysTemp
}
