package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts a command line into the order that the library understands:
// command, flags, "--", arguments. Otherwise the library takes a flag after an
// argument for another argument, so that "popfetch work -n" would fetch
// instead of showing what it would fetch. If no command is named, it inserts
// pollCommand. Short flags may be combined: -1nv.
func arrange(args []string, commands []*cli.Command) []string {
	takesValue := valueFlags(commands)
	var words, flags []string
	valueMissing := false
	rest := args[1:]
	for len(rest) > 0 && rest[0] != "--" {
		arg := rest[0]
		rest = rest[1:]
		if len(arg) < 2 || arg[0] != '-' {
			words = append(words, arg)
			continue
		}
		own := separate(arg, takesValue)
		last := &own[len(own)-1]
		if takesValue[strings.TrimLeft(*last, "-")] {
			if valueMissing = len(rest) == 0; !valueMissing {
				*last += "=" + rest[0]
				rest = rest[1:]
			}
		}
		flags = append(flags, own...)
	}
	if len(rest) > 0 {
		rest = rest[1:] // "--"
	}
	// Many people try these first.
	if len(words) > 0 && len(rest) == 0 && (words[0] == "help" || words[0] == "version") {
		flags = append(flags, "--"+words[0])
		words = words[1:]
	}
	command, words := commandOf(words, commands)
	if command == nil && wantsHelp(flags) {
		return append(args[:1:1], "--help")
	}
	if command == nil {
		command = []string{pollCommand}
	}
	if valueMissing { // with "--" here the library would take it for the value
		return slices.Concat(args[:1], command, flags)
	}
	return slices.Concat(args[:1], command, flags, []string{"--"}, words, rest)
}

// valueFlags returns the names of the flags that take a value.
func valueFlags(commands []*cli.Command) map[string]bool {
	names := make(map[string]bool)
	for _, c := range commands {
		for _, f := range c.Flags {
			if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() {
				for _, name := range f.Names() {
					names[name] = true
				}
			}
		}
		for name := range valueFlags(c.Subcommands) {
			names[name] = true
		}
	}
	return names
}

// separate splits combined short flags. What follows a flag that takes a value
// is its value.
func separate(arg string, takesValue map[string]bool) []string {
	if strings.HasPrefix(arg, "--") {
		return []string{arg}
	}
	var flags []string
	for i, c := range arg[1:] {
		if takesValue[string(c)] && i+2 < len(arg) {
			return append(flags, "-"+string(c)+"="+strings.TrimPrefix(arg[i+2:], "="))
		}
		flags = append(flags, "-"+string(c))
	}
	return flags
}

// commandOf splits words into those that name a command and the rest.
func commandOf(words []string, commands []*cli.Command) (command, others []string) {
	if len(words) == 0 || words[0] == pollCommand {
		return nil, words
	}
	for _, c := range commands {
		if c.HasName(words[0]) {
			sub, others := commandOf(words[1:], c.Subcommands)
			return append(words[:1:1], sub...), others
		}
	}
	return nil, words
}

func wantsHelp(flags []string) bool {
	return slices.Contains(flags, "-h") || slices.Contains(flags, "--help")
}
