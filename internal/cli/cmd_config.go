package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"
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
