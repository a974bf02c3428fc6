package cli

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"popfetch/internal/config"
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// says fails the test unless text, which is that of doc, matches the pattern.
func says(t *testing.T, doc, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(`(?m)` + pattern).MatchString(text) {
		t.Errorf("%s does not match %s", doc, pattern)
	}
}

// helpOf returns what --help prints for a command.
func helpOf(t *testing.T, words ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	p := &program{out: &out, err: &errs, version: "test"}
	args := arrange(append([]string{"popfetch"}, append(words, "--help")...), p.commands())
	if err := p.app(args).Run(args); err != nil || errs.Len() > 0 {
		t.Fatalf("%q: %v, %s", args, err, errs.String())
	}
	return out.String()
}

func TestFlagsAreDocumented(t *testing.T) {
	man, general := readDoc(t, "man/popfetch.1"), helpOf(t)
	seen := 0
	for _, c := range new(program).commands() {
		flagsAreDocumented(t, man, general, nil, c, &seen)
	}
	if seen < 20 {
		t.Errorf("only %d flags were seen", seen)
	}
}

func flagsAreDocumented(t *testing.T, man, general string, above []string, c *cli.Command, seen *int) {
	if c.Hidden && c.Name != pollCommand {
		return
	}
	words := append(above[:len(above):len(above)], c.Name)
	help := general
	if c.Name != pollCommand {
		says(t, "popfetch.1", man, `Cm( \w+)* `+c.Name+`\b`)
		says(t, "popfetch --help", general, `^  popfetch `+strings.Join(append(above[:len(above):len(above)], `(\w+\|)*`+c.Name), " ")+`\b`)
		help = helpOf(t, words...)
	}
	for _, f := range c.Flags {
		for _, name := range f.Names() {
			*seen++
			dashed, fl := "-"+name, `Fl `+name
			if len(name) > 1 {
				dashed, fl = "--"+name, `Fl -`+name
			}
			says(t, "popfetch.1", man, `^\.It .*`+fl+`( |$)`)
			says(t, strings.Join(words, " ")+" --help", help, `[ ,]`+dashed+`[ ,]`)
		}
	}
	for _, sub := range c.Subcommands {
		flagsAreDocumented(t, man, general, words, sub, seen)
	}
}

// exitCodes reads the constants of exit.go.
func exitCodes(t *testing.T) []int {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "exit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := []int{exitSignal + 2, exitSignal + 15}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "exit") || spec.Names[0].Name == "exitSignal" {
			return true
		}
		code, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Error(err)
		}
		codes = append(codes, code)
		return true
	})
	return codes
}

func TestExitCodesAreDocumented(t *testing.T) {
	man, readme, help := readDoc(t, "man/popfetch.1"), readDoc(t, "README.md"), helpOf(t)
	_, status, _ := strings.Cut(man, ".Sh EXIT STATUS")
	status, _, _ = strings.Cut(status, "\n.Sh ")
	codes := exitCodes(t)
	if len(codes) < 10 {
		t.Errorf("only %d exit codes were found", len(codes))
	}
	for _, code := range codes {
		says(t, "EXIT STATUS of popfetch.1", status, `^\.It `+strconv.Itoa(code)+`$`)
		says(t, "README.md", readme, `\b`+strconv.Itoa(code)+`\b`)
		says(t, "popfetch --help", help, `\b`+strconv.Itoa(code)+` `)
	}
}

// A part of the section JSON describes one object, with all its fields.
func TestFieldsOfJSONAreDocumented(t *testing.T) {
	_, man, _ := strings.Cut(readDoc(t, "man/popfetch.1"), ".Sh JSON")
	man, _, _ = strings.Cut(man, "\n.Sh ")
	parts := regexp.MustCompile(`(?m)^\.It [AOT]`).Split(man, -1)
	for _, object := range []any{reportLine{}, planLine{}, listLine{}, inspection{}, stateLine{}, statusLine{}} {
		typ := reflect.TypeOf(object)
		lacks := func(part string) (missing []string) {
			for _, name := range jsonFields(typ) {
				if !regexp.MustCompile(`(?m)^\.(It )?Li (.* )?` + name + `( |$)`).MatchString(part) {
					missing = append(missing, name)
				}
			}
			return missing
		}
		best := jsonFields(typ)
		for _, part := range parts {
			if missing := lacks(part); len(missing) < len(best) {
				best = missing
			}
		}
		if len(best) > 0 {
			t.Errorf("no part of JSON in popfetch.1 has all fields of %s: %q are missing", typ, best)
		}
	}
}

// jsonFields returns the names of the fields in JSON.
func jsonFields(typ reflect.Type) []string {
	var names []string
	for f := range typ.Fields() {
		if f.Anonymous {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			names = append(names, jsonFields(embedded)...)
			continue
		}
		if f.IsExported() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",") // "name,omitzero"
			names = append(names, name)
		}
	}
	return names
}

func TestExampleOfTheConfigurationLoads(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	cfg, err := config.Load("../../config.example.toml", configOptions())
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Accounts) == 0 || len(cfg.Warnings) > 0 {
		t.Errorf("%d accounts, warnings %q", len(cfg.Accounts), cfg.Warnings)
	}
}
