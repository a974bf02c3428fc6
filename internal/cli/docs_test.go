package cli

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// link is a Markdown link to a file of the repository, without a fragment.
var link = regexp.MustCompile(`\[([^]]+)\]\(([^)#:]+)\)`)

// TestLinksOfTheDocumentsLeadToFiles also reads the name of a test in the text of a link
// as a promise that the file has this test, see docs/tests.md.
func TestLinksOfTheDocumentsLeadToFiles(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			name, target := found[1], filepath.Join(filepath.Dir(page), found[2])
			content, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if !strings.HasPrefix(name, "Test") && !strings.HasPrefix(name, "Fuzz") {
				continue
			}
			tests++
			if !strings.Contains(string(content), "\nfunc "+name+"(") {
				t.Errorf("%s: %s has no test %s", page, target, name)
			}
		}
	}
	if tests < 100 {
		t.Errorf("docs/tests.md names only %d tests", tests)
	}
}

// A file in backticks is given by the end of its path.
func TestMapNamesOnlyFilesThatExist(t *testing.T) {
	var files []string
	err := filepath.WalkDir("../..", func(name string, _ fs.DirEntry, err error) error {
		files = append(files, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("`([a-z0-9_/]+\\.go)`").FindAllStringSubmatch(readDoc(t, "docs/hacking.md"), -1) {
		if !slices.ContainsFunc(files, func(name string) bool { return strings.HasSuffix(name, "/"+found[1]) }) {
			t.Errorf("docs/hacking.md names %s, which does not exist", found[1])
		}
	}
}

// docs/hacking.md is the map: a package that it does not name cannot be found there.
func TestMapNamesEveryPackage(t *testing.T) {
	text := readDoc(t, "docs/hacking.md")
	layout, _, found := strings.Cut(text, "Imports run one way:")
	if !found {
		t.Fatal("docs/hacking.md has no list of packages in front of the imports")
	}
	out, err := exec.Command("go", "list", "popfetch/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if pkg != "popfetch" && !regexp.MustCompile(`\b`+path.Base(pkg)+`\b`).MatchString(layout) {
			t.Errorf("the layout in docs/hacking.md does not name %s", pkg)
		}
	}
}

// A command is passed on as it is, so a shell in it would take $$ for its process number.
func TestExamplesOfProgramsNameTheirVariablesAsAShellDoes(t *testing.T) {
	for _, file := range []string{"README.md", "config.example.toml", "docs/recipes.md", "man/popfetch.toml.5", "man/popfetch.1"} {
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "$$POPFETCH_") {
			t.Errorf("%s has $$POPFETCH_", file)
		}
	}
}
