package cli

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

func testTable() *table {
	return &table{
		columns: []column{
			{name: "NUM"}, {name: "OCTETS", dropped: 2}, {name: "UNIQUE-ID", shrinks: true, dropped: 1},
			{name: "DATE", dropped: 3}, {name: "SUBJECT", shrinks: true},
		},
		rows: []row{
			{cells: []string{"1", "12345", "0123456789abcdef0123456789abcdef", "2026-11-02 10:00", "An ordinary subject of some length"}},
			{cells: []string{"2", "1", "short", "2026-11-02 10:00", "会議の件会議の件会議の件会議の件"}, note: "(failed once: no such user)"},
		},
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	for _, x := range []struct {
		width                      int
		uniqueID, octets, date     bool
		wholeSubject, wholeUnqueID bool
	}{
		{200, true, true, true, true, true},
		{80, true, true, true, false, false},
		{60, true, true, true, false, false},
		{50, false, true, true, false, false},
		{38, false, false, true, false, false},
		{30, false, false, false, false, false},
	} {
		var b strings.Builder
		if err := testTable().write(&b, x.width); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		for line := range strings.Lines(text) {
			if w := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); w > x.width && !strings.Contains(line, "failed") {
				t.Errorf("%d columns: a line of %d: %q", x.width, w, line)
			}
		}
		for what, want := range map[string]bool{
			"UNIQUE-ID": x.uniqueID, "OCTETS": x.octets, "DATE": x.date, "NUM": true, "SUBJECT": true,
			"ordinary subject of some length": x.wholeSubject, "0123456789abcdef0123456789abcdef": x.wholeUnqueID,
			"\n    (failed once: no such user)\n": true,
		} {
			if strings.Contains(text, what) != want {
				t.Errorf("%d columns: %q is shown: %v\n%s", x.width, what, !want, text)
			}
		}
	}
}

func TestTableWithoutATerminalIsNotCut(t *testing.T) {
	var b strings.Builder
	if err := testTable().write(&b, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0123456789abcdef0123456789abcdef", "of some length\n", "会議の件会議の件会議の件会議の件    (failed once: no such user)\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}
