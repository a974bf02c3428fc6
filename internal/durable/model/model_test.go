package model

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"popfetch/internal/durable"
)

// script runs operations on a disk. An error ends the test.
type script struct {
	*testing.T
	disk *Disk
}

func newScript(t *testing.T, dirs ...string) script {
	s := script{t, New()}
	for _, path := range dirs {
		s.must(s.disk.MakeDirs(path))
	}
	return s
}

func (s script) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s script) dir(path string) durable.Dir {
	s.Helper()
	d, err := s.disk.OpenDir(path)
	s.must(err)
	return d
}

func (s script) write(path, text string) durable.File {
	s.Helper()
	cut := strings.LastIndexByte(path, '/')
	f, err := s.dir(path[:cut]).Create(path[cut+1:])
	s.must(err)
	_, err = f.Write([]byte(text))
	s.must(err)
	return f
}

// tree returns what programs see, as text.
func tree(d *Disk) string {
	var words []string
	for _, dir := range []string{"/a", "/b", "/c"} {
		for _, f := range d.Files(dir) {
			words = append(words, fmt.Sprintf("%s/%s=%s", dir[1:], f.Name, strings.ReplaceAll(string(f.Data), "\x00", "0")))
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// What a power cut may leave, and nothing else. This table defines the model.
func TestCuts(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(s script)
		want []string
	}{
		{"nothing is synced", func(s script) {
			s.write("/a/x", "TEXT")
		}, []string{"", "a/x=", "a/x=0000", "a/x=00XT", "a/x=TE", "a/x=TE00", "a/x=TEXT"}},
		{"an empty file", func(s script) {
			s.write("/a/x", "")
		}, []string{"", "a/x="}},
		{"a file of one octet", func(s script) {
			s.write("/a/x", "T")
		}, []string{"", "a/x=", "a/x=0", "a/x=T"}},
		{"a sync of the file does not keep its name", func(s script) {
			s.must(s.write("/a/x", "TEXT").Sync())
		}, []string{"", "a/x=TEXT"}},
		{"a sync of the directory does not keep the content", func(s script) {
			s.write("/a/x", "TE")
			s.must(s.dir("/a").Sync())
		}, []string{"a/x=", "a/x=00", "a/x=0E", "a/x=T", "a/x=T0", "a/x=TE"}},
		{"both are synced", func(s script) {
			s.must(s.write("/a/x", "TEXT").Sync())
			s.must(s.dir("/a").Sync())
		}, []string{"a/x=TEXT"}},
		{"what is written after the sync may be lost", func(s script) {
			f := s.write("/a/x", "TEXT")
			s.must(f.Sync())
			s.must(s.dir("/a").Sync())
			_, err := f.Write([]byte("+"))
			s.must(err)
		}, []string{"a/x=TEXT", "a/x=TEXT+", "a/x=TEXT0"}},
		{"entries do not wait for each other", func(s script) {
			s.write("/a/x", "")
			s.write("/a/y", "")
		}, []string{"", "a/x=", "a/x= a/y=", "a/y="}},
		{"a removed file may come back", func(s script) {
			s.must(s.write("/a/x", "TEXT").Sync())
			s.must(s.dir("/a").Sync())
			s.must(s.dir("/a").Remove("x"))
		}, []string{"", "a/x=TEXT"}},
		{"changes of one entry keep their order", func(s script) {
			s.must(s.write("/a/x", "1").Sync())
			s.must(s.dir("/a").Remove("x"))
			s.must(s.write("/a/x", "2").Sync())
		}, []string{"", "a/x=1", "a/x=2"}},
		{"a rename is undone, done, or has left both names", func(s script) {
			renamed(s)
		}, []string{"a/x=TEXT", "a/x=TEXT b/y=TEXT", "b/y=TEXT"}},
		{"a rename takes a content that is not synced with it", func(s script) {
			s.write("/a/x", "")
			s.must(s.dir("/a").Sync())
			f, err := s.disk.Append("/a/x")
			s.must(err)
			_, err = f.Write([]byte("T"))
			s.must(err)
			s.must(s.dir("/a").Rename("x", s.dir("/b"), "y"))
		}, []string{
			"a/x=", "a/x= b/y=", "a/x=0", "a/x=0 b/y=0", "a/x=T", "a/x=T b/y=T", "b/y=", "b/y=0", "b/y=T",
		}},
		{"a sync of the new directory keeps the new name", func(s script) {
			renamed(s)
			s.must(s.dir("/b").Sync())
		}, []string{"a/x=TEXT b/y=TEXT", "b/y=TEXT"}},
		{"a sync of the old directory keeps the new name too", func(s script) {
			renamed(s)
			s.must(s.dir("/a").Sync())
		}, []string{"b/y=TEXT"}},
		{"a move is undone or done", func(s script) {
			s.must(s.write("/a/x", "TEXT").Sync())
			s.must(s.dir("/a").Sync())
			s.must(s.disk.Move("/a/x", "/b/y"))
		}, []string{"a/x=TEXT", "b/y=TEXT"}},
		{"a move comes after all that was done with the file", func(s script) {
			renamed(s)
			s.must(s.disk.Move("/b/y", "/c/z"))
		}, []string{"a/x=TEXT", "a/x=TEXT b/y=TEXT", "b/y=TEXT", "c/z=TEXT"}},
		{"a directory takes what is in it along", func(s script) {
			s.must(s.disk.Mkdir("/c"))
			s.must(s.write("/c/z", "TEXT").Sync())
			s.must(s.dir("/c").Sync())
		}, []string{"", "c/z=TEXT"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dirs := []string{"/a", "/b", "/c"}
			if strings.HasPrefix(test.name, "a directory") {
				dirs = dirs[:2]
			}
			s := newScript(t, dirs...)
			test.run(s)
			before := tree(s.disk)
			left := make(map[string]bool)
			for cut := range s.disk.Cuts() {
				left[tree(cut)] = true
				if !cut.Durable() {
					t.Errorf("after the power cut %q is not durable", tree(cut))
				}
			}
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(left))); diff != "" {
				t.Errorf("what is left (-want +got):\n%s", diff)
			}
			if !left[before] {
				t.Errorf("no cut loses nothing (%q)", before)
			}
			if tree(s.disk) != before || tree(s.disk.Clone()) != before {
				t.Error("the disk has changed")
			}
			if s.disk.Durable() != (len(left) == 1) {
				t.Errorf("Durable() = %v with %d possibilities", s.disk.Durable(), len(left))
			}
		})
	}
}

// renamed renames a durable file a/x to b/y.
func renamed(s script) {
	s.must(s.write("/a/x", "TEXT").Sync())
	s.must(s.dir("/a").Sync())
	s.must(s.dir("/a").Rename("x", s.dir("/b"), "y"))
}

// There are as many cuts as the possibilities multiply to, none twice.
func TestCutsAreAllDifferent(t *testing.T) {
	s := newScript(t, "/a")
	for i := range 3 {
		s.write(fmt.Sprintf("/a/%d", i), "TEXT")
	}
	left := make(map[string]int)
	for cut := range s.disk.Cuts() {
		left[tree(cut)]++
	}
	if len(left) != 7*7*7 {
		t.Errorf("%d different cuts, want %d", len(left), 7*7*7)
	}
	for words, n := range left {
		if n != 1 {
			t.Errorf("%q came %d times", words, n)
		}
	}
}

// A change of one copy of a disk does not change another.
func TestCopiesAreIndependent(t *testing.T) {
	s := newScript(t, "/a", "/b")
	f := s.write("/a/x", "TE")
	copied := s.disk.Clone()
	_, err := f.Write([]byte("XT"))
	s.must(err)
	s.must(s.dir("/a").Sync())
	other := script{t, copied}
	g, err := copied.Append("/a/x")
	s.must(err)
	_, err = g.Write([]byte("ST"))
	s.must(err)
	other.must(other.dir("/a").Rename("x", other.dir("/b"), "y"))
	if got := tree(s.disk) + ", " + tree(copied); got != "a/x=TEXT, b/y=TEST" {
		t.Error(got)
	}
}

// Watch gets each operation that changes something, with the disk after it.
func TestWatchGetsEachOperation(t *testing.T) {
	s := newScript(t, "/a", "/b")
	var ops []string
	s.disk.Watch = func(op string, now *Disk) { ops = append(ops, op+": "+tree(now)) }
	f := s.write("/a/x", "TEXT")
	s.must(f.Sync())
	s.must(s.dir("/a").Sync())
	s.must(s.dir("/a").Rename("x", s.dir("/b"), "y"))
	s.must(s.dir("/b").Remove("y"))
	s.must(s.disk.MakeDirs("/a/n"))
	want := []string{
		"create a/x: a/x=",
		"write x: a/x=TEXT",
		"sync x: a/x=TEXT",
		"sync a: a/x=TEXT",
		"rename a/x b/y: b/y=TEXT",
		"remove b/y: ",
		"sync /: ",
		"mkdir n: a/n=",
		"sync a: a/n=",
	}
	if diff := cmp.Diff(want, ops); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The errors are those that durable.Dir promises. A failed operation changes nothing.
func TestErrorsAreThoseOfAFileSystem(t *testing.T) {
	s := newScript(t, "/a/sub", "/b")
	s.write("/a/x", "1")
	s.write("/b/y", "2")
	a, b := s.dir("/a"), s.dir("/b")
	before := tree(s.disk)
	_, openMissing := s.disk.OpenDir("/nowhere")
	_, openFile := a.OpenDir("x")
	_, createTwice := a.Create("x")
	_, statMissing := a.Stat("z")
	_, appendMissing := s.disk.Append("/a/z")
	for _, test := range []struct {
		op   string
		got  error
		want error
	}{
		{"open a missing directory", openMissing, fs.ErrNotExist},
		{"create an existing file", createTwice, fs.ErrExist},
		{"stat a missing name", statMissing, fs.ErrNotExist},
		{"append to a missing file", appendMissing, fs.ErrNotExist},
		{"rename a missing file", a.Rename("z", b, "z"), fs.ErrNotExist},
		{"rename to an existing file", a.Rename("x", b, "y"), fs.ErrExist},
		{"remove a missing file", a.Remove("z"), fs.ErrNotExist},
		{"make an existing directory", s.disk.Mkdir("/a"), fs.ErrExist},
		{"move a missing file", s.disk.Move("/a/z", "/b/z"), fs.ErrInvalid},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: %v, want %v", test.op, test.got, test.want)
		}
	}
	if openFile == nil || a.Remove("sub") == nil || s.disk.MakeDirs("/a/x/deep") == nil {
		t.Error("a file is accepted as a directory, or a directory as a file")
	}
	if got := tree(s.disk); got != before {
		t.Errorf("changed to %q", got)
	}
}

// A directory keeps its identity in a power cut.
func TestIdentitySurvivesAPowerCut(t *testing.T) {
	s := newScript(t, "/a")
	before, err := s.dir("/a").ID()
	s.must(err)
	s.write("/a/x", "")
	for cut := range s.disk.Cuts() {
		after, err := script{t, cut}.dir("/a").ID()
		s.must(err)
		if !after.Same(before) {
			t.Errorf("%+v, was %+v", after, before)
		}
	}
}
