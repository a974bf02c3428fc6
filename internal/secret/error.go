package secret

import (
	"errors"
	"fmt"
	"path/filepath"

	"popfetch/internal/config"
)

// Error is the reason why there is no secret. It holds no part of one.
type Error struct {
	Kind   Kind   // what was looked for
	Source string // where it was looked for: "password_file /home/me/.pop"
	Msg    string // what went wrong; bounded, control characters escaped
	Hint   string // what the user can do, or ""
	Retry  bool   // a later attempt may succeed without anybody's help
	// Refused tells that a provider has taken back what it had given, so that this is a
	// login that was refused, and not an error of the configuration.
	Refused bool
	Err     error // the cause, or nil
}

// Error is one line without the name of the account.
func (e *Error) Error() string {
	s := e.Kind.String() + ": "
	if e.Source != "" {
		s += e.Source + ": "
	}
	s += e.Msg
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether a later attempt may succeed by itself.
func (e *Error) Temporary() bool { return e.Retry }

// unsafeFile is the error for a file that config.CheckPrivate has refused.
func unsafeFile(source, path string, err error) error {
	e := &Error{Source: source, Msg: "the file " + err.Error(), Err: err}
	if u, ok := errors.AsType[*config.UnsafeError](err); ok {
		e.Hint = u.Hint
		if u.ReadOnly {
			e.Hint += fmt.Sprintf("; for a secret that docker or Kubernetes has mounted, set credential = %q and the environment variable CREDENTIALS_DIRECTORY=%s",
				filepath.Base(path), filepath.Dir(path))
		}
	}
	return e
}
