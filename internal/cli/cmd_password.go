package cli

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
)

func (p *program) passwordCommand() *cli.Command {
	return &cli.Command{
		Name:   "password",
		Usage:  "keep the password of an account in the keyring",
		Action: subcommandNeeded,
		Flags:  flags(),
		Subcommands: []*cli.Command{
			{Name: "set", Usage: "ask for the password and put it into the keyring", ArgsUsage: "ACCOUNT", Flags: flags(destinationFlag()), Action: p.passwordSet},
			{Name: "remove", Usage: "remove the password from the keyring", ArgsUsage: "ACCOUNT", Flags: flags(destinationFlag()), Action: p.passwordRemove},
		},
	}
}

func (p *program) passwordSet(c *cli.Context) error {
	con := p.console(c)
	s, a, err := p.oneAccount(c, con)
	if err != nil {
		return err
	}
	failed := func(err error) error { return &fetch.AccountError{Account: a.Name, Errs: []error{err}} }
	g, _, source, err := s.loginOf(c, a)
	if err != nil {
		return err
	}
	if !g.Keyring {
		return failed(&fetch.ConfigError{Err: errors.New("the account does not set keyring = true, so it would not use the password")})
	}
	password, err := s.terminal.Read(c.Context, fmt.Sprintf("Password for account %s (%s at %s): ", a.Name, printable(g.User), g.Host))
	if err == nil {
		err = source.Store(c.Context, password)
	}
	if err != nil {
		return failed(secretError(err))
	}
	if !con.quiet {
		con.say("%s: the keyring has the password", a.Name)
	}
	return nil
}

func (p *program) passwordRemove(c *cli.Context) error {
	con := p.console(c)
	s, a, err := p.oneAccount(c, con)
	if err != nil {
		return err
	}
	_, _, source, err := s.loginOf(c, a)
	if err != nil {
		return err
	}
	if err := source.Remove(c.Context); err != nil {
		return &fetch.AccountError{Account: a.Name, Errs: []error{secretError(err)}}
	}
	if !con.quiet {
		con.say("%s: the password is removed from the keyring", a.Name)
	}
	return nil
}
