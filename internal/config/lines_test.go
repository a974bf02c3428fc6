package config

import (
	"strings"
	"testing"
)

// The library tells the line of a key only in an error. This pins that it does so
// for every form of a key.
func TestEveryKeyHasItsLine(t *testing.T) {
	text := "\ufeff# comment [x]\n" + // 1
		"parallel = 3 # = 4\n" + // 2
		"on_new_mail = [ \"a]\", # ]\n" + // 3
		"  'b\"', [1, 2]\n" + // 4
		"]\n" + // 5
		"account.dotted . server = \"x\"\n" + // 6
		"account.dotted.user = '''\n" + // 7
		"[account.no]\n" + // 8
		"user = 1 '''\n" + // 9
		"defaults = { keep = true, \"max_size\" = { deep = 1 }, tls = \"}\" }\r\n" + // 10
		"\n" + // 11
		"  [ account . \"me@x.org\" ] # [account.y]\n" + // 12
		"user = \"\"\"a\\\"\"\"\n" + // 13
		"server = 1\n" + // 14
		"\"\"\"\"\"\n" + // 15
		"'server' = \"#\"\n" + // 16
		"\"k\\u0065ep\" = 2026-01-01 12:00:00\n" + // 17
		"[account.in]\n" + // 18
		"list = [ { a = 1 },\n" + // 19
		" { b = 2 } ]\n" + // 20
		"end = true" // 21
	d, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"parallel": 2, "on_new_mail": 3, "account": 6, "account/dotted": 6, "account/dotted/server": 6, "account/dotted/user": 7,
		"defaults": 10, "defaults/keep": 10, "defaults/max_size/deep": 10, "defaults/tls": 10,
		"account/me@x.org": 12, "account/me@x.org/user": 13, "account/me@x.org/server": 16, "account/me@x.org/keep": 17,
		"account/in": 18, "account/in/list": 19, "account/in/list/b": 19, "account/in/end": 21,
		"account/in/none": 18, "account/none": 6, "none": 1,
	} {
		if got := d.line(strings.Split(path, "/")...); got != want {
			t.Errorf("%s: line %d, want %d", path, got, want)
		}
	}
	if got := d.line(); got != 1 {
		t.Errorf("nothing: line %d", got)
	}
}
