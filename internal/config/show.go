package config

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
)

// Show writes the configuration as it is in force: every key of every account
// with its value, in TOML that Load reads again. Passwords are masked. A key
// without a value, or without effect in its account, is a comment.
func (c *Config) Show(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# in force with %s\n", strings.Trim(strconv.Quote(c.File), `"`))
	showTable(&b, reflect.ValueOf(c).Elem(), func(string) bool { return true })
	for _, a := range c.Accounts {
		fmt.Fprintf(&b, "\n[account.%s]\n", showKey(a.Name))
		if !a.namesPassword() {
			b.WriteString("# the password is looked up in netrc, then asked for on the terminal\n")
		}
		showTable(&b, reflect.ValueOf(a).Elem(), a.applies)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// namesPassword reports whether the account names a source of its password.
func (a *Account) namesPassword() bool {
	return a.PasswordText.IsSet() || a.PasswordFile != "" || len(a.PasswordCommand) > 0 || a.Credential != ""
}

// applies says whether a key has an effect next to the others of the account.
func (a *Account) applies(key string) bool {
	switch {
	case a.TLS == TLSNone && strings.HasPrefix(key, "tls_"):
		return false
	case key == "mda_timeout":
		return len(a.MDA) > 0
	}
	return true
}

func showTable(b *bytes.Buffer, v reflect.Value, applies func(key string) bool) {
	for _, f := range fieldsOf(v.Type()) {
		text := showValue(v.Field(f.index), f)
		switch {
		case text == "":
			fmt.Fprintf(b, "# %s is not set\n", f.name)
		case !applies(f.name):
			fmt.Fprintf(b, "# %s = %s\n", f.name, text)
		default:
			fmt.Fprintf(b, "%s = %s\n", f.name, text)
		}
	}
}

// showValue writes a value as TOML, "" for one that is not set.
func showValue(v reflect.Value, f field) string {
	switch v := v.Interface().(type) {
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case Size:
		if v == 0 {
			return "0"
		}
		return showString(v.String())
	case Keep:
		if v.Delete && v.After > 0 {
			return showString(v.String())
		}
		return v.String()
	case netip.Addr:
		if v.IsValid() {
			return showString(v.String())
		}
		return ""
	case string:
		if f.kind == "path" || f.kind == "template" {
			v = escapeDollar(v)
		}
		return showString(v)
	case []string:
		return showList(v, f)
	case []Fingerprint:
		var list []string
		for _, p := range v {
			list = append(list, p.String())
		}
		return showList(list, f)
	case fmt.Stringer: // Duration, Secret, TLSVersion, Proxy
		return showString(v.String())
	}
	return showString(v.String()) // TLSMode, Pipelining
}

func showList(list []string, f field) string {
	if len(list) == 0 {
		if f.kind == "words" {
			return `"auto"`
		}
		return ""
	}
	parts := make([]string, len(list))
	for i, s := range list {
		if f.kind == "argv" && i == 0 {
			s = escapeDollar(s)
		}
		parts[i] = quoteTOML(s)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func escapeDollar(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// showString quotes a text; an empty one is not set.
func showString(s string) string {
	if s == "" {
		return ""
	}
	return quoteTOML(s)
}

// showKey quotes a part of a key where TOML asks for it.
func showKey(s string) string {
	if strings.ContainsAny(s, ".+@") {
		return quoteTOML(s)
	}
	return s
}

// quoteTOML writes a basic string, TOML 1.0 section "String".
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
