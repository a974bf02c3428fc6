// Package secret finds the password of an account where the configuration says
// that it is, at the moment when it is needed.
//
// The configuration, files, credentials and netrc are read at every call, since they
// may change at any time. What a program has printed or a user has typed is kept, in
// memory only, until a server refuses it.
package secret

import (
	"context"
	"sync"

	"popfetch/internal/config"
)

// Source is where the password of one account comes from. At most one of Text,
// File, Command and Credential is set. With none of them Password looks into
// netrc, and then asks on the terminal.
//
// The exported fields are not changed once Password has been called. All methods
// may be called from several goroutines.
type Source struct {
	Account string // name of the account, for the question on the terminal
	Host    string // netrc has entries by host and user
	User    string

	Text       config.Secret
	File       string   // absolute path
	Command    []string // a program and its arguments; no shell is run
	Credential string   // name of a file in $CREDENTIALS_DIRECTORY

	Terminal *Terminal // shared by all sources of the process; nil = nobody can be asked

	mu    sync.Mutex
	kept  config.Secret // typed, or printed by Command; unset = look it up
	typed bool          // kept was typed
}

// Of returns the source that the configuration names for an account.
func Of(a *config.Account, t *Terminal) *Source {
	return &Source{
		Account: a.Name, Host: a.Host, User: a.User,
		Text: a.PasswordText, File: a.PasswordFile, Command: a.PasswordCommand, Credential: a.Credential,
		Terminal: t,
	}
}

// String names the source in the words of the configuration, such as
// "password_command pass". It holds no secret.
func (s *Source) String() string {
	switch {
	case s.Text.IsSet():
		return "password"
	case s.File != "":
		return "password_file " + s.File
	case len(s.Command) > 0:
		return "password_command " + s.Command[0]
	case s.Credential != "":
		return "credential " + s.Credential
	}
	return "netrc"
}

// Password returns the password. An error is an *Error, or that of a ctx that
// has ended. Programs and questions that use the terminal wait for each other.
func (s *Source) Password(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if kept := s.known(); kept.IsSet() {
		return kept.Reveal(), nil
	}
	switch {
	case s.Text.IsSet():
		return s.Text.Reveal(), nil
	case s.File != "":
		return fromFile(s.String(), s.File)
	case len(s.Command) > 0:
		password, err := s.Terminal.run(ctx, s.String(), s.Command)
		if err == nil {
			s.keep(password, false)
		}
		return password, err
	case s.Credential != "":
		return fromCredential(s.String(), s.Credential)
	}
	path, password, err := fromNetrc(s.Host, s.User)
	if err != nil || password != "" {
		return password, err
	}
	return s.ask(ctx, path)
}

// Refused forgets the password: a server has said that it is wrong. The next
// call of Password looks it up again, or asks for it.
func (s *Source) Refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.typed = config.Secret{}, false
}

// Doubtful tells that a login failed and that the password may or may not be the
// reason. The next call of Password runs the program again; what was typed stays
// known, so that nobody is asked twice because of a broken connection.
func (s *Source) Doubtful() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.typed {
		s.kept = config.Secret{}
	}
}

func (s *Source) known() config.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

func (s *Source) keep(password string, typed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.typed = config.NewSecret(password), typed
}
