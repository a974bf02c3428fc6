package cli

import (
	"errors"
	"fmt"
	"os/exec"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/internal/config"
)

func (p *program) configCommand() *cli.Command {
	return &cli.Command{
		Name:   "config",
		Usage:  "check or show the configuration",
		Action: subcommandNeeded,
		Flags:  flags(),
		Subcommands: []*cli.Command{
			{Name: "check", Usage: "check the configuration, and that the files and programs exist that it names", Flags: flags(), Action: p.configCheck},
			{Name: "show", Usage: "show the configuration in effect, passwords masked", Flags: flags(), Action: p.configShow},
		},
	}
}

func (p *program) configCheck(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	con := p.console(c)
	cfg, err := loadConfig(c, con)
	if err != nil {
		return err
	}
	if err := checkFiles(cfg, con); err != nil {
		return err
	}
	enabled := 0
	for _, a := range cfg.Accounts {
		if a.Enabled {
			enabled++
		}
	}
	fmt.Fprintf(con.out, "%s: ok, accounts: %d, enabled: %d\n", cfg.File, len(cfg.Accounts), enabled)
	return nil
}

func (p *program) configShow(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	cfg, err := loadConfig(c, p.console(c))
	if err != nil {
		return err
	}
	return cfg.Show(p.out)
}

// checkFiles looks for the files and programs that the configuration names,
// those with secrets aside. It prints an error for each that is missing and
// returns all of them.
func checkFiles(cfg *config.Config, con *console) error {
	var errs []error
	check := func(account, key string, err error) {
		if err != nil {
			e := &config.Error{File: cfg.File, Account: account, Key: key, Msg: err.Error(), Err: err}
			con.complain(e)
			errs = append(errs, &fetch.ConfigError{Err: e})
		}
	}
	checkProgram := func(account, key string, argv []string) {
		if len(argv) > 0 {
			_, err := exec.LookPath(argv[0])
			check(account, key, err)
		}
	}
	checkProgram("", "on_new_mail", cfg.OnNewMail)
	checkProgram("", "on_failure", cfg.OnFailure)
	for _, a := range cfg.Accounts {
		if !a.Enabled {
			continue
		}
		checkProgram(a.Name, "mda", a.MDA)
		checkProgram(a.Name, "password_command", a.PasswordCommand)
		checkProgram(a.Name, "token_command", a.TokenCommand)
		checkProgram(a.Name, "client_secret_command", a.ClientSecretCommand)
		if a.TLS != config.TLSNone {
			_, err := (&connector{account: a}).tls(a.Host, "")
			check(a.Name, "", err)
		}
	}
	return reported(errors.Join(errs...))
}
