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

// DefaultPath returns the configuration file to use when none is named: the first
// that exists of $XDG_CONFIG_HOME/popfetch/config.toml, with ~/.config for an
// unset variable, and /etc/popfetch/config.toml. If neither exists it is the
// first.
func DefaultPath() string {
	own := OwnPath()
	if _, err := os.Stat(own); !os.IsNotExist(err) {
		return own
	}
	if _, err := os.Stat(systemFile); err == nil {
		return systemFile
	}
	return own
}

// OwnPath returns where the configuration of this user is or would be, whatever that of the
// system is: $XDG_CONFIG_HOME/popfetch/config.toml, with ~/.config for an unset variable;
// /etc/popfetch/config.toml if there is no home directory.
func OwnPath() string {
	dir, err := xdgDir("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return systemFile
	}
	return filepath.Join(dir, appDir, configName)
}

// DefaultStatePath returns the default of the key state: state.db in systemd's
// $STATE_DIRECTORY, or else in $XDG_STATE_HOME/popfetch, with ~/.local/state for
// an unset variable.
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

// xdgDir returns the directory that a variable names, or else the directory below
// in the home directory. A relative name is ignored, as the XDG Base Directory
// Specification demands.
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
		return "", fmt.Errorf("the home directory is unknown; set HOME")
	}
	return u.HomeDir, nil
}

// expandPath replaces ~ by the home directory, and $VAR and ${VAR} by variables of
// the environment; $$ is a literal $. A relative path starts at dir. The result is
// absolute and clean.
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
		return "", fmt.Errorf("the path %s contains control characters or is not UTF-8", quote(path))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Clean(path), nil
}

// expandVars replaces variables by their values. An unset or empty variable is an
// error: the path would silently be another one.
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

// varName splits what follows a $ into the name of the variable and the rest. The
// name is empty if there is none.
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

// nameLen returns the length of the variable name at the beginning of s.
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
			return fmt.Errorf("%s is not a placeholder here, only {account} is", quote("{"+word+"}"))
		}
		rest = after
	}
}

// fillAccount replaces {account} by the name of the account.
func fillAccount(s, name string) string { return strings.ReplaceAll(s, "{account}", name) }
