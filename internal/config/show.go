package config

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
)

// Show writes the effective configuration: every key of every account with its
// value, in TOML that Load reads again. Passwords are masked. A key without a
// value, or without effect in its account, becomes a comment.
func (c *Config) Show(w io.Writer) error {
	var b bytes.Buffer
	encodeComment(&b, "in force with "+c.File)
	showTable(&b, reflect.ValueOf(c).Elem(), pop3(), func(key string) bool { return key != "include" }) // what they have is below
	for _, a := range c.Accounts {
		fmt.Fprintf(&b, "\n[account.%s]\n", encodeKey(a.Name))
		showPassword(&b, &a.Login)
		showTable(&b, reflect.ValueOf(a).Elem(), pop3(), a.applies)
		for _, t := range a.tables() {
			if t.login().Server == "" {
				continue
			}
			fmt.Fprintf(&b, "\n[account.%s.%s]\n", encodeKey(a.Name), t.protocol().key)
			showPassword(&b, t.login())
			showTable(&b, reflect.ValueOf(t).Elem(), t.protocol(), t.login().applies)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// showPassword says where a password comes from that has no key.
func showPassword(b *bytes.Buffer, g *Login) {
	if g.User != "" && !g.namesPassword() && g.NeedsSecret() {
		b.WriteString("# the password is looked up in netrc, then asked for on the terminal\n")
	}
}

// applies reports whether a key has an effect given the other keys of the account.
func (a *Account) applies(key string) bool {
	switch key {
	case "mda_timeout":
		return len(a.MDA) > 0
	case "recipient":
		return a.LMTP.IsSet() || a.SMTP.IsSet()
	}
	return a.Login.applies(key)
}

func showTable(b *bytes.Buffer, v reflect.Value, p protocol, applies func(key string) bool) {
	for _, f := range fieldsOf(v.Type()) {
		if f.kind == "table" {
			if v.FieldByIndex(f.index).Addr().Interface().(serverTable).login().Server == "" {
				fmt.Fprintf(b, "# %s is not set\n", f.name)
			}
			continue
		}
		text := encodeValue(v.FieldByIndex(f.index), f, p.scope)
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
