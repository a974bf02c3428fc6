package cli

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// popfetchCalls returns the command lines of popfetch in a line of a shell, as words.
func popfetchCalls(line string) (calls [][]string) {
	word := regexp.MustCompile(`'[^']*'|"[^"]*"|&&|[|;&<>()]|[^\s|;&<>()]+`)
	var call []string
	flush := func() {
		if len(call) > 0 {
			calls = append(calls, call)
		}
		call = nil
	}
	for _, w := range word.FindAllString(line, -1) {
		switch {
		case strings.HasPrefix(w, "#"):
			flush()
			return calls
		case strings.Contains("|;&&<>()", w):
			flush()
		case w == "popfetch" || strings.HasSuffix(w, "/popfetch"):
			flush()
			call = []string{"popfetch"}
		case call != nil:
			call = append(call, strings.Trim(w, `'"`))
		}
	}
	flush()
	return calls
}

// understood returns the name of the command that a command line would run, and the error
// that popfetch would show for a flag or command that does not exist.
func understood(args []string) (command string, err error) {
	var out, errs bytes.Buffer
	p := &program{out: &out, err: &errs, version: "test"}
	args = arrange(args, p.commands())
	app := p.app(args)
	var doNothing func(above string, commands []*cli.Command)
	doNothing = func(above string, commands []*cli.Command) {
		for _, c := range commands {
			name := strings.TrimSpace(above + " " + c.Name)
			doNothing(name, c.Subcommands)
			if len(c.Subcommands) > 0 {
				continue // its action is the error of a missing subcommand
			}
			c.Action = func(ctx *cli.Context) error {
				command = name
				if name != pollCommand && c.ArgsUsage == "" {
					return noArguments(ctx)
				}
				return nil
			}
		}
	}
	doNothing("", app.Commands)
	err = app.RunContext(context.Background(), args)
	return command, err
}

func TestUnderstoodFindsWhatDoesNotExist(t *testing.T) {
	for line, want := range map[string]string{
		"popfetch check --jsno":              "has no flag --jsno",
		"popfetch --onse":                    "unknown flag --onse",
		"popfetch state chekc":               "has no subcommand",
		"true | /bin/popfetch config show x": "takes no argument",
		"popfetch state seed --before":       "flag needs an argument",
	} {
		calls := popfetchCalls(line)
		if len(calls) != 1 {
			t.Fatalf("%s: %q", line, calls)
		}
		if _, err := understood(calls[0]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
}

func TestHelpOfEachCommandHasExamplesThatWork(t *testing.T) {
	seen := 0
	var test func(above []string, commands []*cli.Command)
	test = func(above []string, commands []*cli.Command) {
		for _, c := range commands {
			if c.Hidden {
				continue
			}
			words := append(above[:len(above):len(above)], c.Name)
			name := strings.Join(words, " ")
			help := helpOf(t, words...)
			for _, want := range []string{`\Apopfetch ` + name + `: .+\n\nusage:\n  popfetch ` + name + `\b`, `\n\nflags:\n  -`, `\n\nexamples:\n  .*popfetch ` + name} {
				says(t, name+" --help", help, want)
			}
			shown := examples()[name]
			if len(shown) < 2 {
				t.Errorf("%s has %d examples", name, len(shown))
			}
			for _, e := range shown {
				seen++
				if !strings.Contains(help, "  "+e.line+"\n") && !strings.Contains(help, "  "+e.line+"  ") {
					t.Errorf("%s --help does not show %s", name, e.line)
				}
				for i, call := range popfetchCalls(e.line) {
					ran, err := understood(call)
					if err != nil {
						t.Errorf("%s --help: %s: %v", name, e.line, err)
					}
					if i == 0 && ran != name && !strings.HasPrefix(ran, name+" ") {
						t.Errorf("%s --help: %s runs %s", name, e.line, ran)
					}
				}
			}
			test(words, c.Subcommands)
		}
	}
	test(nil, new(program).commands())
	if seen < 50 {
		t.Errorf("only %d examples were seen", seen)
	}
	_, general, _ := strings.Cut(helpOf(t), "\nexamples:\n")
	general, _, _ = strings.Cut(general, "\n\n")
	if strings.Count(general, "popfetch") < 2 {
		t.Errorf("popfetch --help shows the examples %q", general)
	}
	for line := range strings.Lines(general) {
		command, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		for _, call := range popfetchCalls(command) {
			if _, err := understood(call); err != nil {
				t.Errorf("popfetch --help: %s: %v", command, err)
			}
		}
	}
}
