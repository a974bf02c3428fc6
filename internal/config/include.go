package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// globs reads the key include: the patterns of files, made absolute.
func (l *loader) globs(v any) ([]string, error) {
	list, err := oneOrMore("a list of file names, with * for any characters", v)
	if err != nil {
		return nil, err
	}
	for i, pattern := range list {
		if err := checkControl("the name", pattern); err != nil {
			return nil, err
		}
		if list[i], err = expandPath(pattern, l.dir); err != nil {
			return nil, err
		}
		if _, err := filepath.Match(list[i], ""); err != nil {
			return nil, fmt.Errorf("%s is not a pattern: a [ without its ]", quote(pattern))
		}
	}
	return list, nil
}

// included reads the accounts of the files that the patterns match: pattern by pattern,
// the files of each in the order of their names, each file once. A file has tables of
// accounts, and may have defaults for these on top of those of the including file.
func (l *loader) included(patterns []string, defaults Account) (accounts []owned, modified time.Time) {
	seen := map[string]bool{l.abs: true}
	for _, pattern := range patterns {
		files, err := matches(pattern)
		if err != nil {
			l.add([]string{"include"}, fmt.Sprintf("%s: %v", pattern, WithoutPath(err)), "")
			continue
		}
		for _, file := range files {
			if seen[file] {
				continue
			}
			seen[file] = true
			inner := &loader{file: file, abs: file, dir: filepath.Dir(file), opts: l.opts}
			accounts = append(accounts, inner.partial(defaults, &modified)...)
			l.inner = append(l.inner, inner)
		}
	}
	return accounts, modified
}

// matches returns the files that a pattern matches, sorted. Hidden files do not match *:
// editors leave them behind. A name without a pattern has to exist, and so has the
// directory of a pattern.
func matches(pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, `*?[\`) {
		_, err := os.Stat(pattern)
		return []string{pattern}, err
	}
	dir := filepath.Dir(pattern)
	if !strings.ContainsAny(dir, `*?[\`) {
		if _, err := os.ReadDir(dir); err != nil {
			return nil, err
		}
	}
	files, err := filepath.Glob(pattern)
	hidden := strings.HasPrefix(filepath.Base(pattern), ".")
	return slices.DeleteFunc(files, func(name string) bool {
		fi, err := os.Stat(name)
		return !hidden && strings.HasPrefix(filepath.Base(name), ".") || err == nil && fi.IsDir()
	}), err
}

// partial reads an included file.
func (l *loader) partial(defaults Account, modified *time.Time) []owned {
	data, fi, err := ReadFile(l.file, maxFile)
	if err != nil {
		e := &Error{File: l.file, Msg: WithoutPath(err).Error(), Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			e.Msg = "a link to a file that does not exist"
		}
		l.errs = append(l.errs, e)
		return nil
	}
	if fi.ModTime().After(*modified) {
		*modified = fi.ModTime()
	}
	if !l.parse(string(data)) {
		return nil
	}
	for key, value := range l.doc.tree {
		if key == "account" || key == "defaults" {
			continue
		}
		_, isTable := value.(map[string]any)
		hint := "write it in the file that includes this one"
		if isTable {
			hint = "write [account.NAME]"
		}
		l.add([]string{key}, "an included file has only [account.NAME] and [defaults]", hint)
	}
	var accounts []owned
	if _, ok := l.doc.tree["account"]; ok {
		accounts = l.accounts(l.defaults(defaults, l.doc.tree))
	}
	l.checkSecrets(fi)
	return accounts
}

// owned is an account with the loader of the file that has it.
type owned struct {
	*Account
	in *loader
}

// checkNames notes accounts of several files that have the same name. Within a file, TOML
// forbids that.
func checkNames(accounts []owned) {
	first := make(map[string]owned, len(accounts))
	for _, a := range accounts {
		if other, ok := first[a.Name]; ok {
			a.in.add([]string{"account", a.Name}, "there is an account of this name in "+other.in.file, "the names of accounts are unique in all files together")
			continue
		}
		first[a.Name] = a
	}
}
