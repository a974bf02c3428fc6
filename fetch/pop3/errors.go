package pop3

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrBroken: the client lost its place in the dialogue, or the connection
	// is gone. The error that wraps it wraps the first cause too. Nothing more
	// is sent; only Close is left.
	ErrBroken = errors.New("connection out of step")
	// ErrState: the command is not allowed now. Nothing was sent and the
	// client is as it was. Every *StateError is one.
	ErrState = errors.New("command not allowed now")
)

// Code is a response code without its brackets, in upper case; parts of a
// hierarchical code are separated by "/". RFC 2449 section 8.
type Code string

// The registered response codes of POP3.
const (
	InUse      Code = "IN-USE"      // RFC 2449 section 8.1.1: another session holds the maildrop
	LoginDelay Code = "LOGIN-DELAY" // RFC 2449 section 8.1.2: too soon after the last login
	AuthCode   Code = "AUTH"        // RFC 3206 section 5: the credentials are wrong
	SysTemp    Code = "SYS/TEMP"    // RFC 3206 section 4: the server has a problem that passes
	SysPerm    Code = "SYS/PERM"    // RFC 3206 section 4: the server has a problem that somebody must fix
)

// ResponseError is a reply of -ERR. The client is still in step.
type ResponseError struct {
	Command string // the command that was refused, without any secret: "RETR 12", "PASS"; "greeting" for the greeting
	Code    Code   // "" if there was none
	Text    string // what followed "-ERR ", with the code, as it came: callers escape it
}

func (e *ResponseError) Error() string {
	reply := "-ERR"
	if e.Text != "" {
		reply += " " + e.Text
	}
	return fmt.Sprintf("%s: server said %s", e.Command, quote(reply))
}

// AuthError is a login that did not happen because the server refused it
// (then Err is a *ResponseError) or because no login was possible with what
// the caller gave and the server offers. The client is still in step, in
// state AUTHORIZATION.
type AuthError struct {
	Method string // "plain", "user", …; "" if none was chosen
	User   string // "" after Auth, which does not know it
	Err    error
}

func (e *AuthError) Error() string {
	what := "log in"
	if e.User != "" {
		what += " as " + quote(e.User)
	}
	if e.Method != "" {
		what += " with method " + e.Method
	}
	return fmt.Sprintf("%s: %v", what, e.Err)
}

// Unwrap returns the cause.
func (e *AuthError) Unwrap() error { return e.Err }

// MethodError is a login for which the server offers no method that may be used.
// It comes wrapped in an AuthError.
type MethodError struct {
	Allowed []string // names as in Methods
	Offered []string // "USER", "APOP", or "SASL " with a mechanism as the server wrote it
}

func (e *MethodError) Error() string {
	offered := "none"
	if len(e.Offered) > 0 {
		offered = quote(strings.Join(e.Offered, ", "))
	}
	return fmt.Sprintf("the server offers none of the methods that may be used (%s); it offers %s", strings.Join(e.Allowed, ", "), offered)
}

// ProtocolError is a reply that no rule of POP3 allows. The client is broken
// afterwards.
type ProtocolError struct {
	Command string // the command that was being answered
	Line    string // what came, at most 1024 octets of it
	Reason  string // what is wrong with it
}

func (e *ProtocolError) Error() string {
	if e.Line == "" {
		return fmt.Sprintf("%s: %s", e.Command, e.Reason)
	}
	return fmt.Sprintf("%s: %s: server said %s", e.Command, e.Reason, quote(e.Line))
}

// LineError is one line of a listing that cannot be used. It costs the message
// of that line, not the listing: the iteration goes on.
type LineError struct {
	Command string // "LIST" or "UIDL"
	Num     int    // the message, 0 if the line does not say
	Line    string // what came, at most 1024 octets of it
	Reason  string // what is wrong with it
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s: %s: server said %s", e.Command, e.Reason, quote(e.Line))
}

// TLSError is a connection that could not be secured: no STLS, a certificate
// that does not verify, no common version. No credentials were sent. Timeouts,
// a lost connection and the end of the context come as what they are.
type TLSError struct {
	Host string
	Err  error
}

func (e *TLSError) Error() string {
	return fmt.Sprintf("secure the connection to %s: %v", e.Host, e.Err)
}

// Unwrap returns the cause; the errors of crypto/x509 can be reached.
func (e *TLSError) Unwrap() error { return e.Err }

// StateError is a command that was called when it is not allowed. It is ErrState.
type StateError struct {
	Command string
	State   State  // the state that the client is in
	During  string // the iteration that is not over, or ""
}

func (e *StateError) Error() string {
	if e.During != "" {
		return fmt.Sprintf("%s: not allowed before the iteration over %s is over", e.Command, e.During)
	}
	return fmt.Sprintf("%s: not allowed in state %s", e.Command, e.State)
}

// Is makes a StateError equal to ErrState.
func (e *StateError) Is(target error) bool { return target == ErrState }

// brokenError is what every call after the first fatal error returns.
type brokenError struct {
	command string
	cause   error
}

func (e *brokenError) Error() string {
	return fmt.Sprintf("%s: not sent, %v after: %v", e.command, ErrBroken, e.cause)
}

func (e *brokenError) Unwrap() []error { return []error{ErrBroken, e.cause} }
