package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"popfetch/internal/config"
)

// usage is a command line that makes no sense.
type usage struct{ msg string }

func (e *usage) Error() string { return e.msg + "; see popfetch --help" }

// didYouMean returns a question to append to a message about an unknown name,
// "" if none of the names resembles it.
func didYouMean(got string, names []string) string {
	if name := config.Nearest(got, names); name != "" {
		return fmt.Sprintf(" (did you mean %q?)", name)
	}
	return ""
}

// usageError turns an error of the library about flags into one of ours.
func usageError(c *cli.Context, err error, _ bool) error {
	flag, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return &usage{err.Error()}
	}
	msg := "unknown flag " + dashed(flag)
	if c.Command != nil && c.Command.Name != pollCommand {
		msg = fmt.Sprintf("%s has no flag %s", commandName(c), dashed(flag))
	}
	if len(flag) > 1 && c.Command != nil {
		var names []string
		for _, f := range c.Command.Flags {
			for _, name := range f.Names() {
				if len(name) > 1 {
					names = append(names, dashed(name))
				}
			}
		}
		msg += didYouMean(dashed(flag), names)
	}
	return &usage{msg}
}

// dashed returns a flag as it is typed.
func dashed(flag string) string {
	if len(flag) == 1 {
		return "-" + flag
	}
	return "--" + flag
}

// commandName returns the name of the command that runs, as it is typed.
func commandName(c *cli.Context) string {
	return strings.TrimPrefix(c.Command.HelpName, c.App.Name+" ")
}

// noArguments is an error if c was given any.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return &usage{fmt.Sprintf("%s takes no argument, but got %q", commandName(c), c.Args().First())}
	}
	return nil
}

// subcommandNeeded is the action of a command that consists of subcommands: it
// is run only if none of them was named.
func subcommandNeeded(c *cli.Context) error {
	var names []string
	for _, sub := range c.Command.Subcommands {
		if !sub.Hidden {
			names = append(names, sub.Name)
		}
	}
	choice := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	if !c.Args().Present() {
		return &usage{fmt.Sprintf("%s needs a subcommand: %s", c.Command.Name, choice)}
	}
	got := c.Args().First()
	return &usage{fmt.Sprintf("%s has no subcommand %q%s, only %s", c.Command.Name, got, didYouMean(got, names), choice)}
}
