package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/provider"
	"popfetch/internal/secret"
)

// oauth has the account sign in at its provider.
func (s *setup) oauth(ctx context.Context, tokenOnly bool) error {
	name := ""
	for _, p := range []*provider.Provider{s.provider, provider.ByHost(s.account.Host)} {
		switch {
		case p == nil || name != "":
		case p.Name == "Gmail": // takes passwords too
			name = config.Google
		default:
			name = p.OAuth
		}
	}
	switch {
	case s.flags.tokenCommand != "":
		return nil
	case name == "" && s.flags.clientID != "":
		return &usage{"init: --client-id works with Gmail and Outlook; for another provider see popfetch-oauth(7)"}
	case name == "" || s.flags.passwordCommand != "" || s.flags.passwordFile != "" || s.flags.keyring:
		return nil // the login will tell
	}
	id := s.flags.clientID
	if id == "" && !s.ask.attended() {
		return &fetch.ConfigError{Err: errors.New(s.provider.Advice + "; --client-id or --token-command says how")}
	}
	if tokenOnly {
		s.con.say("%s", s.provider.Advice)
	}
	for id == "" {
		var err error
		if id, err = s.ask.ask(ctx, "ID of your OAuth client (popfetch-oauth(7) says how to get one)", ""); err != nil {
			return err
		}
	}
	s.account.OAuth, s.account.ClientID = config.NamedOAuth(name), id
	return s.clientSecret(ctx)
}

// clientSecret gets the secret of the client, which Google demands, though its kind of
// client cannot keep one. With --print it would be shown.
func (s *setup) clientSecret(ctx context.Context) error {
	switch {
	case s.flags.clientSecret != "":
		s.account.ClientSecretCommand = command(s.flags.clientSecret)
	case s.lacksClientSecret() && s.ask.attended() && !s.flags.print:
		text, err := s.ask.terminal.Read(ctx, "Secret of your OAuth client: ")
		if err != nil {
			return secretError(err)
		}
		s.account.ClientSecret = config.NewSecret(text)
	}
	return nil
}

// lacksClientSecret reports whether the provider demands a secret that is not known.
func (s *setup) lacksClientSecret() bool {
	a := s.account
	return a.OAuth.Provider == config.Google && !a.ClientSecret.IsSet() && len(a.ClientSecretCommand) == 0
}

// mostTries is how often a user may mistype a password: many providers lock an account
// after a few more.
const mostTries = 3

// login asks for the password and tests it.
func (s *setup) login(ctx context.Context) error {
	a := s.account
	if a.OAuth.IsSet() { // popfetch authorize comes first
		return nil
	}
	var err error
	switch f := s.flags; {
	case f.passwordCommand != "":
		a.PasswordCommand = command(f.passwordCommand)
	case f.tokenCommand != "":
		a.TokenCommand = command(f.tokenCommand)
	case f.passwordFile != "":
		if a.PasswordFile, err = absolute(f.passwordFile); err != nil {
			return &fetch.ConfigError{Err: err}
		}
	default:
		return s.loginWithPassword(ctx)
	}
	return s.test(ctx)
}

// loginWithPassword asks until the server takes the password, and reads it from standard
// input if that is no terminal.
func (s *setup) loginWithPassword(ctx context.Context) error {
	if !s.con.quiet {
		s.con.say("server %s, user %s", s.account.Address(), printable(s.account.User))
		if s.provider != nil && s.provider.Advice != "" {
			s.con.say("%s", s.provider.Advice)
		}
	}
	for try := 1; ; try++ {
		password, err := s.ask.terminal.Read(ctx, fmt.Sprintf("Password of %s: ", printable(s.account.User)))
		if err != nil {
			return secretError(err)
		}
		s.account.PasswordText = config.NewSecret(password)
		err = s.test(ctx)
		s.account.PasswordText = config.Secret{}
		if err == nil {
			s.typed = password
			return nil
		}
		if fetch.Classify(err) != fetch.Auth || try == mostTries || !s.ask.attended() {
			return err
		}
		s.con.complain(err)
		if s.account.User, err = s.ask.ask(ctx, "User, as the server knows it", s.account.User); err != nil {
			return err
		}
		if err := s.checkTwin(); err != nil {
			return err
		}
	}
}

// source is where the configuration in the making says that the secret is.
func (s *setup) source() *secret.Source {
	return secret.Of(s.account.Name, &s.account.Login, s.ask.terminal)
}

// test logs in, looks what waits, and fetches nothing.
func (s *setup) test(ctx context.Context) error {
	found := new(inspection)
	if err := found.visit(ctx, s.account, s.source(), "", s.con); err != nil {
		return err
	}
	s.waiting = fmt.Sprintf("%s, %s", messages(found.Messages), size(found.Octets))
	if !s.con.quiet {
		s.con.say("logged in with %s; waiting mail: %s", found.Method, s.waiting)
	}
	return nil
}

// keepPassword finds a place for a password that was typed: in the configuration it would
// be in the way when that is shown to others.
func (s *setup) keepPassword(ctx context.Context, file string) error {
	if s.typed == "" {
		return nil
	}
	choices, choice := []string{"file", "command", "nowhere"}, "file"
	if secret.HasKeyring() {
		choices = append([]string{"keyring"}, choices...)
		choice = "keyring"
	}
	if s.flags.keyring {
		choice = "keyring"
	}
	for {
		if s.ask.attended() && !s.flags.keyring {
			var err error
			if choice, err = s.ask.ask(ctx, "Keep the password in: "+strings.Join(choices, ", "), choice); err != nil {
				return err
			}
		}
		var err error
		switch choice {
		case "keyring":
			s.account.Keyring = true
			err = s.source().Store(ctx, s.typed)
		case "file":
			s.account.PasswordFile = file
		case "command":
			err = s.askCommand(ctx)
		case "nowhere": // popfetch asks
		default:
			s.con.say("one of %s", strings.Join(choices, ", "))
			choice = choices[0]
			continue
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, errInputEnded) || !s.ask.attended() || s.flags.keyring {
			if err != nil && ctx.Err() == nil {
				return secretError(err)
			}
			return err
		}
		s.con.complain(err)
		s.account.Keyring, s.account.PasswordCommand, choice = false, nil, "file"
	}
}

// askCommand asks for a command, which has to print the password that the server has taken.
func (s *setup) askCommand(ctx context.Context) error {
	line, err := s.ask.ask(ctx, "Command", "")
	if err != nil {
		return err
	}
	if line == "" {
		return errors.New("no command")
	}
	s.account.PasswordCommand = command(line)
	text, err := s.source().Secret(ctx)
	switch {
	case err != nil:
		return err
	case strings.TrimRight(text, "\r\n") != s.typed:
		return errors.New("the command prints another password than the one that the server has taken")
	}
	return nil
}
