package cli

import (
	"slices"
	"strings"
	"testing"
)

// poll begins what arrange makes of a command line that names no command.
const poll = "popfetch poll "

func TestArrange(t *testing.T) {
	for given, want := range map[string]string{
		"":                         poll + "--",
		"work":                     poll + "-- work",
		"--once":                   poll + "--once --",
		"work -n":                  poll + "-n -- work",
		"work -n home":             poll + "-n -- work home",
		"-1nv":                     poll + "-1 -n -v --",
		"-vv":                      poll + "-v -v --",
		"-1 -- -n":                 poll + "-1 -- -n",
		"work -- check --":         poll + "-- work check --",
		"-":                        poll + "-- -",
		"-c f work":                poll + "-c=f -- work",
		"-cf work":                 poll + "-c=f -- work",
		"-c=f work":                poll + "-c=f -- work",
		"-1cf work":                poll + "-1 -c=f -- work",
		"-1c f work":               poll + "-1 -c=f -- work",
		"--config f work":          poll + "--config=f -- work",
		"--config=f work":          poll + "--config=f -- work",
		"-c check work":            poll + "-c=check -- work",
		"-c -n work":               poll + "-c=-n -- work",
		"-1 -c":                    poll + "-1 -c",
		"work -1c":                 poll + "-1 -c",
		"check":                    "popfetch check --",
		"check work --json":        "popfetch check --json -- work",
		"--json check work":        "popfetch check --json -- work",
		"-c f check work":          "popfetch check -c=f -- work",
		"work check":               poll + "-- work check",
		"-- check":                 poll + "-- check",
		"config show":              "popfetch config show --",
		"-v config show -c f":      "popfetch config show -v -c=f --",
		"config":                   "popfetch config --",
		"config work":              "popfetch config -- work",
		"list --headers home":      "popfetch list --headers -- home",
		"poll":                     poll + "-- poll",
		"--help":                   "popfetch --help",
		"-h":                       "popfetch --help",
		"--once --help":            "popfetch --help",
		"work -1h":                 "popfetch --help",
		"check --help":             "popfetch check --help --",
		"-c -h":                    poll + "-c=-h --",
		"--no-such-flag":           poll + "--no-such-flag --",
		"--once=false --json=true": poll + "--once=false --json=true --",
	} {
		args := append([]string{"popfetch"}, strings.Fields(given)...)
		before := slices.Clone(args)
		got := arrange(args, new(program).commands())
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
		if !slices.Equal(args, before) {
			t.Errorf("%q: the arguments were changed to %q", given, args)
		}
	}
}

// An argument may hold blanks, or nothing at all.
func TestArrangeKeepsArgumentsWhole(t *testing.T) {
	got := arrange([]string{"popfetch", "", "a b", "-c", "", "--config", "c d"}, new(program).commands())
	want := []string{"popfetch", "poll", "-c=", "--config=c d", "--", "", "a b"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What follows "--" comes out unchanged, as arguments, whatever comes before it.
func FuzzArrange(f *testing.F) {
	f.Add("work", "-n", "--", "-c")
	f.Add("config", "show", "check", "-\xff=")
	f.Add("-1", "-cx", "-c", "")
	commands := new(program).commands()
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		got := arrange([]string{"popfetch", a, b, "--", c, d}, commands)
		if strings.HasSuffix(a, "c") || strings.HasSuffix(b, "c") || strings.HasSuffix(a+b, "config") {
			return // -c may have taken the next word for its value
		}
		if slices.Equal(got, []string{"popfetch", "--help"}) {
			return
		}
		end := len(got) - 2
		if !slices.Equal(got[end:], []string{c, d}) || !slices.Contains(got[:end], "--") {
			t.Errorf("%q", got)
		}
	})
}
