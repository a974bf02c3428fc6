package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// example is a command line that the help of a command shows, and what it is for.
type example struct{ line, meaning string }

// examples returns those of each command, whose name is as it is typed: "state seed".
func examples() map[string][]example {
	return map[string][]example{
		"init": {
			{"popfetch init me@example.org", "find the server, and ask for the rest"},
			{"popfetch init me@example.org --no-input --password-command 'pass show mail/me'", "from a script"},
			{"popfetch init me@example.net --add --name home", "a second account"},
		},
		"import": {
			{"popfetch import fetchmail", "read ~/.fetchmailrc and ~/.fetchids"},
			{"popfetch import getmail ~/backup/getmailrc --print", "show the configuration, and change nothing"},
		},
		"check": {
			{"popfetch check", "test all accounts"},
			{"popfetch check -vv work", "one account, with the POP3 dialogue"},
		},
		"list": {
			{"popfetch list work", "number, octets, state and unique-id of each message"},
			{"popfetch list --headers work", "From, Date and Subject as well"},
		},
		"status": {
			{"popfetch status", "all accounts, in a table"},
			{"popfetch status --json 'work*'", "some accounts, for a program"},
		},
		"config": {
			{"popfetch config check", "before a reload"},
			{"popfetch config show", "with all defaults"},
		},
		"config check": {
			{"popfetch config check", "the usual file"},
			{"popfetch config check --config ./new.toml", "another one"},
		},
		"config show": {
			{"popfetch config show", "the usual file"},
			{"popfetch config show --config /etc/popfetch/config.toml", "that of the system service"},
		},
		"state": {
			{"popfetch state check", "is the record of what was delivered sound?"},
			{"popfetch state rebuild", "after the state file was lost"},
		},
		"state check": {
			{"popfetch state check", "in words"},
			{"popfetch state check --json", "for a program"},
		},
		"state compact": {
			{"popfetch state compact", "the state file of the usual configuration"},
			{"popfetch state compact -c ./other.toml", "that of another one"},
		},
		"state restore": {
			{"popfetch state restore", "after popfetch said that the file is damaged or gone"},
			{"popfetch state restore --force", "over a file that is sound"},
		},
		"state rebuild": {
			{"popfetch state rebuild", "all accounts, after the state file was lost"},
			{"popfetch state rebuild work", "one account, after its user or server was renamed"},
		},
		"state seed": {
			{"popfetch state seed work", "fetch only what comes from now on"},
			{"popfetch state seed --before 7d work", "and what came within the last 7 days"},
		},
		"state retry": {
			{"popfetch state retry", "at the next poll"},
			{"popfetch state retry work && popfetch --once work", "now"},
		},
		"state trust": {
			{"popfetch state trust work", "after the server has got a new key, and you know why"},
			{"popfetch state trust work && popfetch check work", "and see that it works"},
		},
		"state forget": {
			{"popfetch state forget work", "the next poll fetches all mail again"},
			{"popfetch state forget work && popfetch --once -n work", "see how much that is"},
		},
		"authorize": {
			{"popfetch authorize gmail", "opens a browser"},
			{"popfetch authorize --device outlook", "with a code, on a host without a browser"},
		},
		"token": {
			{"popfetch token gmail", "the account's access token, renewed if need be"},
			{"popfetch token --destination work", "that of the mailbox that it delivers into"},
		},
		"password": {
			{"popfetch password set work", "asks for it"},
			{"popfetch password remove work", ""},
		},
		"password set": {
			{"popfetch password set work", "asks for it"},
			{"pass show mail/work | popfetch password set work", "reads it from standard input"},
		},
		"password remove": {
			{"popfetch password remove work", "that of the POP3 server"},
			{"popfetch password remove --destination work", "that of the mailbox that it delivers into"},
		},
		"completion": {
			{"source <(popfetch completion bash)", "in ~/.bashrc"},
			{"popfetch completion fish | source", "in config.fish"},
		},
		"completion bash": {
			{"source <(popfetch completion bash)", "in ~/.bashrc"},
			{"popfetch completion bash >~/.local/share/bash-completion/completions/popfetch", "once for all"},
		},
		"completion zsh": {
			{"source <(popfetch completion zsh)", "in ~/.zshrc, behind compinit"},
			{"popfetch completion zsh >~/.zfunc/_popfetch", "with ~/.zfunc in fpath"},
		},
		"completion fish": {
			{"popfetch completion fish | source", "in config.fish"},
			{"popfetch completion fish >~/.config/fish/completions/popfetch.fish", "once for all"},
		},
	}
}

// explain gives c and its subcommands the text of --help. above is what is typed in front
// of the name of c.
func explain(c *cli.Command, above string, shown map[string][]example) {
	for _, sub := range c.Subcommands {
		explain(sub, above+c.Name+" ", shown)
	}
	name := above + c.Name
	var b strings.Builder
	fmt.Fprintf(&b, "popfetch %s: %s\n\nusage:\n  popfetch %s", name, c.Usage, name)
	if len(c.Subcommands) > 0 {
		b.WriteString(" COMMAND")
	}
	fmt.Fprintln(&b, strings.TrimRight(" "+c.ArgsUsage, " "))
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(c.Subcommands) > 0 {
		fmt.Fprintln(table, "\ncommands:")
		for _, sub := range c.Subcommands {
			if !sub.Hidden {
				fmt.Fprintf(table, "  %s\t%s\n", strings.TrimRight(sub.Name+" "+sub.ArgsUsage, " "), sub.Usage)
			}
		}
		table.Flush()
	}
	fmt.Fprintln(table, "\nflags:")
	for _, f := range c.Flags {
		writeFlag(table, f.Names(), usageOf(f))
	}
	writeFlag(table, []string{"help", "h"}, "show this")
	table.Flush()
	fmt.Fprintln(table, "\nexamples:")
	for _, e := range shown[name] {
		fmt.Fprintf(table, "  %s\n", strings.TrimRight(e.line+"\t"+e.meaning, "\t"))
	}
	table.Flush()
	// The library takes the text for a template.
	c.CustomHelpTemplate = strings.ReplaceAll(b.String(), "{{", `{{"{{"}}`)
}

// writeFlag writes a line of the help: the short name, the long one with what the usage has
// in backquotes, and the usage.
func writeFlag(table *tabwriter.Writer, names []string, usage string) {
	short := "    "
	if len(names) > 1 {
		short = dashed(names[1]) + ", "
	}
	value := ""
	if parts := strings.SplitN(usage, "`", 3); len(parts) == 3 {
		value, usage = " "+parts[1], strings.Join(parts, "")
	}
	fmt.Fprintf(table, "  %s%s%s\t%s\n", short, dashed(names[0]), value, usage)
}
