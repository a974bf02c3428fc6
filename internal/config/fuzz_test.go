package config

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"
)

// load is Load without a file.
func load(text string) (*Config, Errors) {
	l := &loader{file: "/dir/config.toml"}
	c := l.load(text)
	return c, l.errs
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{minimal, account("keep = 3\ntimeout = \"5\""), "[defaults]\nmaildir=\"~/{account}\"\n" + minimal,
		"account = { a = { server = \"h\", user = \"u\", maildir = \"/m\" } }", "[[account]]", "x = [[[{a=1}]]]", "a.b.c = 1\n'd' = '''x\n'''\n\"e\" = \"\"\"\"\"\"\"\"",
		account("password = \"x\"\nmax_size = \"5MB\"\nproxy = \"socks5://h:1\"\nserver = \"[::1]:1\""), "password = hunter2", "\ufeff[account", "a = \"\\u00", "[account.a.b.c]\nx.y.z = {}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {

		c, errs := load(text)
		for _, e := range errs {
			if e.File == "" || e.Line < 1 || e.Line > strings.Count(text, "\n")+1 || e.Msg == "" {
				t.Errorf("%#v", e)
			}
		}
		if len(errs) > 0 {
			return
		}
		// What was accepted is complete, and Write and Show write it for Load.
		for _, a := range c.Accounts {
			if a.Host == "" || a.Port == 0 || a.User == "" || (a.Maildir == "") == (len(a.MDA) == 0) || strings.ContainsFunc(a.User+a.Server+a.PasswordText.Reveal(), unicode.IsControl) ||
				a.Timeout <= 0 || a.MinRate < 0 || a.Deadline <= 0 || a.Interval <= 0 || a.MDATimeout <= 0 || a.MaxSize < 0 || a.MaxMessages < 0 {
				t.Errorf("%+v", a)
			}
		}
		var written bytes.Buffer
		if err := c.Write(&written, Comments{"": text}, Options{}); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if again, errs := load(written.String()); len(errs) > 0 || !same(again, c) {
			t.Errorf("%v; written:\n%s", errs, written.String())
		}
		var first, second bytes.Buffer
		c.Show(&first)
		c, errs = load(first.String())
		if len(errs) > 0 {
			t.Fatalf("%v\n%s", errs, first.String())
		}
		if c.Show(&second); first.String() != second.String() {
			t.Errorf("first:\n%s\nsecond:\n%s", first.String(), second.String())
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"5m", "1d12h", "2w3ms", "5", "", "99999999999999999999s", "1h1h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if again, err := ParseDuration(d.String()); again != d || d < 0 || err != nil {
			t.Errorf("%q: %d, again %d, %v", s, d, again, err)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"50MiB", "1 kB", "0B", "5", "", "9223372036854775807B", "8589934592GiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			return
		}
		if again, err := ParseSize(n.String()); again != n || n < 0 || err != nil {
			t.Errorf("%q: %d, again %d, %v", s, n, again, err)
		}
	})
}

func TestFirstOfSeveralErrorsIsFound(t *testing.T) {
	_, errs := load("x = 1")
	var e *Error
	if !errors.As(errs, &e) || e.Line != 1 {
		t.Errorf("got %v", e)
	}
}
