package config

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	appDir     = "popfetch"
	systemFile = "/etc/popfetch/config.toml"
	configName = "config.toml"
	stateName  = "state.db"
)

// DefaultPath returns where the configuration is looked for when no file is
// named: $XDG_CONFIG_HOME/popfetch/config.toml, with ~/.config for an unset
// variable, then /etc/popfetch/config.toml. It is the first that exists, or the
// first if none does.
func DefaultPath() string {
	var own string
	if dir, err := xdgDir("XDG_CONFIG_HOME", ".config"); err == nil {
		own = filepath.Join(dir, appDir, configName)
		if _, err := os.Stat(own); !os.IsNotExist(err) {
			return own
		}
	}
	if _, err := os.Stat(systemFile); err == nil || own == "" {
		return systemFile
	}
	return own
}

// DefaultStatePath returns the state file for a configuration without the key
// state: state.db in systemd's $STATE_DIRECTORY, else in
// $XDG_STATE_HOME/popfetch, with ~/.local/state for an unset variable.
func DefaultStatePath() (string, error) {
	// systemd.exec(5): several directories are separated by colons.
	dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	if filepath.IsAbs(dir) {
		return filepath.Join(dir, stateName), nil
	}
	dir, err := xdgDir("XDG_STATE_HOME", ".local/state")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, appDir, stateName), nil
}

// xdgDir returns the directory that a variable names, or the one below the home
// directory. The XDG Base Directory Specification has relative ones ignored.
func xdgDir(variable, below string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := HomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, below), nil
}

// HomeDir returns $HOME, or the home directory in the user database: a service
// may have no HOME.
func HomeDir() (string, error) {
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return home, nil
	}
	u, err := user.Current()
	if err != nil || !filepath.IsAbs(u.HomeDir) {
		return "", fmt.Errorf("the home directory is not known; set HOME")
	}
	return u.HomeDir, nil
}

// expandPath puts the home directory for ~ and variables for $VAR and ${VAR}; $$
// is one $. A relative path counts from dir. The result is absolute and clean.
func expandPath(path, dir string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("the path is empty")
	}
	first, rest, _ := strings.Cut(path, "/")
	switch {
	case first == "~":
		home, err := HomeDir()
		if err != nil {
			return "", err
		}
		path = home + "/"
	case strings.HasPrefix(first, "~"):
		return "", fmt.Errorf("%s is not expanded, only ~ is; write the directory in full", quote(first))
	default:
		path, rest = "", path
	}
	rest, err := expandVars(rest)
	if err != nil {
		return "", err
	}
	path += rest
	if !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl) {
		return "", fmt.Errorf("the path %s holds control characters or is not UTF-8", quote(path))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Clean(path), nil
}

// expandVars puts the values of variables. A variable that is unset or empty is
// an error: it would silently make another path.
func expandVars(s string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if rest, ok := strings.CutPrefix(after, "$"); ok {
			b.WriteByte('$')
			s = rest
			continue
		}
		name, rest := varName(after)
		if name == "" {
			return "", fmt.Errorf("no variable name follows the $; write $$ for the character itself")
		}
		value, ok := os.LookupEnv(name)
		switch {
		case !ok:
			return "", fmt.Errorf("the variable $%s is not set", name)
		case value == "":
			return "", fmt.Errorf("the variable $%s is empty", name)
		}
		b.WriteString(value)
		s = rest
	}
}

// varName splits what follows a $ into the name of the variable and the rest;
// the name is empty if there is none.
func varName(s string) (name, rest string) {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		name, rest, ok = strings.Cut(inner, "}")
		if !ok || len(name) != nameLen(name) {
			return "", s
		}
		return name, rest
	}
	n := nameLen(s)
	return s[:n], s[n:]
}

// nameLen is the length of the variable name that s begins with.
func nameLen(s string) int {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return i
		}
	}
	return len(s)
}

// checkTemplate refuses placeholders other than {account}.
func checkTemplate(s string) error {
	for rest := s; ; {
		_, after, _ := strings.Cut(rest, "{")
		word, _, ok := strings.Cut(after, "}")
		if !ok {
			return nil
		}
		if word != "account" {
			return fmt.Errorf("%s is no placeholder here, only {account} is", quote("{"+word+"}"))
		}
		rest = after
	}
}

// fillAccount puts the account's name for {account}.
func fillAccount(s, name string) string { return strings.ReplaceAll(s, "{account}", name) }
