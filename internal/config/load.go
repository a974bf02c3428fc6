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

// Load reads and checks the configuration at path and the files that it includes. An
// error is an Errors that lists all problems of these files. Load reads no other file.
func Load(path string, o Options) (*Config, error) {
	data, fi, err := ReadFile(path, maxFile)
	if err != nil {
		e := &Error{File: path, Msg: WithoutPath(err).Error(), Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			e.Hint = "popfetch init ADDRESS writes one, popfetch import FETCHER takes over that of another fetcher"
		}
		return nil, Errors{e}
	}
	l := &loader{file: path, opts: o}
	c := l.load(string(data))
	if c != nil && fi.ModTime().After(c.Modified) {
		c.Modified = fi.ModTime()
	}
	l.checkSecrets(fi)
	if errs := l.problems(); len(errs) > 0 {
		return nil, errs
	}
	return c, nil
}

// checkSecrets notes that the file holds a password and is not safe for it.
func (l *loader) checkSecrets(fi fs.FileInfo) {
	if len(l.secrets) == 0 {
		return
	}
	if err := CheckPrivate(l.file, fi); err != nil {
		l.addUnsafe(err)
	}
}

// problems returns all problems: those of the file, then those of the files that it
// includes.
func (l *loader) problems() Errors {
	l.errs.sort()
	errs := l.errs
	for _, inner := range l.inner {
		errs = append(errs, inner.problems()...)
	}
	return errs
}

// loader is the state of one Load of one file.
type loader struct {
	file    string
	abs     string // the same, absolute
	dir     string // absolute directory of file, where relative paths start
	opts    Options
	doc     *document  // nil before the file is parsed
	secrets [][]string // paths of the passwords in the file
	errs    Errors
	inner   []*loader // of the files that it includes
	fields  map[reflect.Type][]field
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

// parse reads the text of the file. It reports whether it is TOML.
func (l *loader) parse(text string) bool {
	doc, syntax := parse(text)
	if syntax != nil {
		syntax.File = l.file
		l.errs = append(l.errs, syntax)
		return false
	}
	l.doc = doc
	return true
}

// load returns the Config that text describes. It is valid only if there are no problems.
func (l *loader) load(text string) *Config {
	c, base := builtin()
	c.File = l.file
	if !l.parse(text) {
		return nil
	}
	tree := l.doc.tree
	var err error
	if l.abs, err = filepath.Abs(l.file); err != nil {
		l.add(nil, "the directory of the file is unknown: "+err.Error(), "")
		return nil
	}
	l.dir = filepath.Dir(l.abs)

	l.top(&c, tree)
	base.Interval = c.Interval
	defaults := l.defaults(base, tree)
	if _, ok := tree["defaults"]; ok {
		c.Defaults = &defaults
	}
	var accounts []owned
	_, included := tree["include"]
	if _, ok := tree["account"]; ok || !included {
		accounts = l.accounts(defaults)
	}
	others, modified := l.included(c.Include, defaults)
	accounts, c.Modified = append(accounts, others...), modified
	if len(accounts) == 0 && len(l.problems()) == 0 && !l.opts.Accountless {
		l.add([]string{"include"}, "no account is configured: no file with one matches", "write files with [account.NAME], see popfetch.toml(5)")
	}
	checkNames(accounts)
	checkTwins(accounts)
	checkCircles(accounts)
	for _, a := range accounts {
		c.Accounts = append(c.Accounts, a.Account)
		c.Warnings = append(c.Warnings, a.in.warnings(a.Account)...)
	}
	return &c
}

// accounts reads the accounts of the file.
func (l *loader) accounts(defaults Account) (accounts []owned) {
	for _, name := range l.accountNames(l.doc.tree) {
		if a := l.account(name, l.doc.tree["account"].(map[string]any)[name], defaults); a != nil {
			accounts = append(accounts, owned{a, l})
		}
	}
	return accounts
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
		if l.opts.Accountless {
			return nil
		}
		l.add(nil, "no account is configured", "popfetch init ADDRESS sets one up; or write [account.NAME] and its keys, see popfetch.toml(5)")
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
