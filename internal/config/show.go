package config

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Show writes the effective configuration: every key of every account with its
// value, in TOML that Load reads again. Passwords are masked. A key without a
// value, or without effect in its account, becomes a comment.
func (c *Config) Show(w io.Writer) error {
	var b bytes.Buffer
	encodeComment(&b, "in force with "+c.File)
	showTable(&b, reflect.ValueOf(c).Elem(), func(string) bool { return true })
	for _, a := range c.Accounts {
		fmt.Fprintf(&b, "\n[account.%s]\n", encodeKey(a.Name))
		if !a.namesPassword() && a.NeedsSecret() {
			b.WriteString("# the password is looked up in netrc, then asked for on the terminal\n")
		}
		showTable(&b, reflect.ValueOf(a).Elem(), a.applies)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// namesPassword reports whether the account names a source of its password.
func (a *Account) namesPassword() bool {
	return a.PasswordText.IsSet() || a.PasswordFile != "" || len(a.PasswordCommand) > 0 || a.Credential != "" || a.Keyring || a.YieldsToken()
}

// applies reports whether a key has an effect given the other keys of the account.
func (a *Account) applies(key string) bool {
	switch {
	case a.TLS == TLSNone && strings.HasPrefix(key, "tls_"):
		return false
	case strings.HasPrefix(key, "client_"):
		return a.OAuth.IsSet()
	case key == "mda_timeout":
		return len(a.MDA) > 0
	case key == "recipient":
		return a.LMTP.IsSet()
	}
	return true
}

func showTable(b *bytes.Buffer, v reflect.Value, applies func(key string) bool) {
	for _, f := range fieldsOf(v.Type()) {
		text := encodeValue(v.Field(f.index), f)
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
