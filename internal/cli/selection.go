package cli

import (
	"log/slog"
	"os"
	"sync"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

// selection is the configuration and the accounts that a command line names.
type selection struct {
	config *config.Config
	chosen []*config.Account
	polls  int // how many accounts may be visited at once
	spare  int // how many more, for polls that take long
	files  int // how many files of messages each poll may keep open

	terminal *secret.Terminal // where passwords are asked for

	naming sync.Once
	byName map[string]*config.Account // see named
}

// selection loads the configuration that the flags of c name and chooses
// accounts by its arguments.
func (p *program) selection(c *cli.Context, con *console) (*selection, error) {
	cfg, err := loadConfig(c, con)
	if err != nil {
		return nil, err
	}
	return p.choose(cfg, c.Args().Slice())
}

func (p *program) choose(cfg *config.Config, args []string) (*selection, error) {
	var commands []string
	for _, c := range p.commands() {
		if !c.Hidden {
			commands = append(commands, c.Name)
		}
	}
	chosen, err := choose(cfg, args, commands)
	if err != nil {
		return nil, err
	}
	polls, spare, files := share(descriptors(), cfg.Parallel, len(cfg.Accounts))
	return &selection{config: cfg, chosen: chosen, polls: polls, spare: spare, files: files, terminal: secret.NewTerminal(os.Stdin, os.Stderr)}, nil
}

// named returns the configured account of a name, nil if there is none.
func (s *selection) named(name string) *config.Account {
	s.naming.Do(func() {
		s.byName = make(map[string]*config.Account, len(s.config.Accounts))
		for _, a := range s.config.Accounts {
			s.byName[a.Name] = a
		}
	})
	return s.byName[name]
}

// isChosen has the chosen accounts.
func (s *selection) isChosen() map[*config.Account]bool {
	chosen := make(map[*config.Account]bool, len(s.chosen))
	for _, a := range s.chosen {
		chosen[a] = true
	}
	return chosen
}

// accountNames returns the set of the names of accounts.
func accountNames(accounts []*config.Account) map[string]bool {
	names := make(map[string]bool, len(accounts))
	for _, a := range accounts {
		names[a.Name] = true
	}
	return names
}

// loadConfig loads the configuration that the flags of c name and prints its
// warnings.
func loadConfig(c *cli.Context, con *console) (*config.Config, error) {
	file := c.String("config")
	if file == "" {
		file = config.DefaultPath()
	}
	cfg, err := config.Load(file, configOptions())
	if err != nil {
		return nil, &fetch.ConfigError{Err: err}
	}
	if !con.quiet {
		for _, w := range cfg.Warnings {
			con.tell(slog.LevelWarn, "", "warning: "+w)
		}
	}
	return cfg, nil
}

// hostName is the name of this machine in file names and Received fields.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}
