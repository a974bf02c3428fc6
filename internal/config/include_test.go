package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// writeFiles writes files below a new directory, with mode 0600, and returns it.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// includedAccount is an account in a file.
func includedAccount(name string) string {
	return fmt.Sprintf("[account.%s]\nserver = \"pop.example.org\"\nuser = %q\npassword = \"hunter2\"\nmaildir = \"/m/{account}\"\n", name, name)
}

func TestIncludedFilesAddAccountsInOrder(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"config.toml":       "include = [\"more.toml\", \"conf.d/*.toml\", \"conf.d/b.toml\"]\ninterval = \"7m\"\n[defaults]\nkeep = \"3d\"\n" + includedAccount("first"),
		"more.toml":         includedAccount("zz"),
		"conf.d/b.toml":     "[defaults]\nkeep = false\n" + includedAccount("b2") + includedAccount("b1"),
		"conf.d/a.toml":     includedAccount("a"),
		"conf.d/.#a.toml":   "not TOML",
		"conf.d/c.toml":     "# nothing yet\n",
		"conf.d/notes.txt":  "not TOML",
		"conf.d/d.toml/x/y": "a directory is not a file",
	})
	c, err := Load(filepath.Join(dir, "config.toml"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range c.Accounts {
		names = append(names, fmt.Sprintf("%s %v %v", a.Name, a.Keep, a.Interval))
	}
	want := "first 3d 7m, zz 3d 7m, a 3d 7m, b2 false 7m, b1 false 7m"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	// What Show writes has all accounts and includes nothing.
	shown := mustLoad(t, strings.ReplaceAll(show(t, c), "***", "x"))
	if len(shown.Accounts) != 5 || shown.Include != nil {
		t.Errorf("shown: %d accounts, include %q", len(shown.Accounts), shown.Include)
	}
}

func TestErrorsOfIncludedFilesNameFileAndLine(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"config.toml":   "include = [\"conf.d/*.toml\", \"absent.toml\"]\n" + includedAccount("work"),
		"conf.d/a.toml": includedAccount("a") + "srver = \"x\"\n",
		"conf.d/b.toml": "parallel = 3\ninclude = \"x\"\n[acount.b]\n",
		"conf.d/c.toml": includedAccount("work"),
		"conf.d/d.toml": strings.Replace(includedAccount("d"), `user = "d"`, `user = "work"`, 1),
		"conf.d/e.toml": "[account.e\n",
		"conf.d/f.toml": includedAccount("f"),
		"conf.d/g.toml": "[[account]]\n",
	})
	if err := os.Chmod(filepath.Join(dir, "conf.d/f.toml"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(filepath.Join(dir, "config.toml"), Options{})
	for _, want := range []string{
		`config.toml:1: key "include": ` + dir + `/absent.toml: no such file or directory`,
		`conf.d/a.toml:6: account "a": key "srver": unknown key`,
		`conf.d/b.toml:1: key "parallel": an included file has only [account.NAME] and [defaults]`,
		`conf.d/b.toml:2: key "include": an included file has only`,
		`conf.d/b.toml:3: key "acount": an included file has only [account.NAME] and [defaults] (write [account.NAME])`,
		`conf.d/c.toml:1: account "work": there is an account of this name in ` + dir + `/config.toml`,
		`conf.d/d.toml:3: account "d": key "user": user "work" at pop.example.org is account "work" already`,
		`conf.d/e.toml:2: column 11: not TOML`,
		`conf.d/f.toml:4: key "password": the file holds a password and is open to others, mode 0644`,
		`conf.d/g.toml:1: key "account": accounts are tables with a name`,
	} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
	if strings.Contains(fmt.Sprint(err), "hunter2") {
		t.Errorf("the password is in\n%v", err)
	}
}

func TestIncludeOfWhatIsNotThere(t *testing.T) {
	for include, want := range map[string]string{
		`"absent.toml"`:    `key "include": .*/absent.toml: no such file`,
		`"nowhere/*.toml"`: `key "include": .*/nowhere/\*.toml: no such file`,
		`"["`:              `key "include": "\[" is not a pattern`,
		`7`:                `key "include": expected a list of file names`,
		`"conf.d/*.toml"`:  `key "include": no account is configured: no file with one matches`,
	} {
		dir := writeFiles(t, map[string]string{"config.toml": "include = " + include + "\n", "conf.d/readme": ""})
		_, err := Load(filepath.Join(dir, "config.toml"), Options{})
		if !regexp.MustCompile(want).MatchString(fmt.Sprint(err)) {
			t.Errorf("include = %s: %v", include, err)
		}
	}
	// A directory that is empty for now is no error beside an account.
	dir := writeFiles(t, map[string]string{"config.toml": "include = [\"conf.d/*.toml\"]\n" + includedAccount("work"), "conf.d/readme": ""})
	if c, err := Load(filepath.Join(dir, "config.toml"), Options{}); err != nil || len(c.Accounts) != 1 || len(c.Warnings) > 0 {
		t.Error(c, err)
	}
}

func TestThousandsOfIncludedFiles(t *testing.T) {
	const n = 5000
	files := map[string]string{"config.toml": "include = [\"conf.d/*.toml\"]\n"}
	for i := range n {
		files[fmt.Sprintf("conf.d/%05d.toml", i)] = includedAccount(fmt.Sprintf("user%d", i))
	}
	dir := writeFiles(t, files)
	begun := time.Now()
	c, err := Load(filepath.Join(dir, "config.toml"), Options{})
	if err != nil || len(c.Accounts) != n || c.Accounts[n-1].Name != fmt.Sprintf("user%d", n-1) {
		t.Fatal(err)
	}
	if fi, err := os.Stat(filepath.Join(dir, "conf.d/00000.toml")); err != nil || c.Modified.Before(fi.ModTime()) {
		t.Errorf("modified at %v, a file at %v", c.Modified, fi.ModTime())
	}
	t.Logf("%d files in %v", n, time.Since(begun))
}
