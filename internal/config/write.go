package config

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// New returns a configuration without accounts, all keys at their defaults. It
// fails if the default path of the state file is not known.
func New() (*Config, error) {
	c, _ := builtin()
	var err error
	c.State, err = DefaultStatePath()
	return &c, err
}

// NewAccount returns an account of c with all keys at their defaults. It is not
// added to c.Accounts. Server, User and a destination remain to be set; Host and
// Port follow from Server when the file is loaded.
func (c *Config) NewAccount(name string) *Account {
	_, a := builtin()
	a.Name, a.Interval = name, c.Interval
	return &a
}

// Comments are texts above the parts of a written configuration: by the name of an
// account, or "" for the file as a whole. They may have several lines.
type Comments map[string]string

// Write writes c as a file that Load, with the same Options, reads as c. It omits
// keys that are at their defaults, and writes passwords in clear text: the file
// needs mode 0600. All paths in c are absolute; o.Home says how they are written.
//
// If c is not a valid configuration, Write writes nothing and returns the Errors
// that Load would return, with the lines of the text that it did not write.
func (c *Config) Write(w io.Writer, comments Comments, o Options) error {
	text := c.encode(comments, o.Home)
	l := &loader{file: c.File, opts: o}
	if l.file == "" {
		l.file = configName
	}
	again := l.load(text)
	switch {
	case !utf8.ValidString(text):
		return Errors{{File: l.file, Msg: "a text is not UTF-8"}}
	case len(l.problems()) > 0:
		return l.problems()
	case again.encode(comments, o.Home) != text: // a relative path, for one
		return Errors{{File: l.file, Msg: "a value would be read as another one"}}
	}
	_, err := io.WriteString(w, text)
	return err
}

// encode returns the text of c, with ~ for the home directory unless that is "".
func (c *Config) encode(comments Comments, home string) string {
	var b bytes.Buffer
	encodeComment(&b, comments[""])
	standard, _ := builtin()
	if state, err := DefaultStatePath(); err == nil {
		standard.State = state
	}
	encodeTable(&b, reflect.ValueOf(*c), reflect.ValueOf(standard), pop3(), home, func(string) bool { return true })
	for _, a := range c.Accounts {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		encodeComment(&b, comments[a.Name])
		fmt.Fprintf(&b, "[account.%s]\n", encodeKey(a.Name))
		encodeTable(&b, reflect.ValueOf(*a), reflect.ValueOf(*c.NewAccount(a.Name)), pop3(), home, a.applies)
		for _, t := range a.tables() {
			if t.login().Server == "" {
				continue
			}
			fmt.Fprintf(&b, "\n[account.%s.%s]\n", encodeKey(a.Name), t.protocol().key)
			empty := reflect.New(reflect.TypeOf(t).Elem())
			empty.Interface().(serverTable).reset()
			encodeTable(&b, reflect.ValueOf(t).Elem(), empty.Elem(), t.protocol(), home, t.login().applies)
		}
	}
	return b.String()
}

// encodeTable writes the keys of a table that differ from the standard and apply,
// and always keep: what happens to mail on the server should be visible.
func encodeTable(b *bytes.Buffer, v, standard reflect.Value, p protocol, home string, applies func(key string) bool) {
	for _, f := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(f.index)
		same := reflect.DeepEqual(value.Interface(), standard.FieldByIndex(f.index).Interface())
		if same && f.name != "keep" || !applies(f.name) || f.kind == "table" {
			continue
		}
		text := encodeValue(value, f, p.scope)
		switch v := value.Interface().(type) {
		case string:
			if f.kind == "path" || f.kind == "template" {
				text = encodeText(escapeDollar(belowHome(v, home)))
			}
		case Secret:
			text = quoteTOML(v.Reveal())
		case Proxy:
			text = encodeText(v.Reveal())
		}
		if text == "" { // not a default, and not in a file: Load will say so
			text = `""`
		}
		fmt.Fprintf(b, "%s = %s\n", f.name, text)
	}
}

// belowHome returns a path with ~ for the home directory that it is below.
func belowHome(path, home string) string {
	if rest, ok := strings.CutPrefix(path, home+"/"); ok && home != "" {
		return "~/" + rest
	}
	return path
}
