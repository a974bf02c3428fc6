package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// maxSecret is the greatest output of a command or file that holds a password,
// in octets.
const maxSecret = 64 << 10

// SecretError says why there is no password. It holds no part of one.
type SecretError struct {
	Source string // where it was looked for: "password_file /home/me/.pop"
	Msg    string // what went wrong, bounded, control characters escaped
	Hint   string // what the user can do, or ""
	Retry  bool   // it may go well the next time without anybody's help
	Err    error  // the cause, or nil
}

// Error is one line without the name of the account.
func (e *SecretError) Error() string {
	s := "password: "
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
func (e *SecretError) Unwrap() error { return e.Err }

// Temporary says whether another attempt later may go well by itself.
func (e *SecretError) Temporary() bool { return e.Retry }

// PasswordSource says where Password looks first, in the words of the
// configuration: "password_command pass". It holds no secret.
func (a *Account) PasswordSource() string {
	switch {
	case a.PasswordText.IsSet():
		return "password"
	case a.PasswordFile != "":
		return "password_file " + a.PasswordFile
	case len(a.PasswordCommand) > 0:
		return "password_command " + a.PasswordCommand[0]
	case a.Credential != "":
		return "credential " + a.Credential
	}
	return "netrc"
}

// ForgetPassword forgets what was typed for the account, if anything was: the
// server has refused it.
func (a *Account) ForgetPassword() { a.ask.forget(a) }

// Password returns the password. It is looked up at each call, so that a changed
// one is found; only what was typed on the terminal is remembered. An error is a
// *SecretError, or the one of a ctx that has ended. Password may be called for
// several accounts at once: commands and questions that use the terminal wait
// for each other.
func (a *Account) Password(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	source := a.PasswordSource()
	switch {
	case a.PasswordText.IsSet():
		return a.PasswordText.Reveal(), nil
	case a.PasswordFile != "":
		return fromFile(source, a.PasswordFile)
	case len(a.PasswordCommand) > 0:
		return a.ask.command(ctx, source, a.PasswordCommand)
	case a.Credential != "":
		return fromCredential(source, a.Credential)
	}
	path, password, err := fromNetrc(a.Host, a.User)
	if err != nil || password != "" {
		return password, err
	}
	return a.ask.password(ctx, a, path)
}

func fromFile(source, path string) (string, error) {
	data, fi, err := readFile(path, maxSecret)
	if err != nil {
		return "", &SecretError{Source: source, Msg: bare(err).Error(), Err: err}
	}
	if err := checkPrivate(path, fi); err != nil {
		return "", unsafeSecret(source, err)
	}
	return firstLine(source, data)
}

// unsafeSecret is the error for a file that checkPrivate refused.
func unsafeSecret(source string, err error) error {
	e := &SecretError{Source: source, Msg: "the file " + err.Error(), Err: err}
	if u, ok := errors.AsType[*unsafeError](err); ok {
		e.Hint = u.hint
	}
	return e
}

// fromCredential reads a credential of systemd.exec(5). systemd protects the
// directory, and gives the files to the user by an access list, which makes
// their mode bits say nothing.
func fromCredential(source, name string) (string, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", &SecretError{Source: source, Msg: "$CREDENTIALS_DIRECTORY is not set",
			Hint: "systemd sets it for a unit with LoadCredential=" + name + ":/path"}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", &SecretError{Source: source, Msg: err.Error(), Err: err}
	}
	defer root.Close()
	fi, err := root.Stat(name)
	if err != nil {
		return "", &SecretError{Source: source, Msg: dir + ": " + bare(err).Error(), Err: err}
	}
	if !fi.Mode().IsRegular() {
		return "", &SecretError{Source: source, Msg: "not a regular file in " + dir, Err: fs.ErrInvalid}
	}
	f, err := root.Open(name)
	if err != nil {
		return "", &SecretError{Source: source, Msg: dir + ": " + bare(err).Error(), Err: err}
	}
	defer f.Close()
	data, _, err := readOpen(f, maxSecret)
	if err != nil {
		return "", &SecretError{Source: source, Msg: bare(err).Error(), Err: err}
	}
	return firstLine(source, data)
}

// firstLine is the password in a file or an output: its first line, without the
// line end.
func firstLine(source string, data []byte) (string, error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	s := strings.TrimSuffix(string(line), "\r")
	if s == "" {
		return "", &SecretError{Source: source, Msg: "the first line is empty"}
	}
	if err := checkSecret(s); err != nil {
		return "", &SecretError{Source: source, Msg: err.Error(), Err: err}
	}
	return s, nil
}

// noPassword is the error where nothing is left to try.
func noPassword(a *Account, netrc string) error {
	return &SecretError{
		Msg: fmt.Sprintf("the account names no source, %s has no entry for %s at %s, and there is no terminal to ask on",
			netrc, quote(a.User), a.Host),
		Hint: "set password_command, password_file or credential",
	}
}
