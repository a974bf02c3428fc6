package config

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// field is one key of a table.
type field struct {
	name  string // of the key
	kind  string // what is done with a text, see Config
	index []int  // in the struct
}

// fieldsOf lists the keys of a struct type in the order of its fields, those of an
// embedded struct in its place.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		if t.Field(i).Anonymous {
			for _, f := range fieldsOf(t.Field(i).Type) {
				fs = append(fs, field{f.name, f.kind, append([]int{i}, f.index...)})
			}
			continue
		}
		name, kind, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		if name != "" && name != "-" {
			fs = append(fs, field{name, kind, []int{i}})
		}
	}
	return fs
}

// fieldsOf is the function of that name, with a memory: a file may have thousands of accounts.
func (l *loader) fieldsOf(t reflect.Type) []field {
	fs, ok := l.fields[t]
	if !ok {
		if l.fields == nil {
			l.fields = make(map[reflect.Type][]field)
		}
		fs = fieldsOf(t)
		l.fields[t] = fs
	}
	return fs
}

func names(fs []field) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.name
	}
	return out
}

// table stores the values of a TOML table in the struct dst. It returns the keys
// with valid values. Names are case-sensitive: otherwise two keys that differ in
// case alone would be one setting with two values.
func (l *loader) table(dst reflect.Value, table map[string]any, path []string) map[string]bool {
	fs := l.fieldsOf(dst.Type())
	good := map[string]bool{}
	for key, v := range table {
		at := append(path[:len(path):len(path)], key)
		i := slices.IndexFunc(fs, func(f field) bool { return f.name == key })
		if i < 0 {
			l.unknown(at, names(fs), v)
			continue
		}
		value := dst.FieldByIndex(fs[i].index)
		if _, ok := value.Interface().(Secret); ok {
			l.secrets = append(l.secrets, at)
		}
		if o, ok := value.Addr().Interface().(*OAuth); ok {
			good[key] = l.oauth(o, v, at)
			continue
		}
		if fs[i].kind == "table" {
			good[key] = l.server(value, v, at, good)
			continue
		}
		if err := l.value(value, fs[i], v); err != nil {
			l.add(at, err.Error(), "")
			continue
		}
		if p, ok := value.Interface().(Proxy); ok && p.HoldsPassword() {
			l.secrets = append(l.secrets, at)
		}
		good[key] = true
	}
	return good
}

// unknown notes a key that no table has, or that belongs to another table.
func (l *loader) unknown(path []string, known []string, value any) {
	key := path[len(path)-1]
	top := len(path) == 1
	if top {
		known = append(known, "account", "defaults")
	}
	_, isTable := value.(map[string]any)
	var hint string
	switch n := Nearest(key, known); {
	case isTable && len(path) == 3 && path[0] == "account":
		hint = fmt.Sprintf("a name with a dot is written in quotes: [account.%q]", path[1]+"."+key)
	case strings.EqualFold(key, n):
		hint = fmt.Sprintf("keys are in lower case: %q", n)
	case top && slices.Contains(names(fieldsOf(reflect.TypeFor[Account]())), key):
		hint = "it belongs below [account.NAME] or [defaults]"
	case !top && slices.Contains(names(fieldsOf(reflect.TypeFor[Config]())), key):
		hint = "it belongs to the top, before the first [table]"
	case n != "":
		hint = fmt.Sprintf("did you mean %q?", n)
	case key == "port":
		hint = `the port is a part of server: "HOST:PORT"`
	case otherName(key) != "":
		hint = fmt.Sprintf("here it is called %q", otherName(key))
	default:
		hint = "see popfetch.toml(5)"
	}
	l.add(path, "unknown key", hint)
}

// value stores one TOML value in the field dst.
func (l *loader) value(dst reflect.Value, f field, v any) (err error) {
	switch p := dst.Addr().Interface().(type) {
	case toml.Unmarshaler:
		err = p.UnmarshalTOML(v)
	case *bool:
		b, ok := v.(bool)
		if !ok {
			return expected("true or false", v)
		}
		*p = b
	case *int:
		err = integer(p, v)
	case *string:
		*p, err = l.text(f, v)
	case *[]string:
		switch f.kind {
		case "words":
			*p, err = l.methods(v)
		case "globs":
			*p, err = l.globs(v)
		case "recipients":
			*p, err = l.recipients(f, v)
		case "scopes":
			*p, err = scopes(v)
		case "flags":
			*p, err = flags(v)
		default:
			*p, err = l.argv(f, v)
		}
	case *[]Fingerprint:
		*p, err = parseFingerprints(v)
	case *Endpoint:
		*p, err = l.endpoint(f, v)
	case *netip.Addr:
		*p, err = address(v)
	default:
		panic("config: no decoder for " + dst.Type().String()) // found by every test that names the key
	}
	if err != nil {
		return err
	}
	return inRange(dst, f)
}

// inRange checks the numbers that must be greater than zero.
func inRange(dst reflect.Value, f field) error {
	switch v := dst.Interface().(type) {
	case Duration:
		if v <= 0 {
			return fmt.Errorf("the duration has to be greater than zero")
		}
	case int:
		if v == 0 && f.name != "max_messages" {
			return fmt.Errorf("the number has to be at least 1")
		}
	}
	return nil
}

func integer(p *int, v any) error {
	n, ok := v.(int64)
	switch {
	case !ok:
		return expected("an integer such as 16", v)
	case n < 0 || n > math.MaxInt32:
		return fmt.Errorf("%d is out of range", n)
	}
	*p = int(n)
	return nil
}

// address reads an IP address of this machine.
func address(v any) (netip.Addr, error) {
	s, ok := v.(string)
	if !ok {
		return netip.Addr{}, expected(`an IP address such as "192.0.2.1"`, v)
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%s is not an IP address", quote(s))
	}
	return a, nil
}

// text reads a string as the kind of its field demands.
func (l *loader) text(f field, v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", expected("a string", v)
	}
	if s == "" {
		return "", fmt.Errorf("the string is empty; leave the key out to not set it")
	}
	if err := checkControl("the string", s); err != nil {
		return "", err
	}
	switch f.kind {
	case "path":
		return expandPath(s, l.dir)
	case "template":
		path, err := expandPath(s, l.dir)
		if err == nil {
			err = checkTemplate(path)
		}
		return path, err
	}
	if f.name == "folder" || f.name == "spam_folder" {
		if err := folder(s); err != nil {
			return "", err
		}
	}
	return s, checkVisible(s)
}

// argv reads a command: a program and its arguments.
func (l *loader) argv(f field, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		if _, ok := v.(string); ok {
			return nil, fmt.Errorf(`expected a list, found a string; no shell is run: write ["program", "argument"]`)
		}
		return nil, expected(`a list such as ["program", "argument"]`, v)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the list is empty; its first element is the program")
	}
	argv, err := oneOrMore("a list of strings", list)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(argv, func(s string) bool { return strings.Contains(s, "\x00") }) {
		return nil, fmt.Errorf("an argument holds a NUL")
	}
	if argv[0], err = l.program(argv[0]); err != nil {
		return nil, err
	}
	if f.name == "mda" && l.opts.CheckMDA != nil {
		if err := l.opts.CheckMDA(slices.Clone(argv)); err != nil {
			return nil, err
		}
	}
	return argv, nil
}

// program expands the name of a program if it is a path. Otherwise $PATH is
// searched when the program is run.
func (l *loader) program(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("the name of the program is empty")
	case strings.ContainsAny(name, "/~$"):
		return expandPath(name, l.dir)
	}
	return name, nil
}

// methods reads the key auth, in upper or lower case. "auto" is nil.
func (l *loader) methods(v any) ([]string, error) {
	list, err := oneOrMore(`"auto", a method or a list of methods`, v)
	if err != nil {
		return nil, err
	}
	for i, m := range list {
		list[i] = strings.ToLower(m)
	}
	if len(list) == 1 && list[0] == "auto" {
		return nil, nil
	}
	if len(list) == 1 && list[0] == NoLogin {
		return list, nil
	}
	known := l.opts.methods()
	for i, m := range list {
		switch {
		case m == "auto":
			return nil, fmt.Errorf(`"auto" cannot be combined with methods; write auth = "auto" or the methods alone`)
		case m == NoLogin:
			return nil, fmt.Errorf(`"none" cannot be combined with methods; write auth = "none" or the methods alone`)
		case !slices.Contains(known, m):
			return nil, fmt.Errorf("%s is an unknown method; the methods are %s%s", quote(m), orList(known), didYouMean(m, known))
		case slices.Contains(list[:i], m):
			return nil, fmt.Errorf("the list contains %s twice", quote(m))
		}
	}
	return list, nil
}
