// Package secret finds the password or the access token of an account where the
// configuration says that it is, at the moment when it is needed.
//
// The configuration, files, credentials and netrc are read at every call, since they
// may change at any time. A password that a program has printed, and what a user has
// typed, is kept, in memory only, until a server refuses it. A program that prints
// tokens runs at every call: a token is valid for about an hour.
package secret

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"popfetch/internal/config"
)

// Kind is what a secret can be used for.
type Kind uint8

const (
	Password     Kind = iota
	Token             // an OAuth 2.0 access token
	Ticket            // of Kerberos
	ClientSecret      // what a client proves itself with to an OAuth 2.0 provider
)

func (k Kind) String() string {
	switch k {
	case Token:
		return "access token"
	case Ticket:
		return "ticket"
	case ClientSecret:
		return "client secret"
	}
	return "password"
}

// Granter hands out access tokens.
type Granter interface {
	// Token returns a token that is not refused, "" = none was.
	Token(ctx context.Context, refused string) (string, error)
	String() string
}

// Source is where the secret of one account comes from. At most one of Text, File,
// Command, Credential, Keyring, TokenCommand and Grant is set. With none of them Secret looks into
// netrc, and then asks on the terminal.
//
// The exported fields are not changed once Secret has been called. All methods
// may be called from several goroutines.
type Source struct {
	Account string // name of the account, for the question on the terminal
	Host    string // netrc has entries by host and user
	User    string

	Text       config.Secret
	File       string   // absolute path
	Command    []string // a program and its arguments; no shell is run
	Credential string   // name of a file in $CREDENTIALS_DIRECTORY

	Keyring   bool          // the keyring of the system, see Store
	Ring      Ring          // nil = that of the system
	RingLimit time.Duration // how long to wait for it; 0 = as for Command

	TokenCommand []string // as Command, prints an access token
	Grant        Granter  // set if the account signs in by itself; nil = it does not
	AsToken      bool     // what Text, File, Command, Credential, netrc or the user yields is an access token
	OfClient     bool     // Text or Command yields a ClientSecret

	Terminal *Terminal // shared by all sources of the process; nil = nobody can be asked

	waiting atomic.Bool // for an answer of Ring
	mu      sync.Mutex
	granted string        // the last token of Grant
	refused string        // the last one that a server has refused
	kept    config.Secret // typed, or printed by Command; unset = look it up
	typed   bool          // kept was typed
}

// Of returns the source that the configuration names for a login of an account. The caller
// sets Grant if it has OAuth.
func Of(account string, g *config.Login, t *Terminal) *Source {
	return &Source{
		Account: account, Host: g.Host, User: g.User,
		Text: g.PasswordText, File: g.PasswordFile, Command: g.PasswordCommand, Credential: g.Credential,
		Keyring: g.Keyring, TokenCommand: g.TokenCommand, AsToken: !g.TakesPassword(),
		Terminal: t,
	}
}

// String names the source in the words of the configuration, such as
// "password_command pass". It holds no secret.
func (s *Source) String() string {
	switch {
	case s.Text.IsSet() && s.OfClient:
		return "client_secret"
	case s.OfClient:
		return "client_secret_command " + s.Command[0]
	case s.Grant != nil:
		return s.Grant.String()
	case s.Text.IsSet():
		return "password"
	case s.File != "":
		return "password_file " + s.File
	case len(s.Command) > 0:
		return "password_command " + s.Command[0]
	case s.Credential != "":
		return "credential " + s.Credential
	case s.Keyring:
		return "keyring"
	case len(s.TokenCommand) > 0:
		return "token_command " + s.TokenCommand[0]
	}
	return "netrc"
}

// Kind returns what the source yields.
func (s *Source) Kind() Kind {
	switch {
	case s.OfClient:
		return ClientSecret
	case s.AsToken, len(s.TokenCommand) > 0, s.Grant != nil:
		return Token
	}
	return Password
}

// Renews reports whether a second call of Secret, right after the first, may yield
// another secret without anybody's help.
func (s *Source) Renews() bool {
	return len(s.Command) > 0 || len(s.TokenCommand) > 0 || s.Grant != nil
}

// Secret returns the secret. An error is an *Error, or that of a ctx that has ended.
// Programs and questions that use the terminal wait for each other.
func (s *Source) Secret(ctx context.Context) (string, error) {
	text, err := s.find(ctx)
	if err == nil && s.Kind() == Token {
		err = s.checkToken(text)
	}
	if e, ok := errors.AsType[*Error](err); ok && s.Grant == nil {
		e.Kind = s.Kind()
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

// checkToken refuses what cannot be an access token: RFC 6750 section 2.1 allows some of
// the visible characters of ASCII. A program may have printed all that its provider sent.
func (s *Source) checkToken(text string) error {
	i := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
	switch {
	case strings.HasPrefix(text, "{"):
		return &Error{Source: s.String(), Msg: "this is JSON, and not an access token", Hint: "print the value of access_token alone, for example through jq -r .access_token"}
	case i >= 0:
		return &Error{Source: s.String(), Msg: "this is not an access token: it holds a blank, a control character or a character that is not ASCII",
			Hint: "the first line has to be the token alone"}
	}
	return nil
}

func (s *Source) find(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if kept := s.known(); kept.IsSet() {
		return kept.Reveal(), nil
	}
	switch {
	case s.Grant != nil:
		return s.grant(ctx)
	case s.Text.IsSet():
		return s.Text.Reveal(), nil
	case s.File != "":
		return fromFile(s.String(), s.File)
	case len(s.Command) > 0:
		text, err := s.Terminal.run(ctx, s.String(), s.Command)
		if err == nil && s.Kind() != Token {
			s.keep(text, false)
		}
		return text, err
	case s.Keyring:
		return s.fromKeyring(ctx)
	case len(s.TokenCommand) > 0:
		return s.Terminal.run(ctx, s.String(), s.TokenCommand)
	case s.Credential != "":
		return fromCredential(s.String(), s.Credential)
	}
	path, password, err := fromNetrc(s.Host, s.User)
	if err != nil || password != "" {
		return password, err
	}
	return s.ask(ctx, path)
}

func (s *Source) grant(ctx context.Context) (string, error) {
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	text, err := s.Grant.Token(ctx, refused)
	if err == nil {
		s.mu.Lock()
		s.granted = text
		s.mu.Unlock()
	}
	return text, err
}

// Refused forgets the secret: a server has said that it is wrong. The next call of
// Secret looks it up again, or asks for it.
func (s *Source) Refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.typed = config.Secret{}, false
	s.refused = s.granted
}

// Doubtful tells that a login failed and that the secret may or may not be the
// reason. The next call of Secret runs the program again; what was typed stays
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

func (s *Source) keep(text string, typed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.typed = config.NewSecret(text), typed
}
