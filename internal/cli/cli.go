// Package cli is the command line: it reads the arguments and the
// configuration, puts the rooms of the house together, and turns what comes of
// it into words, JSON and an exit code. It is the only package that knows all
// others.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// program is one run of popfetch.
type program struct {
	in      *os.File
	out     io.Writer // data
	err     io.Writer // words
	version string
	// terminal: both out and err are one, so somebody watches.
	terminal bool
}

// Main runs popfetch with the arguments, the first of which is the program's
// name, and returns the exit code.
func Main(args []string, stdin, stdout, stderr *os.File, version string) int {
	// Mail is nobody else's business, whatever a program that is run here
	// creates.
	unix.Umask(0o077)
	p := &program{
		in: stdin, err: stderr, version: version,
		terminal: term.IsTerminal(int(stdout.Fd())) && term.IsTerminal(int(stderr.Fd())),
	}
	out := &data{w: stdout}
	p.out = out
	ctx, stop := untilSignal()
	defer stop()
	err := p.app().RunContext(ctx, arrange(args, p.commands()))
	if code := p.exit(ctx, err); code != exitOK || out.err == nil {
		return code
	}
	return p.exit(ctx, out.err)
}

// app describes the command line to the library. Nothing in it may print a
// usage error to stdout or end the process: both are the library's habit.
func (p *program) app() *cli.App {
	return &cli.App{
		Name:                  "popfetch",
		Usage:                 "fetch mail from POP3 accounts into Maildirs or a program",
		CustomAppHelpTemplate: help,
		HideVersion:           true,
		HideHelpCommand:       true,
		Writer:                p.out,
		ErrWriter:             p.err,
		Commands:              p.commands(),
		ExitErrHandler:        func(*cli.Context, error) {},
		OnUsageError:          usageError,
		// A comma is an ordinary character of a file name.
		DisableSliceFlagSeparator: true,
	}
}

// pollCommand is what popfetch does when no other command is named. It is not
// shown: arrange puts it in.
const pollCommand = "poll"

func (p *program) commands() []*cli.Command {
	commands := []*cli.Command{
		p.pollCommand(), p.checkCommand(), p.listCommand(), p.configCommand(), p.stateCommand(),
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

// flags returns the flags that every command has, and the given ones. A flag
// value belongs to one command: the library writes into it.
func flags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "read the configuration from `FILE`"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Count: new(int), Usage: "say what is decided and why; twice: show the POP3 dialogue"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing but errors"},
	}, more...)
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "write one JSON object a line to standard output"}
}

// usageError puts the library's words into ours.
func usageError(c *cli.Context, err error, _ bool) error {
	flag, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return &usage{err.Error()}
	}
	dashes := "--"
	if len(flag) == 1 {
		dashes = "-"
	}
	if c.Command == nil || c.Command.Name == pollCommand {
		return &usage{fmt.Sprintf("there is no flag %s%s", dashes, flag)}
	}
	return &usage{fmt.Sprintf("%s does not take %s%s", c.Command.Name, dashes, flag)}
}

// usage is a command line that cannot be understood.
type usage struct{ msg string }

func (e *usage) Error() string { return e.msg + " (popfetch --help shows what there is)" }

// stopped is why the context of a run ended: a signal.
type stopped struct{ signal syscall.Signal }

func (e *stopped) Error() string { return fmt.Sprintf("stopped by signal: %v", e.signal) }

// Unwrap makes it a cancellation like any other.
func (e *stopped) Unwrap() error { return context.Canceled }

// untilSignal returns a context that ends at the first SIGINT, SIGTERM or
// SIGHUP. The second one ends the process as if it were not caught. A closed
// standard output is an error of the write like any other, not a SIGPIPE: mail
// comes first.
func untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(c, syscall.SIGHUP)
	}
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	go func() {
		select {
		case s := <-c:
			signal.Stop(c)
			cancel(&stopped{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		signal.Stop(pipe)
		cancel(errors.New("done"))
	}
}

const help = `popfetch: fetch mail from POP3 accounts into Maildirs or a program

usage:
  popfetch [ACCOUNT...]           poll for ever, each account at its interval
  popfetch --once [ACCOUNT...]    poll each account once and exit, for cron
  popfetch check [ACCOUNT...]     log in, show TLS, capabilities and waiting mail
  popfetch list [ACCOUNT...]      show what is in the maildrops, and what was fetched
  popfetch config check           say whether the configuration is in order
  popfetch config show            show the configuration as it takes effect
  popfetch state check            say whether the state file is in order
  popfetch state restore|compact  bring its snapshot back; make it smaller
  popfetch state rebuild [ACCOUNT...]  learn from the Maildirs what was delivered
  popfetch state retry [ACCOUNT...]    try again what was set aside
  popfetch state forget ACCOUNT...     fetch everything again

ACCOUNT is the name of an account in the configuration or a pattern like 'work*';
without one all enabled accounts are meant.

flags:
  -1, --once          poll each account once and exit
  -n, --dry-run       say what would be fetched and deleted, and do not do it
  -k, --keep          delete nothing from the servers this time
  -c, --config FILE   read the configuration from FILE
      --json          write one JSON object a line to standard output
  -v, --verbose       say what is decided and why; -vv: show the POP3 dialogue
  -q, --quiet         say nothing but errors
      --version       show the version
  -h, --help          show this; popfetch COMMAND --help: more of a command

exit codes: 0 all well, with or without new mail; 64 usage; 73 delivery;
74 state file; 75 temporary, try again; 76 protocol or TLS; 77 login refused;
78 configuration; 130 and 143 interrupted. See popfetch(1).
`
