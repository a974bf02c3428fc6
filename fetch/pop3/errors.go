package pop3

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrBroken says that an earlier error has broken the client: it is out of
	// step with the server, or the connection is gone. The error that wraps it
	// wraps that cause too. Nothing was sent; only Close may follow.
	ErrBroken = errors.New("connection out of step")
	// ErrState says that the command is not allowed now. Nothing was sent, and the
	// session goes on. Every *StateError is ErrState.
	ErrState = errors.New("command not allowed now")
	// ErrClearToken says that an access token was not sent, because the connection is
	// not encrypted and Credentials.Methods names no method. It comes wrapped in an
	// AuthError.
	ErrClearToken = errors.New("an access token is not sent over a connection without TLS")
	// ErrWeaker says that the password was not sent, because the connection is not
	// encrypted, the server offered a method that hides the password to an earlier
	// session, and this time it offers none. It comes wrapped in an AuthError.
	ErrWeaker = errors.New("the server offered a method that hides the password to an earlier session, and none now: somebody on the way may have taken it out of the reply")
)

// Code is a response code without its brackets, in upper case; parts of a
// hierarchical code are separated by "/". RFC 2449 section 8.
type Code string

// The registered response codes of POP3.
const (
	InUse      Code = "IN-USE"      // RFC 2449 section 8.1.1: another session holds the maildrop
	LoginDelay Code = "LOGIN-DELAY" // RFC 2449 section 8.1.2: too soon after the last login
	AuthCode   Code = "AUTH"        // RFC 3206 section 5: the credentials are wrong
	SysTemp    Code = "SYS/TEMP"    // RFC 3206 section 4: the server has a temporary problem
	SysPerm    Code = "SYS/PERM"    // RFC 3206 section 4: the server has a problem that somebody must fix
)

// ResponseError is a reply of -ERR. The client is still in step.
type ResponseError struct {
	Command string // the command that was refused, without any secret: "RETR 12", "PASS"; "greeting" for the greeting
	Code    Code   // "" if there was none
	// Text is what followed "-ERR ", with the code; "***" follows the code if
	// the text gives a secret away. It may hold any octets: callers escape it.
	Text string
}

func (e *ResponseError) Error() string {
	reply := "-ERR"
	if e.Text != "" {
		reply += " " + e.Text
	}
	return fmt.Sprintf("%s: server said %s", e.Command, quote(reply))
}

// AuthError is a login that the server refused (then Err is a *ResponseError), or
// that is not possible with the credentials and what the server offers. The client is
// still in step, in state AUTHORIZATION.
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

// ProtocolError is a reply that POP3 does not allow. It has broken the client.
type ProtocolError struct {
	Command string // the command that was being answered
	Line    string // what the server sent, at most 1024 octets of it
	Reason  string // what is wrong with it
	TooLong bool   // it is a listing with more lines or octets than the client reads
	Unasked bool   // it came before Command was sent, behind the reply to another one
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
	Num     int    // of the message; 0 = the line has none
	Line    string // what the server sent, at most 1024 octets of it
	Reason  string // what is wrong with it
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s: %s: server said %s", e.Command, e.Reason, quote(e.Line))
}

// TLSError is a connection that cannot be secured: no STLS, a certificate that does
// not verify, no common version, a client certificate that the server demands or refuses.
// No credentials were sent but to a server whose certificate has been verified: with
// TLS 1.3 it judges that of the client after the handshake. A timeout, a lost connection
// and the end of the context are not TLSErrors.
type TLSError struct {
	Host string
	Err  error
}

func (e *TLSError) Error() string {
	return fmt.Sprintf("secure the connection to %s: %v", e.Host, e.Err)
}

// Unwrap returns the cause; the errors of crypto/x509 can be reached.
func (e *TLSError) Unwrap() error { return e.Err }

// STLSError is a server that refuses STLS. It comes wrapped in a TLSError.
type STLSError struct {
	Announced bool  // in the reply to CAPA, which came in clear text
	Err       error // the *ResponseError
}

func (e *STLSError) Error() string {
	if e.Announced {
		return fmt.Sprintf("the server announces STLS and refuses it; no credentials were sent: %v", e.Err)
	}
	return fmt.Sprintf("the server does not offer STLS on this port, or somebody on the way removes it; no credentials were sent: %v", e.Err)
}

// Unwrap returns the refusal.
func (e *STLSError) Unwrap() error { return e.Err }

// StateError is a command that was called when it is not allowed. It is ErrState.
type StateError struct {
	Command string
	State   State  // the state that the client is in
	During  string // the command whose loop is running, "" = none
}

func (e *StateError) Error() string {
	if e.During != "" {
		return fmt.Sprintf("%s: not allowed inside a loop over %s", e.Command, e.During)
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

// CapaError is a connection that the server closed behind its refusal of CAPA, as some
// old servers do with a command that they do not know. No secret was sent. A session
// with Credentials.WithoutCapa may succeed.
type CapaError struct{ Err error }

func (e *CapaError) Error() string {
	return fmt.Sprintf("the server seems to close the connection when it refuses CAPA: %v", e.Err)
}

// Unwrap returns the cause.
func (e *CapaError) Unwrap() error { return e.Err }
