package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// document is a parsed TOML file that knows the line of each key.
type document struct {
	tree map[string]any
	keys []toml.Key // in the order of the file, tables too

	text string // without a byte order mark
	meta *toml.MetaData
	root *table
}

// table is a table of the document whose values are not decoded yet.
type table struct {
	values map[string]toml.Primitive
	tables map[string]*table // those of values that were looked into; nil = not a table
}

// decode parses TOML. The error is that of the library.
func decode(text string) (*document, error) {
	d := &document{tree: map[string]any{}, text: strings.TrimPrefix(text, "\ufeff")}
	d.root = &table{}
	meta, err := toml.Decode(d.text, &d.root.values)
	if err != nil {
		return nil, err
	}
	d.meta, d.keys = &meta, meta.Keys()
	for key, value := range d.root.values {
		var v any
		if err := meta.PrimitiveDecode(value, &v); err != nil {
			return nil, err
		}
		d.tree[key] = v
	}
	return d, nil
}

// line returns the line of a key, counted from 1. A key that is not in the file
// has the line of the nearest table around it, and a table without a line of its
// own that of its first key.
func (d *document) line(path ...string) int {
	if d == nil {
		return 1
	}
	for ; len(path) > 0; path = path[:len(path)-1] {
		if line := d.exact(path); line > 0 {
			return line
		}
		for _, key := range d.keys {
			if len(key) > len(path) && slices.Equal(key[:len(path)], path) {
				if line := d.exact(key); line > 0 {
					return line
				}
			}
		}
	}
	return 1
}

// exact returns the line of a key, 0 for none.
//
// The library keeps the positions of keys to itself, except in the error for a
// value whose UnmarshalTOML fails. So exact has it fail.
func (d *document) exact(path []string) int {
	t := d.root
	for i, name := range path {
		value, ok := t.values[name]
		if !ok {
			return 0
		}
		if i == len(path)-1 {
			pe, ok := errors.AsType[toml.ParseError](d.meta.PrimitiveDecode(value, &refuser{}))
			if !ok || pe.Position.Line == 0 {
				return 0 // a table that only its keys have made
			}
			// Position.Line would be the last line of a text of several.
			return 1 + strings.Count(d.text[:pe.Position.Start], "\n")
		}
		if t = d.inner(t, name, value); t == nil {
			return 0
		}
	}
	return 0
}

// inner returns the table with that name in t, nil if value is something else.
func (d *document) inner(t *table, name string, value toml.Primitive) *table {
	if inner, ok := t.tables[name]; ok {
		return inner
	}
	if t.tables == nil {
		t.tables = map[string]*table{}
	}
	inner := &table{}
	if err := d.meta.PrimitiveDecode(value, &inner.values); err != nil {
		inner = nil
	}
	t.tables[name] = inner
	return inner
}

// refuser is a value that cannot be decoded.
type refuser struct{}

var errRefused = errors.New("refused")

// UnmarshalTOML fails.
func (*refuser) UnmarshalTOML(any) error { return errRefused }
