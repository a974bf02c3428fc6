package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// maxFile is the greatest configuration that is read, in octets: some ten
// thousands of accounts.
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
	if l.secretLine > 0 {
		if err := CheckPrivate(path, fi); err != nil {
			l.addUnsafe(err)
		}
	}
	if len(l.errs) > 0 {
		slices.SortStableFunc(l.errs, func(a, b *Error) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key), strings.Compare(a.Msg, b.Msg))
		})
		return nil, l.errs
	}
	return c, nil
}

// loader is one Load under way.
type loader struct {
	file       string
	dir        string // absolute, of file: relative paths count from it
	opts       Options
	lines      keyLines
	secretLine int // of the first password in the file, 0 if there is none
	errs       Errors
}

// add notes a problem with the key at path.
func (l *loader) add(path []string, msg, hint string) {
	e := &Error{File: l.file, Line: l.lines.find(path...), Msg: msg, Hint: hint}
	e.Account, e.Key = splitPath(path)
	l.errs = append(l.errs, e)
}

func (l *loader) addUnsafe(err error) {
	e := &Error{File: l.file, Line: l.secretLine, Key: "password", Msg: "the file " + err.Error(), Err: err}
	if u, ok := errors.AsType[*UnsafeError](err); ok {
		e.Hint = u.Hint
	}
	l.errs = append(l.errs, e)
}

// splitPath names the account and the key that a path in the document means.
func splitPath(path []string) (account, key string) {
	if len(path) > 1 && path[0] == "account" {
		account, path = path[1], path[2:]
	}
	return account, strings.Join(path, ".")
}

// load makes a Config of the text of a file. It is of use only if l.errs is empty.
func (l *loader) load(text string) *Config {
	c, base := builtin()
	c.File = l.file
	l.lines = scanKeys(text)
	if line := l.lines.tooDeep; line > 0 {
		l.errs = append(l.errs, &Error{File: l.file, Line: line, Msg: "not TOML: lists and tables are nested too deeply"})
		return nil
	}
	tree, md, perr := parse(text)
	if perr != nil {
		perr.File = l.file
		l.errs = append(l.errs, perr)
		return nil
	}
	abs, err := filepath.Abs(l.file)
	if err != nil {
		l.add(nil, "its directory is not known: "+err.Error(), "")
		return nil
	}
	l.dir = filepath.Dir(abs)

	l.top(&c, tree)
	base.Interval = c.Interval
	defaults := l.defaults(base, tree)
	for _, name := range l.accountNames(tree, md) {
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

// top reads the keys that stand before the first table.
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
func (l *loader) accountNames(tree map[string]any, md toml.MetaData) []string {
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
		for _, key := range md.Keys() {
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

// parse decodes TOML. Of what is wrong it tells the place and the kind, and
// nothing that stands in a value.
func parse(text string) (tree map[string]any, md toml.MetaData, perr *Error) {
	defer func() {
		if r := recover(); r != nil { // the library panics where it finds a fault of its own
			perr = &Error{Line: 1, Msg: "the TOML library cannot read this file", Err: fmt.Errorf("panic in the parser")}
		}
	}()
	md, err := toml.Decode(text, &tree)
	if err == nil {
		return tree, md, nil
	}
	pe, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		return nil, md, &Error{Line: 1, Msg: "not TOML: " + redact(err.Error())}
	}
	e := &Error{Line: max(1, pe.Position.Line), Msg: "not TOML: " + redact(pe.Message)}
	if pe.Position.Col > 0 {
		e.Msg = fmt.Sprintf("column %d: %s", pe.Position.Col, e.Msg)
	}
	return nil, md, e
}

// redact takes out of a message of the TOML library what it repeats from the
// file, since that may be a part of a password: quoted texts with a letter or a
// digit, and numbers. The names of keys stay.
func redact(msg string) string {
	if strings.HasPrefix(msg, "Key '") {
		return msg
	}
	if _, after, ok := strings.Cut(msg, " is out of "); ok {
		return "a number is out of " + after
	}
	var b strings.Builder
	for {
		i := strings.IndexAny(msg, `'"`)
		if i < 0 {
			return b.String() + msg
		}
		b.WriteString(msg[:i])
		// Up to the last quote of the kind: the text may hold some itself.
		end := strings.LastIndexByte(msg, msg[i])
		switch quoted := msg[i : end+1]; {
		case quoted == `'\n'`:
			b.WriteString("the end of the line")
		case strings.ContainsFunc(quoted, isWordChar):
			b.WriteString("a character or text")
		default:
			b.WriteString(quoted)
		}
		msg = msg[end+1:]
	}
}

func isWordChar(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r > unicode.MaxASCII
}
