package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// appended adds an account to a configuration.
func appended(t *testing.T, text string) (string, error) {
	t.Helper()
	t.Setenv("HOME", "/home/me")
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	a := c.NewAccount("new@x")
	a.Server, a.User, a.Maildir, a.PasswordFile = "pop.example.org", "me", "/home/me/Mail/new", "/home/me/secret"
	return Append(text, filepath.Join(t.TempDir(), "config.toml"), a, "a comment\nof two lines", Options{})
}

const one = "[account.old]\nserver = \"pop.example.net\"\nuser = \"me\"\nmaildir = \"/m\""

func TestAppendedAccountStandsBehindTheOthers(t *testing.T) {
	got, err := appended(t, "interval = \"9m\" # my own\n"+one)
	want := "interval = \"9m\" # my own\n" + one + "\n\n# a comment\n# of two lines\n[account.\"new@x\"]\nserver = \"pop.example.org\"\nuser = \"me\"\n" +
		"password_file = \"/home/me/secret\"\nmaildir = \"/home/me/Mail/new\"\nkeep = true\n"
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestDefaultsOfTheFileDoNotChangeHowTheServerIsCalled(t *testing.T) {
	got, err := appended(t, "[defaults]\ntls = \"starttls\"\nkeep = false\npassword_command = [\"x\"]\n"+one)
	if err != nil || !strings.Contains(got, "\ntls = \"implicit\"\n") || !strings.Contains(got, "\nkeep = true\n") {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestNothingIsAppendedToAnInvalidConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"account = {}\n":                                      "account",
		"x = 1\n" + one:                                       "x",
		one + "\n[account.\"new@x\"]\n":                       "missing",
		"account = { old = { server = \"a\" } ":               "",
		"[defaults]\nenabled = false\n" + one:                 "would be another one",
		strings.ReplaceAll(one, "example.net", "example.org"): "is account \"old\" already",
	} {
		got, err := appended(t, text)
		if err == nil || got != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestFirstAccountIsAppendedToAConfigurationWithoutAccounts(t *testing.T) {
	for _, text := range []string{"", "# mine\ninterval = \"10m\"\n", "[defaults]\nkeep = \"7d\"\n"} {
		got, err := appended(t, text)
		if err != nil || !strings.HasPrefix(got, text) || !strings.Contains(got, "[account.") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// The accounts of included files come behind those of the file itself.
func TestAccountIsAppendedToAConfigurationThatIncludesOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "more.toml"), []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "include = \"" + filepath.Join(dir, "*.toml") + "\"\n"
	got, err := appended(t, text)
	if err != nil || !strings.HasPrefix(got, text+"\n# a comment\n") {
		t.Errorf("%v\n%s", err, got)
	}
}
