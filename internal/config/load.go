package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
)

// maxFile bounds a configuration, in octets. It suffices for some ten thousand
// accounts.
const maxFile = 16 << 20

// Load reads and checks the configuration at path. An error is an Errors that
// lists all problems of the file. Load reads no other file.
func Load(path string, o Options) (*Config, error) {
	data, fi, err := ReadFile(path, maxFile)
	if err != nil {
		e := &Error{File: path, Msg: WithoutPath(err).Error(), Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			e.Hint = "config.example.toml is one to begin with; popfetch.toml(5) explains every key"
		}
		return nil, Errors{e}
	}
	l := &loader{file: path, opts: o}
	c := l.load(string(data))
	if c != nil {
		c.Modified = fi.ModTime()
	}
	if len(l.secrets) > 0 {
		if err := CheckPrivate(path, fi); err != nil {
			l.addUnsafe(err)
		}
	}
	if len(l.errs) > 0 {
		l.errs.sort()
		return nil, l.errs
	}
	return c, nil
}

// loader is the state of one Load.
type loader struct {
	file    string
	dir     string // absolute directory of file, where relative paths start
	opts    Options
	doc     *document  // nil before the file is parsed
	secrets [][]string // paths of the passwords in the file
	errs    Errors
}

// add records a problem of the key at path.
func (l *loader) add(path []string, msg, hint string) {
	e := &Error{File: l.file, Line: l.doc.line(path...), Msg: msg, Hint: hint}
	e.Account, e.Key = splitPath(path)
	l.errs = append(l.errs, e)
}

// addUnsafe records that the file is not safe for the passwords in it.
func (l *loader) addUnsafe(err error) {
	line := l.doc.line(l.secrets[0]...)
	for _, path := range l.secrets[1:] {
		line = min(line, l.doc.line(path...))
	}
	e := &Error{File: l.file, Line: line, Key: "password", Msg: "the file " + err.Error(), Err: err}
	if u, ok := errors.AsType[*UnsafeError](err); ok {
		e.Hint = u.Hint
		if u.ReadOnly {
			e.Hint += "; or keep the password elsewhere: password_file, password_command or credential"
		}
	}
	l.errs = append(l.errs, e)
}

// splitPath splits a path in the document into account and key.
func splitPath(path []string) (account, key string) {
	if len(path) > 1 && path[0] == "account" {
		account, path = path[1], path[2:]
	}
	return account, strings.Join(path, ".")
}

// load returns the Config that text describes. It is valid only if l.errs is empty.
func (l *loader) load(text string) *Config {
	c, base := builtin()
	c.File = l.file
	doc, syntax := parse(text)
	if syntax != nil {
		syntax.File = l.file
		l.errs = append(l.errs, syntax)
		return nil
	}
	l.doc = doc
	tree := doc.tree
	abs, err := filepath.Abs(l.file)
	if err != nil {
		l.add(nil, "the directory of the file is unknown: "+err.Error(), "")
		return nil
	}
	l.dir = filepath.Dir(abs)

	l.top(&c, tree)
	base.Interval = c.Interval
	defaults := l.defaults(base, tree)
	for _, name := range l.accountNames(tree) {
		if a := l.account(name, tree["account"].(map[string]any)[name], defaults); a != nil {
			c.Accounts = append(c.Accounts, a)
		}
	}
	l.checkTwins(c.Accounts)
	for _, a := range c.Accounts {
		c.Warnings = append(c.Warnings, l.warnings(a)...)
	}
	return &c
}

// top reads the keys before the first table.
func (l *loader) top(c *Config, tree map[string]any) {
	own := map[string]any{}
	for k, v := range tree {
		if k != "account" && k != "defaults" {
			own[k] = v
		}
	}
	l.table(reflect.ValueOf(c).Elem(), own, nil)
	if _, ok := tree["state"]; ok {
		return
	}
	var err error
	if c.State, err = DefaultStatePath(); err != nil {
		l.add([]string{"state"}, err.Error(), "or write the path of the state file")
	}
}

// accountNames returns the names of the accounts in the order of the file.
func (l *loader) accountNames(tree map[string]any) []string {
	switch t := tree["account"].(type) {
	case nil:
		l.add(nil, "no account is configured", "write [account.NAME] and its keys, see popfetch.toml(5)")
		return nil
	case []map[string]any:
		l.add([]string{"account"}, "accounts are tables with a name", "write [account.NAME] instead of [[account]]")
		return nil
	case map[string]any:
		var names []string
		seen := map[string]bool{}
		for _, key := range l.doc.keys {
			if len(key) < 2 || key[0] != "account" || seen[key[1]] {
				continue
			}
			if _, ok := t[key[1]]; ok {
				seen[key[1]] = true
				names = append(names, key[1])
			}
		}
		if len(names) == 0 {
			l.add([]string{"account"}, "no account is configured", "write [account.NAME] and its keys")
		}
		return names
	default:
		l.add([]string{"account"}, expected("tables with the names of the accounts", t).Error(), "write [account.NAME]")
		return nil
	}
}
