package config

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Append returns the text of a configuration with one more account at its end, under a
// comment, and nothing else changed. file names it in errors. The account follows the
// [defaults] of the configuration where a has the built-in default, but for tls: a server
// that was tried one way is not called another way. An account without a destination has
// that of [defaults]. Append fails if text is not a valid
// configuration, with or without accounts, or if the result would be none or would mean another account.
func Append(text, file string, a *Account, comment string, o Options) (string, error) {
	read := func(text string, o Options) (*Config, error) {
		l := &loader{file: file, opts: o}
		c := l.load(text)
		if errs := l.problems(); len(errs) > 0 {
			return nil, errs
		}
		return c, nil
	}
	accountless := o
	accountless.Accountless = true
	if _, err := read(text, accountless); err != nil {
		return "", err
	}
	builtin, standard := builtin()
	standard.Name, standard.Interval = a.Name, builtin.Interval
	for {
		var b bytes.Buffer
		b.WriteString(text)
		if text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
		encodeComment(&b, comment)
		fmt.Fprintf(&b, "[account.%s]\n", encodeKey(a.Name))
		encodeTable(&b, reflect.ValueOf(*a), reflect.ValueOf(standard), pop3(), o.Home, a.applies)
		c, err := read(b.String(), o)
		if err != nil {
			return "", err
		}
		got := c.Accounts[slices.IndexFunc(c.Accounts, func(b *Account) bool { return b.Name == a.Name })]
		switch {
		case got.TLS != a.TLS && standard.TLS == a.TLS: // [defaults] says so
			standard.TLS = got.TLS
		case got.Server != a.Server || got.User != a.User || got.TLS != a.TLS || a.Destination() != "" && got.Maildir != a.Maildir || got.Keep != a.Keep || !got.Enabled:
			return "", Errors{{File: file, Account: a.Name, Msg: "with the [defaults] of the file the account would be another one", Hint: "write it by hand"}}
		default:
			return b.String(), nil
		}
	}
}
