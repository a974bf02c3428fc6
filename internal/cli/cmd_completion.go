package cli

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"popfetch/internal/config"
)

// completions are the scripts for the shells. They call "popfetch completion words" for
// what can stand where the cursor is.
//
//go:embed completion
var completions embed.FS

func shells() []string { return []string{"bash", "zsh", "fish"} }

func (p *program) completionCommand() *cli.Command {
	command := &cli.Command{
		Name: "completion", Usage: "print a script that completes commands, flags and accounts in a shell",
		Action: subcommandNeeded, Flags: flags(),
	}
	for _, shell := range shells() {
		command.Subcommands = append(command.Subcommands, &cli.Command{
			Name: shell, Usage: "print the script for " + shell, Flags: flags(),
			Action: func(c *cli.Context) error {
				if err := noArguments(c); err != nil {
					return err
				}
				script, err := completions.ReadFile("completion/popfetch." + shell)
				if err == nil {
					_, err = p.out.Write(script)
				}
				return err
			},
		})
	}
	command.Subcommands = append(command.Subcommands, &cli.Command{
		Name: "words", Hidden: true, Usage: "print what can stand in the place of the last argument", Flags: flags(),
		Action: func(c *cli.Context) error { return p.complete(c.Args().Slice()) },
	})
	return command
}

// complete prints what can stand in the place of the last word of a command line, without
// the name of the program: a word, a tab and what it means in each line, or ":files"
// alone for the name of a file.
func (p *program) complete(words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	last := len(words) - 1
	l := &commandLine{commands: p.commands()}
	for _, word := range words[:last] {
		l.read(word)
	}
	return l.write(p.out, words[last])
}

// commandLine is what has been typed before the word at the cursor.
type commandLine struct {
	commands []*cli.Command
	chosen   []*cli.Command // command and subcommand
	args     []string       // behind these
	file     string         // of --config
	value    string         // the flag whose value is next, without dashes; "" = none
	noFlags  bool           // "--" was there
}

// read takes the next word.
func (l *commandLine) read(word string) {
	switch {
	case word == "=" && l.value != "": // bash makes three words of --config=FILE
	case l.value != "":
		if l.value == "config" || l.value == "c" {
			l.file = word
		}
		l.value = ""
	case word == "--":
		l.noFlags = true
	case len(word) > 1 && word[0] == '-' && !l.noFlags:
		name, value, assigned := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch {
		case !valueFlags(l.commands)[name]:
		case assigned:
			l.value = name
			l.read(value)
		default:
			l.value = name
		}
	default:
		if c := l.find(word); c != nil && len(l.args) == 0 {
			l.chosen = append(l.chosen, c)
			return
		}
		l.args = append(l.args, word)
	}
}

// find returns the command that a word names at this place, nil if none.
func (l *commandLine) find(word string) *cli.Command {
	for _, c := range l.next() {
		if c.Name == word {
			return c
		}
	}
	return nil
}

// next returns the commands that can come next.
func (l *commandLine) next() []*cli.Command {
	if len(l.chosen) == 0 {
		return l.commands
	}
	return l.chosen[len(l.chosen)-1].Subcommands
}

// command returns the command that is going to run.
func (l *commandLine) command() *cli.Command {
	if n := len(l.chosen); n > 0 {
		return l.chosen[n-1]
	}
	return l.commands[slices.IndexFunc(l.commands, func(c *cli.Command) bool { return c.Name == pollCommand })]
}

// write prints what begins with typed and can come next.
func (l *commandLine) write(w io.Writer, typed string) (err error) {
	offer := func(word, meaning string) {
		if err == nil && strings.HasPrefix(word, typed) {
			_, err = fmt.Fprintf(w, "%s\t%s\n", word, meaning)
		}
	}
	command := l.command()
	switch {
	case l.value != "" && strings.Contains(flagUsage(command, l.value), "`"+fileValue+"`"):
		_, err = fmt.Fprintln(w, ":files")
		return err
	case l.value != "":
		return nil
	case strings.HasPrefix(typed, "-") && !l.noFlags:
		for _, f := range command.Flags {
			for _, name := range f.Names() {
				offer(dashed(name), strings.ReplaceAll(usageOf(f), "`", ""))
			}
		}
		offer("--help", "explain the command")
		return err
	}
	if len(l.args) == 0 {
		for _, c := range l.next() {
			if !c.Hidden {
				offer(c.Name, c.Usage)
			}
		}
	}
	switch {
	case command.Name == "import" && len(l.args) == 0:
		for _, f := range fetchers() {
			offer(f.name, "mail fetcher")
		}
	case command.Name == "import":
		_, err = fmt.Fprintln(w, ":files")
	case command.Name == pollCommand, strings.Contains(command.ArgsUsage, "ACCOUNT"):
		for _, a := range l.accounts() {
			if !slices.Contains(l.args, a.Name) {
				offer(a.Name, a.User+" at "+a.Host)
			}
		}
	}
	return err
}

// accounts returns the accounts of the configuration, none if it cannot be read: this is
// no place for an error.
func (l *commandLine) accounts() []*config.Account {
	file := l.file
	if file == "" {
		file = config.DefaultPath()
	}
	cfg, err := config.Load(file, configOptions())
	if err != nil {
		return nil
	}
	return cfg.Accounts
}

// fileValue is what the usage of a flag calls the name of a file.
const fileValue = "FILE"

// flagUsage returns the usage of a flag of a command, "" if it has no such flag.
func flagUsage(c *cli.Command, name string) string {
	for _, f := range c.Flags {
		if slices.Contains(f.Names(), name) {
			return usageOf(f)
		}
	}
	return ""
}

func usageOf(f cli.Flag) string {
	if documented, ok := f.(cli.DocGenerationFlag); ok {
		return documented.GetUsage()
	}
	return ""
}
