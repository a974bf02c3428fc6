// Package cli is the command line: it reads arguments and configuration,
// connects the other packages, and turns results into text, JSON and an exit
// code. It is the only package that knows all the others.
package cli

import (
	"io"
	"net"
	"net/http"
	"os"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"popfetch/internal/discovery"
)

// program is one run of popfetch.
type program struct {
	out      io.Writer // data
	err      io.Writer // messages; commands write through their console
	version  string
	terminal bool     // out and err are both terminals, so somebody watches
	width    int      // columns of the terminal that out is; 0 = out is not a terminal
	journal  bool     // err is the journal of systemd
	last     *console // of the command that runs; nil before it has one

	// What init asks about a server.
	resolver discovery.Resolver
	web      http.RoundTripper // nil = the usual one

	signals signals
}

// Main runs popfetch with the arguments, the first of which is the program's
// name, and returns the exit code.
func Main(args []string, stdout, stderr *os.File, version string) int {
	return run(args, stdout, stderr, version, net.DefaultResolver, nil)
}

// run is Main with these for what init asks about a server.
func run(args []string, stdout, stderr *os.File, version string, resolver discovery.Resolver, web http.RoundTripper) int {
	// Mail is private, and so is what the programs create that popfetch runs.
	unix.Umask(0o077)
	out := &dataStream{w: stdout}
	p := &program{
		out: out, err: stderr, version: version, resolver: resolver, web: web,
		terminal: term.IsTerminal(int(stdout.Fd())) && term.IsTerminal(int(stderr.Fd())),
	}
	if width, _, err := term.GetSize(int(stdout.Fd())); err == nil {
		p.width = width
	}
	p.journal, _ = journal.StderrIsJournalStream()
	ctx, stop := p.signals.untilStopped()
	defer stop()
	args = arrange(args, p.commands())
	err := p.app(args).RunContext(ctx, args)
	if code := p.exit(ctx, err); code != exitOK || out.err == nil {
		return code
	}
	return p.exit(ctx, out.err)
}

// app describes the command line to the library. It keeps the library from
// printing usage errors to stdout and from ending the process. args are what it
// is going to run: only if they ask for help is that written.
func (p *program) app(args []string) *cli.App {
	commands := p.commands()
	if wantsHelp(args) {
		for _, c := range commands {
			if c.Name != pollCommand {
				explain(c, "", examples())
			}
		}
	}
	return &cli.App{
		Name:                  "popfetch",
		Usage:                 "fetch mail from POP3 accounts into Maildirs, mboxes, a program or a mail server",
		CustomAppHelpTemplate: help,
		HideVersion:           true,
		HideHelpCommand:       true,
		Writer:                p.out,
		ErrWriter:             p.err,
		Commands:              commands,
		ExitErrHandler:        ignoreExitError,
		OnUsageError:          usageError,
		// A comma is an ordinary character of a file name.
		DisableSliceFlagSeparator: true,
	}
}

// pollCommand is the command that runs when none is named. It is hidden:
// arrange inserts it.
const pollCommand = "poll"

func (p *program) commands() []*cli.Command {
	commands := []*cli.Command{
		p.initCommand(), p.importCommand(), p.pollCommand(), p.checkCommand(), p.listCommand(), p.statusCommand(), p.configCommand(), p.stateCommand(),
		p.authorizeCommand(), p.tokenCommand(), p.passwordCommand(), p.completionCommand(),
	}
	for _, c := range commands {
		c.OnUsageError = usageError
		c.HideHelpCommand = true // "help" may be an account
		for _, sub := range c.Subcommands {
			sub.OnUsageError, sub.HideHelpCommand = usageError, true
		}
	}
	return commands
}

// flags returns the flags that every command has, followed by more. They are
// created for each command, since the library stores values in them.
func flags(more ...cli.Flag) []cli.Flag {
	verbose := boolFlag("explain decisions; twice: show the POP3 dialogue", "verbose", "v")
	verbose.Count = new(int)
	return append([]cli.Flag{
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "read the configuration from `FILE`"},
		verbose,
		boolFlag("print errors only", "quiet", "q"),
	}, more...)
}

// boolFlag returns a flag without a value, whose help does not show its default.
func boolFlag(usage, name string, aliases ...string) *cli.BoolFlag {
	return &cli.BoolFlag{Name: name, Aliases: aliases, Usage: usage, DisableDefaultText: true}
}

func jsonFlag() cli.Flag {
	return boolFlag("write JSON to standard output, one object a line", "json")
}

const help = `popfetch: fetch mail from POP3 accounts into Maildirs, mboxes, a program or a mail server

usage:
  popfetch init ADDRESS           find the server, test the login, write the configuration
  popfetch import mpop|fetchmail|getmail|fdm|thunderbird [FILE]  take over configuration and seen mail
  popfetch [ACCOUNT...]           poll forever, each account at its interval
  popfetch --once [ACCOUNT...]    poll each account once and exit, for cron
  popfetch check [ACCOUNT...]     test the accounts: connection, login, destination
  popfetch list [ACCOUNT...]      list the messages on the server and their state
  popfetch status [ACCOUNT...]    show how the last polls went and when the next are
  popfetch authorize ACCOUNT      sign in at an OAuth 2.0 provider
  popfetch token ACCOUNT          print an access token, for other programs
  popfetch password set|remove ACCOUNT  keep a password in the keyring
  popfetch config check           check the configuration
  popfetch config show            show the configuration in effect, passwords masked
  popfetch state check            check the state file
  popfetch state restore|compact  restore its snapshot; make it smaller
  popfetch state rebuild [ACCOUNT...]  learn from the Maildirs what was delivered
  popfetch state seed [ACCOUNT...]     count what is on the server as delivered
  popfetch state retry [ACCOUNT...]    try again what was set aside or not deleted
  popfetch state trust ACCOUNT...      accept a new key (tls_fingerprint = "first-use")
  popfetch state forget ACCOUNT...     fetch everything again
  popfetch completion bash|zsh|fish    print the completion of a shell

ACCOUNT is the name of an account in the configuration or a pattern like 'work*';
the default is all enabled accounts.

flags:
  -1, --once          poll each account once and exit
  -n, --dry-run       show what would be fetched and deleted, and do nothing
  -k, --keep          delete nothing on the server in this run
  -c, --config FILE   read the configuration from FILE
      --json          write JSON to standard output, one object a line
  -v, --verbose       explain decisions; -vv: show the POP3 dialogue
  -q, --quiet         print errors only
      --version       show the version
  -h, --help          show this; popfetch COMMAND --help: flags of a command

examples:
  popfetch init me@example.org    set up the first account
  popfetch --once -n 'work*'      what would a poll of these accounts do?
  popfetch --once --json          poll all accounts, and report to a program

exit codes: 0 success, with or without new mail; 64 usage; 73 delivery;
74 state file; 75 temporary failure; 76 protocol or TLS; 77 login refused;
78 configuration; 130 and 143 interrupted. See popfetch(1).
`
