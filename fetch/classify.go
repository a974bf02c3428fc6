package fetch

import (
	"context"
	"errors"
	"slices"

	"popfetch/deliver"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// Class is the kind of reason for which a poll did not end well. The classes ascend
// in gravity.
type Class uint8

const (
	OK        Class = iota
	Canceled        // the user stopped popfetch
	Temporary       // worth another try as it is: network, busy server, anything unknown
	Config          // a setting of the account cannot work until somebody changes it
	Protocol        // the server breaks the protocol, or there is no TLS
	Auth            // the server refuses the login until somebody changes something
	Delivery        // the destination does not take mail
	Lost            // the record of what was delivered for this account is lost: it alone is held
	State           // what was delivered cannot be recorded: nothing may go on
)

// String is the name of the class. Names are kept for good: they are in the state file
// and in the output for programs.
func (c Class) String() string {
	switch c {
	case OK:
		return "ok"
	case Canceled:
		return "canceled"
	case Config:
		return "configuration"
	case Protocol:
		return "protocol"
	case Auth:
		return "authentication"
	case Delivery:
		return "delivery"
	case Lost:
		return "lost"
	case State:
		return "state"
	}
	return "temporary"
}

// ClassNamed returns the class with a name, Temporary if none has it.
func ClassNamed(name string) Class {
	for c := OK; c <= State; c++ {
		if c.String() == name {
			return c
		}
	}
	return Temporary
}

// Classify returns the class of an error, the gravest one if it holds several. It
// knows all error types of popfetch; an unknown error is temporary, which is the
// safe side.
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

// classOf returns the class that an error has by its own type, not by what it wraps.
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
		// A destination that was stopped has not failed.
		var late *lateError
		switch {
		case errors.Is(e.Err, deliver.ErrLogin), errors.As(e.Err, new(*pop3.AuthError)):
			return Auth, true
		case errors.As(e.Err, new(*ConfigError)):
			return Config, true
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
		if !errors.As(e, &refused) {
			return Auth, true
		}
		switch refused.Code {
		case pop3.AuthCode, pop3.SysPerm: // RFC 3206: somebody has to change something
			return Auth, true
		case "":
			if !busy(refused) {
				return Auth, true
			}
		}
		return Temporary, true
	case *pop3.ResponseError:
		if e.Code == pop3.SysPerm {
			return Protocol, true
		}
		return Temporary, true
	case *UndeletedError: // whatever the server has said: it is asked again
		return Temporary, true
	case *ConfigError:
		return Config, true
	case *RelayedError:
		return e.Class, true
	case *LostError:
		return Lost, true
	case *pop3.ProtocolError, *pop3.LineError, *pop3.TLSError, *NoUIDLError:
		return Protocol, true
	}
	return 0, false
}

// OfMessages reports whether an error of Poll is about single messages only, or about what
// was delivered already, and the account as a whole is well.
func OfMessages(err error) bool {
	var account *AccountError
	if !errors.As(err, &account) {
		return false
	}
	return !slices.ContainsFunc(account.Errs, func(err error) bool {
		switch err.(type) {
		case *MessageError, *UndeletedError:
			return false
		}
		return true
	})
}

// temporary reports whether the destination may take the message another time.
func temporary(err error) bool { return Classify(err) == Temporary }

// temporaryCode reports whether a refusal of the server is about the moment and not
// about the message (RFC 2449 section 8, RFC 3206).
func temporaryCode(c pop3.Code) bool {
	return c == pop3.InUse || c == pop3.LoginDelay || c == pop3.SysTemp
}
