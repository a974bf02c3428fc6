package maildir

import (
	"bytes"
	"strings"
	"testing"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// void is a file system that drops what is written to its files. It leaves the cost of
// Stage itself to be measured.
type void struct{ durable.OS }

func (v void) OpenDir(path string) (durable.Dir, error) {
	dir, err := v.OS.OpenDir(path)
	return voidDir{dir}, err
}

type voidDir struct{ durable.Dir }

func (d voidDir) OpenDir(name string) (durable.Dir, error) {
	dir, err := d.Dir.OpenDir(name)
	return voidDir{dir}, err
}

func (voidDir) Create(string) (durable.File, error) { return voidFile{}, nil }
func (voidDir) Remove(string) error                 { return nil }

type voidFile struct{}

func (voidFile) Write(p []byte) (int, error) { return len(p), nil }
func (voidFile) Sync() error                 { return nil }
func (voidFile) Close() error                { return nil }

// wire returns a message with this many lines as a server sends it.
func wire(lines int) []byte {
	return bytes.Repeat([]byte(strings.Repeat("x", 70)+"\r\n"), lines)
}

// receive stages a message and gives it up.
func receive(t testing.TB, m *Maildir, text []byte) {
	s, err := m.Stage(t.Context(), deliver.Meta{}, bytes.NewReader(text))
	if err == nil {
		err = s.Abort()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Ten thousand times as many lines need no more allocations, except for a few that the
// runtime makes meanwhile.
func TestStageAllocatesNothingForALine(t *testing.T) {
	m := &Maildir{Path: t.TempDir(), Owner: testOwner, fs: void{}}
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	short, long := wire(10), wire(100_000)
	few := testing.AllocsPerRun(10, func() { receive(t, m, short) })
	many := testing.AllocsPerRun(10, func() { receive(t, m, long) })
	if many > few+100 {
		t.Errorf("%v allocations for 10 lines, %v for 100,000", few, many)
	}
}

func BenchmarkStage(b *testing.B) {
	for _, place := range []struct {
		name string
		fs   durable.FS
	}{{"to nowhere", void{}}, {"to a file", durable.OS{}}} {
		for _, message := range []struct {
			name  string
			lines int
		}{{"4 KiB", 57}, {"8 MiB", 116_509}} {
			b.Run(message.name+" "+place.name, func(b *testing.B) {
				m := &Maildir{Path: b.TempDir(), Owner: testOwner, fs: place.fs}
				if err := m.Open(); err != nil {
					b.Fatal(err)
				}
				defer m.Close()
				text := wire(message.lines)
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					receive(b, m, text)
				}
			})
		}
	}
}
