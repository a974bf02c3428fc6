package mbox

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"popfetch/deliver"
)

// The mbox shows which account filled it, when the state file is lost.
func TestMboxShowsWhichAccountFilledIt(t *testing.T) {
	stamp := deliver.Stamp{Host: "here.example.org", Version: "1"}
	meta := deliver.Meta{Host: "pop.example.org", Account: "work", ID: "0123456789abcdef"}
	field, _, _ := strings.Cut(stamp.Received(meta), "\r\n")
	filler := "From: x\r\n\r\n" + strings.Repeat("x", 100<<10) + "\r\n"
	for name, test := range map[string]struct {
		texts []string
		want  bool
	}{
		"delivered":                 {[]string{stamp.Received(meta) + "Subject: 1\r\n\r\nx\r\n"}, true},
		"followed by other mail":    {[]string{stamp.Received(meta) + "Subject: 1\r\n\r\n", filler, filler}, true},
		"without a stamp":           {[]string{"Subject: 1\r\n\r\n"}, false},
		"of another account":        {[]string{stamp.Received(deliver.Meta{Host: meta.Host, Account: "home"}) + "\r\n"}, false},
		"the field is quoted":       {[]string{"Subject: 1\r\n\r\n" + stamp.Received(meta)}, false},
		"quoted with its From line": {[]string{"Subject: 1\r\n\r\nFrom x\r\n" + stamp.Received(meta)}, false},
		"behind a long line":        {[]string{"Subject: 1\r\n\r\n" + strings.Repeat("x", 64<<10) + "\r\n" + stamp.Received(meta)}, false},
	} {
		m := newMbox(t)
		for _, text := range test.texts {
			deliverAll(t, m, text)
		}
		if got, err := Filled(m.Path, field); err != nil || got != test.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	m := newMbox(t)
	if got, err := Filled(m.Path, field); got || err != nil {
		t.Errorf("without an mbox: %v, %v", got, err)
	}
	if err := os.Mkdir(m.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := Filled(m.Path, field); got || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory: %v, %v", got, err)
	}
}
