package status

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func at(minutes int) time.Time {
	return time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

// A failed poll does not make popfetch forget when mail came last, and when the
// certificate ends.
func TestFailedPollKeepsWhatEarlierOnesFound(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	b := Open(state)
	b.Note(Poll{Account: "work", Maildrop: "me@host", Time: at(0), Success: at(0), NewMail: at(0), Expires: at(9999), Delivered: 3, Waiting: 2, SetAside: 1})
	b.Note(Poll{Account: "work", Maildrop: "me@host", Time: at(5), Class: "temporary", Error: strings.Repeat("no ", 10_000)})
	if err := b.Write(); err != nil {
		t.Fatal(err)
	}
	p, ok := Open(state).Last("work", "me@host")
	if !ok || p.Success != at(0) || p.NewMail != at(0) || p.Expires != at(9999) || p.Waiting != 2 || p.SetAside != 1 || p.Time != at(5) || p.Class != "temporary" {
		t.Errorf("%+v, %v", p, ok)
	}
	if len(p.Error) != mostError {
		t.Errorf("an error of %d octets is kept", len(p.Error))
	}
	if _, ok := Open(state).Last("work", "other@host"); ok {
		t.Error("the poll of another maildrop counts")
	}
	if info, err := os.Stat(state + ".status"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestLongErrorIsCutBetweenCharacters(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	b := Open(state)
	long := "x" + strings.Repeat("é", mostError)
	b.Note(Poll{Account: "work", Maildrop: "m", Time: at(0), Class: "temporary", Error: long})
	if err := b.Write(); err != nil {
		t.Fatal(err)
	}
	p, _ := Open(state).Last("work", "m")
	if !strings.HasPrefix(long, p.Error) || len(p.Error) != mostError-1 {
		t.Errorf("%d octets are kept: ...%q", len(p.Error), p.Error[max(0, len(p.Error)-4):])
	}
}

func TestFileThatAKillHasLeftIsReplaced(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(state+".status.new", []byte(strings.Repeat("{", 1<<16)), 0o600); err != nil {
		t.Fatal(err)
	}
	b := Open(state)
	b.Note(Poll{Account: "work", Maildrop: "m", Time: at(0)})
	if err := b.Write(); err != nil {
		t.Fatal(err)
	}
	if _, ok := Open(state).Last("work", "m"); !ok {
		t.Error("the poll is not kept")
	}
	if entries, _ := os.ReadDir(filepath.Dir(state)); len(entries) != 1 {
		t.Errorf("%v", entries)
	}
}

func TestBookIsWrittenOnceAMinute(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	b := Open(state)
	written := 0
	var last os.FileInfo
	for second := range 180 {
		now := at(0).Add(time.Duration(second) * time.Second)
		b.Note(Poll{Account: fmt.Sprint("a", second%7), Maildrop: "m", Time: now})
		if err := b.Save(now); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(state + ".status")
		if err != nil {
			t.Fatal(err)
		}
		if last == nil || !os.SameFile(info, last) {
			written++
		}
		last = info
	}
	if written != 3 {
		t.Errorf("written %d times in 3 minutes", written)
	}
	entries, _ := os.ReadDir(filepath.Dir(state))
	if len(entries) != 1 {
		t.Errorf("%v", entries)
	}
}

func TestDamagedBookIsAnEmptyOne(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(state+".status", []byte("\x00\xff{\"account\":\n{\"account\":\"home\",\"maildrop\":\"m\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := Open(state)
	if _, ok := b.Last("home", "m"); !ok {
		t.Error("the whole line is lost too")
	}
	b.Note(Poll{Account: "work", Maildrop: "m", Time: at(0)})
	if err := b.Write(); err != nil {
		t.Error(err)
	}
}

// A state directory that cannot be written ends nothing.
func TestBookThatCannotBeWrittenSaysSo(t *testing.T) {
	b := Open(filepath.Join(t.TempDir(), "gone", "state.db"))
	b.Note(Poll{Account: "work", Maildrop: "m", Time: at(0)})
	if b.Write() == nil {
		t.Error("no error")
	}
}

// Counters never fall: not by a failed poll, nor by one that the user stopped, nor when the
// book is opened again.
func TestCountersGrowOn(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	b := Open(state)
	failed := Totals{Polls: 1, Seconds: 0.5, Failures: map[string]int{"auth": 1}}
	b.Count("work", "m", Totals{Polls: 1, Delivered: 1}) // stopped before any other poll has ended
	b.Note(Poll{Account: "work", Maildrop: "m", Time: at(0), Success: at(0), Totals: Totals{Polls: 1, Seconds: 2, Delivered: 3, Octets: 100, Deleted: 2}})
	b.Note(Poll{Account: "work", Maildrop: "m", Time: at(5), Class: "auth", Totals: failed})
	if err := b.Write(); err != nil {
		t.Fatal(err)
	}
	b = Open(state)
	before := b.Changes()
	b.Note(Poll{Account: "work", Maildrop: "m", Time: at(10), Class: "auth", Totals: failed})
	b.Count("work", "m", Totals{Polls: 1, Delivered: 1, Octets: 7})
	p, _ := b.Last("work", "m")
	want := Totals{Polls: 5, Seconds: 3, Delivered: 5, Octets: 107, Deleted: 2, Failures: map[string]int{"auth": 2}}
	if !reflect.DeepEqual(p.Totals, want) {
		t.Errorf("got %+v, want %+v", p.Totals, want)
	}
	if p.Time != at(10) || p.Success != at(0) || b.Changes() != before+2 {
		t.Errorf("%+v after %d changes", p, b.Changes()-before)
	}
}

// Two configurations may share a state file and a name.
func TestAccountsOfOneNameAndTwoMaildropsAreBothRemembered(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	for n := range 3 {
		for _, maildrop := range []string{"me@host", "you@host"} {
			b := Open(state)
			b.Note(Poll{Account: "work", Maildrop: maildrop, Time: at(n), Totals: Totals{Polls: 1}})
			if err := b.Write(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, maildrop := range []string{"me@host", "you@host"} {
		if p, ok := Open(state).Last("work", maildrop); !ok || p.Totals.Polls != 3 {
			t.Errorf("of %s is remembered %+v, %v", maildrop, p, ok)
		}
	}
}
