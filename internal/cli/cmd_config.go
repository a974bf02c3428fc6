package cli

import (
	"errors"
	"fmt"
	"os/exec"

	"github.com/urfave/cli/v2"

	"popfetch/internal/config"
)

func (p *program) configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "check or show the configuration",
		Action: func(c *cli.Context) error {
			return &usage{"config: say check or show"}
		},
		Flags: flags(),
		Subcommands: []*cli.Command{
			{Name: "check", Usage: "say whether the configuration is in order", Flags: flags(), Action: p.configCheck},
			{Name: "show", Usage: "show the configuration as it takes effect, secrets masked", Flags: flags(), Action: p.configShow},
		},
	}
}

func (p *program) configCheck(c *cli.Context) error {
	if c.Args().Present() {
		return &usage{fmt.Sprintf("config check takes no argument, %q was given", c.Args().First())}
	}
	cfg, err := p.config(c)
	if err != nil {
		return err
	}
	if err := p.named(cfg); err != nil {
		return err
	}
	enabled := 0
	for _, a := range cfg.Accounts {
		if a.Enabled {
			enabled++
		}
	}
	fmt.Fprintf(p.out, "%s: in order, %d accounts, %d of them enabled\n", cfg.File, len(cfg.Accounts), enabled)
	return nil
}

func (p *program) configShow(c *cli.Context) error {
	if c.Args().Present() {
		return &usage{fmt.Sprintf("config show takes no argument, %q was given", c.Args().First())}
	}
	cfg, err := p.config(c)
	if err != nil {
		return err
	}
	return cfg.Show(p.out)
}

// named looks for the files and programs that the configuration names and that
// hold no secret. It says what is missing and returns all of it.
func (p *program) named(cfg *config.Config) error {
	var errs []error
	missing := func(account, key string, err error) {
		if err != nil {
			e := &config.Error{File: cfg.File, Account: account, Key: key, Msg: err.Error(), Err: err}
			p.complain(e)
			errs = append(errs, e)
		}
	}
	look := func(account, key string, argv []string) {
		if len(argv) > 0 {
			_, err := exec.LookPath(argv[0])
			missing(account, key, err)
		}
	}
	look("", "on_new_mail", cfg.OnNewMail)
	for _, a := range cfg.Accounts {
		if !a.Enabled {
			continue
		}
		look(a.Name, "mda", a.MDA)
		look(a.Name, "password_command", a.PasswordCommand)
		if a.TLS != config.TLSNone {
			_, err := (&door{account: a}).tls(a.Host)
			missing(a.Name, "", err)
		}
	}
	return said(errors.Join(errs...))
}
