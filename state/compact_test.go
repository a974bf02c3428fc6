package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompact(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	m := s.Maildrop("me@host")
	mustCommit(t, m, Change{Put: entries(0, 5000)})
	var c Change
	for _, e := range entries(100, 5000) {
		c.Forget = append(c.Forget, e.ID)
	}
	mustCommit(t, m, c)
	put := entries(6000, 6010)
	put[3].Intent = &Intent{Kind: "maildir", Note: "x"}
	mustCommit(t, s.Maildrop("you@host"), Change{Put: put})
	want, id := mustRead(t, s), s.ID()
	if _, _, err := Compact(path, 0); !errors.Is(err, ErrLocked) {
		t.Errorf("of a store in use: %v", err)
	}
	mustClose(t, s)

	before, after, err := Compact(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if after*4 > before || info.Size() != after || info.Mode() != 0o600 {
		t.Errorf("from %d to %d octets; %d of mode %v on the disk", before, after, info.Size(), info.Mode())
	}
	s = mustOpen(t, path)
	wantContents(t, s, want)
	if s.ID() != id {
		t.Error("the id has changed")
	}
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 10)})
	if left, _ := filepath.Glob(path + ".new-*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestCompactOfNothingOrOfADamagedFile(t *testing.T) {
	path := newPath(t)
	if _, _, err := Compact(path, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("made %v", left)
	}
	data, _, _ := victim(t)
	at := recordOffset(t, data)
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Compact(path, 0); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), ".new-") {
		t.Errorf("a record that does not match its checksum: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(data) {
		t.Errorf("a damaged file was changed (%v)", err)
	}
}
