package maildir

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gomaildir "github.com/emersion/go-maildir"

	"popfetch/deliver"
	"popfetch/internal/durable/faultfs"
)

// prepared returns a Maildir with one prepared message, as a crash before Publish leaves it.
func prepared(t *testing.T) (*Maildir, *staged, deliver.Intent) {
	t.Helper()
	m, _ := openMaildir(t)
	group := stage(t, m, "text")
	prepare(t, m, group)
	return m, group[0].(*staged), group[0].Intent()
}

// change returns in with its note changed by fn.
func change(t *testing.T, in deliver.Intent, fn func(*note)) deliver.Intent {
	t.Helper()
	n, err := parse(in)
	if err != nil {
		t.Fatal(err)
	}
	fn(&n)
	return n.intent()
}

func TestRecover(t *testing.T) {
	const old = 25 * time.Hour
	move := func(t *testing.T, m *Maildir, from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(m.Path, from), filepath.Join(m.Path, to)); err != nil {
			t.Fatal(err)
		}
	}
	replaced := func(t *testing.T, m *Maildir) {
		t.Helper()
		move(t, m, ".", "../old")
		if err := gomaildir.Dir(m.Path).Init(); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name  string
		age   time.Duration
		setup func(t *testing.T, m *Maildir, s *staged)
		want  deliver.Outcome // 0: undecided
		seen  int             // messages in new/ and cur/ afterwards
	}{
		{"still in tmp", 0, func(*testing.T, *Maildir, *staged) {}, deliver.Redone, 1},
		{"still in tmp, old", old, func(*testing.T, *Maildir, *staged) {}, deliver.Redone, 1},
		{"in new", 0, func(t *testing.T, m *Maildir, s *staged) { move(t, m, "tmp/"+s.name, "new/"+s.name+",S=4") }, deliver.Published, 1},
		{"in cur, old", old, func(t *testing.T, m *Maildir, s *staged) { move(t, m, "tmp/"+s.name, "cur/"+s.name+",S=4:2,RS") }, deliver.Published, 1},
		{"in cur without a size, old", old, func(t *testing.T, m *Maildir, s *staged) { move(t, m, "tmp/"+s.name, "cur/"+s.name+":2,") }, deliver.Published, 1},
		{"filed elsewhere", 0, func(t *testing.T, m *Maildir, s *staged) { os.Remove(s.path()) }, deliver.Published, 0},
		{"gone, old", old, func(t *testing.T, m *Maildir, s *staged) { os.Remove(s.path()) }, deliver.Again, 0},
		{"gone, clock was set back", -old, func(t *testing.T, m *Maildir, s *staged) { os.Remove(s.path()) }, deliver.Again, 0},
		{"another message with a longer name, old", old, func(t *testing.T, m *Maildir, s *staged) {
			move(t, m, "tmp/"+s.name, "cur/"+s.name+"x,S=4:2,")
		}, deliver.Again, 1},
		{"in tmp and in new", 0, func(t *testing.T, m *Maildir, s *staged) {
			os.WriteFile(filepath.Join(m.Path, "new", s.name+",S=4"), []byte("text"), 0o600)
		}, deliver.Published, 1},
		{"in tmp, and in new something else", 0, func(t *testing.T, m *Maildir, s *staged) {
			os.WriteFile(filepath.Join(m.Path, "new", s.name+",S=4"), nil, 0o600)
		}, deliver.Again, 1},
		{"in tmp with another length", 0, func(t *testing.T, m *Maildir, s *staged) { os.Truncate(s.path(), 0) }, deliver.Again, 0},
		{"Maildir missing", 0, func(t *testing.T, m *Maildir, s *staged) { move(t, m, ".", "../old") }, 0, 0},
		{"Maildir missing, old", old, func(t *testing.T, m *Maildir, s *staged) { move(t, m, ".", "../old") }, 0, 0},
		{"Maildir made anew", 0, func(t *testing.T, m *Maildir, s *staged) { replaced(t, m) }, 0, 0},
		{"Maildir made anew, old", old, func(t *testing.T, m *Maildir, s *staged) { replaced(t, m) }, 0, 0},
		{"Maildir copied, with the file in tmp", 0, func(t *testing.T, m *Maildir, s *staged) {
			replaced(t, m)
			os.WriteFile(s.path(), []byte("text"), 0o600)
		}, deliver.Redone, 1},
		{"Maildir copied, with the file in cur", 0, func(t *testing.T, m *Maildir, s *staged) {
			replaced(t, m)
			os.WriteFile(filepath.Join(m.Path, "cur", s.name+",S=4:2,S"), []byte("text"), 0o600)
		}, deliver.Published, 1},
		{"tmp missing", 0, func(t *testing.T, m *Maildir, s *staged) { os.RemoveAll(filepath.Join(m.Path, "tmp")) }, 0, 0},
		{"tmp is a link", 0, func(t *testing.T, m *Maildir, s *staged) {
			move(t, m, "tmp", "../elsewhere")
			os.Symlink("../elsewhere", filepath.Join(m.Path, "tmp"))
		}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, s, in := prepared(t)
			test.setup(t, m, s)
			f := &faultfs.FS{Name: withoutName}
			got, err := recovery{fs: f}.run(t.Context(), in, time.Now().Add(test.age))
			if got != test.want {
				t.Errorf("outcome %v, %v; want %v", got, err, test.want)
			}
			var e *deliver.Error
			if test.want == 0 && (!errors.As(err, &e) || e.Scope != deliver.Place || !e.Temporary || e.Hint == "") {
				t.Errorf("error %#v, want a temporary one of scope Place with a hint", err)
			}
			if test.want == deliver.Published && !(slices.Contains(f.Ops(), "sync new") && slices.Contains(f.Ops(), "sync cur")) {
				t.Errorf("Published without a sync: %q", f.Ops())
			}
			if test.want == deliver.Redone && !slices.Contains(f.Ops(), "sync new") {
				t.Errorf("Redone without a sync: %q", f.Ops())
			}
			if test.want != 0 {
				if seen := len(delivered(t, m.Path)); seen != test.seen {
					t.Errorf("readers see %d messages, want %d", seen, test.seen)
				}
			}
		})
	}
}

func TestRecoverTwice(t *testing.T) {
	m, _, in := prepared(t)
	for _, want := range []deliver.Outcome{deliver.Redone, deliver.Published, deliver.Published} {
		got, err := Recover(t.Context(), in, time.Now())
		if got != want || err != nil {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
	if got := delivered(t, m.Path); len(got) != 1 {
		t.Errorf("delivered %q", got)
	}
}

// The device number of a file system may change with each mount.
func TestRecoverAfterMountWithAnotherDeviceNumber(t *testing.T) {
	_, s, in := prepared(t)
	os.Remove(s.path())
	in = change(t, in, func(n *note) { n.Device++ })
	want := deliver.Published
	if n, _ := parse(in); n.Born == 0 {
		want = 0 // a file system that does not keep the time of creation
	}
	if got, err := Recover(t.Context(), in, time.Now()); got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

// Each operation of Recover fails in turn: it decides nothing, and the next call decides
// correctly.
func TestFailedRecoverDecidesNothing(t *testing.T) {
	for _, gone := range []bool{false, true} {
		for n := 0; ; n++ {
			m, s, in := prepared(t)
			if gone {
				publish(t, m, []deliver.Staged{s})
			}
			failed := ""
			f := &faultfs.FS{Name: withoutName, Fail: func(i int, op string) error {
				if i == n {
					failed = op
					return syscall.EIO
				}
				return nil
			}}
			got, err := recovery{fs: f}.run(t.Context(), in, time.Now())
			if failed == "" {
				break
			}
			if got != 0 || !errors.Is(err, syscall.EIO) {
				t.Errorf("%s failed: %v, %v", failed, got, err)
			}
			if got, err := Recover(t.Context(), in, time.Now()); got == deliver.Again || err != nil {
				t.Errorf("after %s failed: %v, %v", failed, got, err)
			}
			if seen := delivered(t, m.Path); len(seen) != 1 {
				t.Errorf("after %s failed: readers see %q", failed, seen)
			}
		}
	}
}

func TestRecoverAfterContextEndedDecidesNothing(t *testing.T) {
	_, _, in := prepared(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := Recover(ctx, in, time.Now()); got != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestIntent(t *testing.T) {
	m, s, in := prepared(t)
	n, err := parse(in)
	if err != nil || in.Kind != Kind {
		t.Fatalf("%+v: %v", in, err)
	}
	if n.Dir != m.Path || n.Name != s.name || n.Octets != 4 || n.Inode == 0 || n.Time != s.made.Unix() {
		t.Errorf("note %+v", n)
	}
	var keys map[string]any
	if err := json.Unmarshal([]byte(in.Note), &keys); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"dir", "name", "octets", "device", "inode", "time"} {
		if _, ok := keys[key]; !ok {
			t.Errorf("no %q in %s", key, in.Note)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"dir":"/m","name":"1.P2T3R4.h","octets":5,"device":1,"inode":2,"time":3}`)
	f.Add(`{"dir":"/m","name":"../x","octets":5}`)
	f.Add(``)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parse(deliver.Intent{Kind: Kind, Note: text})
		if err != nil {
			return
		}
		if n.Name != filepath.Base(n.Name) || n.Name == "." || n.Name == ".." || strings.ContainsRune(n.Name, 0) || n.Octets < 0 {
			t.Errorf("accepted %+v", n)
		}
	})
}
