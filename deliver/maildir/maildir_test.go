package maildir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gomaildir "github.com/emersion/go-maildir"
	"github.com/google/go-cmp/cmp"

	"popfetch/deliver"
	"popfetch/deliver/delivertest"
	"popfetch/internal/durable/faultfs"
)

const testOwner = "0123456789abcdef"

// withoutName writes NAME for the name of a message.
func withoutName(op string) string { return messageName.ReplaceAllString(op, "NAME") }

var messageName = regexp.MustCompile(`\d+\.P\d+T[0-9a-f]{16}R[0-9a-f]{32}\.[^, ]+`)

// newMaildir returns a Maildir that does not exist yet, on a file system with faults.
func newMaildir(t *testing.T) (*Maildir, *faultfs.FS) {
	f := &faultfs.FS{Name: withoutName}
	m := &Maildir{Path: filepath.Join(t.TempDir(), "Mail", "work"), Owner: testOwner, Host: "desk.example.net", fs: f}
	t.Cleanup(func() { m.Close() })
	return m, f
}

func openMaildir(t *testing.T) (*Maildir, *faultfs.FS) {
	t.Helper()
	m, f := newMaildir(t)
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	f.Reset()
	return m, f
}

func list(t *testing.T, m *Maildir, part string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(m.Path, part))
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// delivered returns the messages that a mail reader finds, by a library that readers use.
func delivered(t *testing.T, path string) []string {
	t.Helper()
	dir := gomaildir.Dir(path)
	if _, err := dir.Unseen(); err != nil {
		t.Fatal(err)
	}
	messages, err := dir.Messages()
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, msg := range messages {
		b, err := os.ReadFile(msg.Filename())
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return texts
}

func stage(t *testing.T, m *Maildir, texts ...string) []deliver.Staged {
	t.Helper()
	var group []deliver.Staged
	for _, text := range texts {
		s, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		group = append(group, s)
	}
	return group
}

func prepare(t *testing.T, m *Maildir, group []deliver.Staged) {
	t.Helper()
	if err := errors.Join(m.Prepare(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, m *Maildir, group []deliver.Staged) {
	t.Helper()
	if err := errors.Join(m.Publish(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
		path := filepath.Join(t.TempDir(), "Maildir")
		f := &faultfs.FS{Name: withoutName}
		return delivertest.Fixture{
			Stored: delivertest.LF,
			Open: func() deliver.Destination {
				m := &Maildir{Path: path, Owner: testOwner, Host: "desk", Claim: Claim{accountTag, storeOne}, fs: f}
				if err := m.Open(); err != nil {
					t.Fatal(err)
				}
				return m
			},
			Recover: func(ctx context.Context, in deliver.Intent) (deliver.Outcome, error) {
				return recovery{fs: f}.run(ctx, in, time.Now())
			},
			Faults:    f,
			Delivered: func() []string { return delivered(t, path) },
			Leftovers: func() []string { return list(t, &Maildir{Path: path}, "tmp") },
		}
	})
}

func TestOrderOfOperations(t *testing.T) {
	m, f := newMaildir(t)
	steps := []struct {
		name string
		run  func()
		want []string
	}{
		{"open", func() {
			if err := m.Open(); err != nil {
				t.Fatal(err)
			}
		}, []string{"open work", "make work", "open work", "sync work", "open tmp", "may write tmp", "open new", "may write new", "id of work"}},
		{"first group", func() {
			group := stage(t, m, "one", "two")
			prepare(t, m, group)
			publish(t, m, group)
		}, []string{
			"create tmp/NAME", "write", "create tmp/NAME", "write",
			"sync file", "close file", "sync file", "close file", "sync tmp",
			"rename tmp/NAME new/NAME,S=3", "rename tmp/NAME new/NAME,S=3", "sync new",
		}},
		{"open again", func() {
			m.Close()
			if err := m.Open(); err != nil {
				t.Fatal(err)
			}
		}, []string{
			"open work", "stat work/cur", "stat work/new", "stat work/tmp",
			"open tmp", "may write tmp", "open new", "may write new", "id of work",
		}},
		{"first group after that", func() {
			group := stage(t, m, "three")
			prepare(t, m, group)
			publish(t, m, group)
		}, []string{
			"create tmp/NAME", "write", "sync file", "close file", "sync work", "sync tmp",
			"rename tmp/NAME new/NAME,S=5", "sync new",
		}},
		{"nothing to do", func() {
			prepare(t, m, nil)
			publish(t, m, nil)
		}, nil},
	}
	for _, step := range steps {
		f.Reset()
		step.run()
		got := f.Ops()
		if step.name == "first group" { // files are synced in parallel
			slices.Sort(got[4:8])
			slices.Sort(step.want[4:8])
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: operations differ (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestNamesAndModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	m, _ := newMaildir(t)
	m.Host = "a/b:c"
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	group := stage(t, m, "12345")
	prepare(t, m, group)
	publish(t, m, group)
	names := list(t, m, "new")
	if len(names) != 1 || !messageName.MatchString(names[0]) || !strings.HasSuffix(names[0], `.a\057b\072c,S=5`) {
		t.Errorf("names %q", names)
	}
	for path, want := range map[string]fs.FileMode{
		"..": 0o700, ".": 0o700, "tmp": 0o700, "new": 0o700, "cur": 0o700, "new/" + names[0]: 0o600,
	} {
		info, err := os.Stat(filepath.Join(m.Path, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestEscapeHost(t *testing.T) {
	for host, want := range map[string]string{
		"":            "localhost",
		"desk.home-1": "desk.home-1",
		"a/b:c":       `a\057b\072c`,
		"x,S=1\n\x00": `x\054S\0751\012\000`,
	} {
		if got := escapeHost(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
	if got := escapeHost(strings.Repeat("h:", 500)); len(got) > maxHost+4 {
		t.Errorf("%d octets", len(got))
	}
}

func TestOpenRefuses(t *testing.T) {
	mkdirs := func(t *testing.T, path string, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.MkdirAll(filepath.Join(path, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name  string
		setup func(t *testing.T, m *Maildir)
		want  string // of the error text
	}{
		{"a file", func(t *testing.T, m *Maildir) {
			mkdirs(t, m.Path, "..")
			os.WriteFile(m.Path, nil, 0o600)
		}, "not a directory"},
		{"a directory of something else", func(t *testing.T, m *Maildir) {
			mkdirs(t, m.Path, "Documents", "Music", "b", "a\n")
		}, `not a Maildir: it has "Documents", "Music", "a\n" and 1 more but no cur, no new, no tmp`},
		{"half a Maildir in use", func(t *testing.T, m *Maildir) { mkdirs(t, m.Path, "cur", "new", "x") }, "no tmp"},
		{"tmp is a link", func(t *testing.T, m *Maildir) {
			mkdirs(t, m.Path, "cur", "new", "../elsewhere")
			os.Symlink("../elsewhere", filepath.Join(m.Path, "tmp"))
		}, "is not a directory"},
		{"relative path", func(t *testing.T, m *Maildir) { m.Path = "Mail" }, "absolute"},
		{"path that is not UTF-8", func(t *testing.T, m *Maildir) { m.Path += "\xff" }, "UTF-8"},
		{"no owner tag", func(t *testing.T, m *Maildir) { m.Owner = "ABC" }, "owner tag"},
		{"not writable", func(t *testing.T, m *Maildir) {
			m.fs.(*faultfs.FS).Fail = func(_ int, op string) error {
				if op == "may write new" {
					return syscall.EROFS
				}
				return nil
			}
		}, "read-only file system"},
		{"tree cannot be made", func(t *testing.T, m *Maildir) {
			m.init = func(string) error { return syscall.ENOSPC }
		}, "no space left"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, _ := newMaildir(t)
			test.setup(t, m)
			err := m.Open()
			var e *deliver.Error
			if !errors.As(err, &e) || e.Scope != deliver.Place || e.Temporary || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an *Error of scope Place with %q", err, test.want)
			}
		})
	}
}

func TestOpenCompletes(t *testing.T) {
	for _, parts := range [][]string{{}, {"tmp"}, {"tmp", "new"}, {"lost+found"}} {
		m, f := newMaildir(t)
		for _, part := range append(parts, ".") {
			if err := os.MkdirAll(filepath.Join(m.Path, part), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Open(); err != nil {
			t.Errorf("with %q: %v", parts, err)
			continue
		}
		// A process may have been killed before it synced these directories.
		if !slices.Contains(f.Ops(), "make work") || !slices.Contains(f.Ops(), "sync work") {
			t.Errorf("with %q: not made durable: %q", parts, f.Ops())
		}
		list(t, m, "cur")
	}
}

// Each operation of a delivery fails in turn: the message does not count as delivered,
// readers see it only if the last sync failed, and nothing stays in tmp/.
func TestFailedOperationIsNotADelivery(t *testing.T) {
	for n := 0; ; n++ {
		m, f := openMaildir(t)
		m.rooted = false
		var failed string
		f.Fail = func(i int, op string) error {
			if i == n {
				failed = op
				return syscall.EIO
			}
			return nil
		}
		ok := deliverOne(t, m)
		f.Fail = nil
		if failed == "" {
			if !ok {
				t.Error("not delivered without a fault")
			}
			return
		}
		seen := delivered(t, m.Path)
		if ok {
			t.Errorf("%s failed, and the message counts as delivered", failed)
		}
		if len(seen) > 0 && failed != "sync new" {
			t.Errorf("%s failed, and readers see %q", failed, seen)
		}
		if left := list(t, m, "tmp"); len(left) > 0 {
			t.Errorf("%s failed, and tmp has %q", failed, left)
		}
	}
}

// deliverOne delivers one message and reports whether that succeeded. It gives it up after
// the first error, and checks the error.
func deliverOne(t *testing.T, m *Maildir) bool {
	t.Helper()
	check := func(err error) bool {
		var e *deliver.Error
		if err != nil && (!errors.As(err, &e) || e.Scope != deliver.Place || !errors.Is(err, syscall.EIO) || e.Hint == "") {
			t.Errorf("error %#v: %v", err, err)
		}
		return err == nil
	}
	s, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader("text"))
	if !check(err) {
		return false
	}
	group := []deliver.Staged{s}
	for _, step := range []func() []error{
		func() []error { return m.Prepare(t.Context(), group) },
		func() []error { return m.Publish(t.Context(), group) },
	} {
		if errs := step(); errs != nil {
			check(errs[0])
			if err := s.Abort(); err != nil {
				t.Errorf("abort: %v", err)
			}
			return false
		}
	}
	return true
}

func TestOneBadFileOfAGroup(t *testing.T) {
	for _, op := range []string{"sync file", "close file"} {
		m, f := openMaildir(t)
		group := stage(t, m, "one", "two", "three")
		first := true
		f.Fail = func(_ int, done string) error {
			if done == op && first {
				first = false
				return syscall.EIO
			}
			return nil
		}
		// By itself, so that it is known which one fails.
		errs := append(m.Prepare(t.Context(), group[:1]), m.Prepare(t.Context(), group[1:])...)
		if len(errs) != 1 || errs[0] == nil {
			t.Fatalf("%s: errors %v", op, errs)
		}
		if errs := m.Prepare(t.Context(), group[:1]); errs == nil {
			t.Errorf("%s: a second Prepare believes a second sync", op)
		}
		if err := group[0].Abort(); err != nil {
			t.Error(err)
		}
		publish(t, m, group[1:])
		got := delivered(t, m.Path)
		slices.Sort(got)
		if !slices.Equal(got, []string{"three", "two"}) {
			t.Errorf("%s: delivered %q", op, got)
		}
	}
}

// A second sync of the same descriptor would succeed and prove nothing.
func TestFailedDirectorySyncIsNotRepeated(t *testing.T) {
	for _, op := range []string{"sync tmp", "sync new"} {
		m, f := openMaildir(t)
		f.Fail = func(_ int, done string) error {
			if done == op {
				return syscall.EIO
			}
			return nil
		}
		deliverOne(t, m)
		f.Reset()
		f.Fail = nil
		if _, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader("")); !errors.Is(err, syscall.EIO) {
			t.Errorf("after %s: Stage = %v", op, err)
		}
		if errs := m.Publish(t.Context(), []deliver.Staged{&staged{m: m}}); !errors.Is(errors.Join(errs...), syscall.EIO) {
			t.Errorf("after %s: Publish = %v", op, errs)
		}
		if slices.Contains(f.Ops(), op) {
			t.Errorf("%s was tried again", op)
		}
		m.Close()
		if err := m.Open(); err != nil {
			t.Fatal(err)
		}
		if !deliverOne(t, m) {
			t.Errorf("after %s: no delivery after Open", op)
		}
	}
}

func TestNothingIsReplaced(t *testing.T) {
	m, _ := openMaildir(t)
	group := stage(t, m, "text")
	prepare(t, m, group)
	s := group[0].(*staged)
	there := filepath.Join(m.Path, "new", published(s.name, s.octets))
	os.WriteFile(there, []byte("other"), 0o600)
	if errs := m.Publish(t.Context(), group); !errors.Is(errors.Join(errs...), fs.ErrExist) {
		t.Errorf("errors %v", errs)
	}
	if b, _ := os.ReadFile(there); string(b) != "other" {
		t.Errorf("replaced by %q", b)
	}
}

func TestRenameFindsNothing(t *testing.T) {
	t.Run("tmp was cleaned", func(t *testing.T) {
		m, _ := openMaildir(t)
		group := stage(t, m, "text", "other")
		prepare(t, m, group)
		os.Remove(group[0].(*staged).path())
		errs := m.Publish(t.Context(), group)
		var e *deliver.Error
		if len(errs) != 2 || !errors.Is(errs[0], deliver.ErrGone) || !errors.As(errs[0], &e) || e.Scope != deliver.Message || errs[1] != nil {
			t.Errorf("errors %v", errs)
		}
	})
	t.Run("the reply of NFS was lost", func(t *testing.T) {
		m, f := openMaildir(t)
		group := stage(t, m, "text")
		prepare(t, m, group)
		s := group[0].(*staged)
		f.Before = func(op string) { // the rename was done, and a reader has moved the file
			if strings.HasPrefix(op, "rename") {
				os.Rename(s.path(), filepath.Join(m.Path, "cur", s.name+",S=4:2,S"))
			}
		}
		publish(t, m, group)
	})
	t.Run("new was removed", func(t *testing.T) {
		m, _ := openMaildir(t)
		group := stage(t, m, "text")
		prepare(t, m, group)
		os.Remove(filepath.Join(m.Path, "new"))
		errs := m.Publish(t.Context(), group)
		if err := errors.Join(errs...); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, deliver.ErrGone) {
			t.Errorf("errors %v", errs)
		}
		if left := list(t, m, "tmp"); len(left) != 1 {
			t.Errorf("tmp has %q", left)
		}
	})
}

func TestSwappedMaildirDoesNotRedirect(t *testing.T) {
	m, _ := openMaildir(t)
	group := stage(t, m, "text")
	if err := os.Rename(m.Path, m.Path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := gomaildir.Dir(m.Path).Init(); err != nil {
		t.Fatal(err)
	}
	prepare(t, m, group)
	publish(t, m, group)
	if got := delivered(t, m.Path); len(got) != 0 {
		t.Errorf("in the other one: %q", got)
	}
	if got := delivered(t, m.Path+".old"); len(got) != 1 {
		t.Errorf("in the one that was opened: %q", got)
	}
}
