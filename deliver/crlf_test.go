package deliver

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readIn reads r to its end with buffers of size octets.
func readIn(r io.Reader, size int) ([]byte, error) {
	var all []byte
	buf := make([]byte, size)
	for {
		n, err := r.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func TestLFReader(t *testing.T) {
	for _, in := range []string{
		"", "a", "\r", "\n", "\r\n", "\r\r", "\r\r\n", "\r\n\r\n", "\n\r", "a\rb", "a\nb\r\n", "\r\x00\n",
		strings.Repeat("\r\n", 40), strings.Repeat("a\r\n\r", 40), strings.Repeat("\r", 31) + "\n" + strings.Repeat("\r", 32) + "\n",
		strings.Repeat("\r\nshort\r\na line of some more octets than those\r\n", 20),
		"a\r\n.\r\nb\r", "line\r\n\r\n\r\rend\r\r\r\n", strings.Repeat("x", 63) + "\r\n", strings.Repeat("y", 4095) + "\r\nz",
	} {
		want := strings.ReplaceAll(in, "\r\n", "\n")
		for _, size := range []int{1, 2, 3, 63, 64, 65, 4096} {
			for name, src := range map[string]io.Reader{
				"whole":        strings.NewReader(in),
				"one by one":   iotest.OneByteReader(strings.NewReader(in)),
				"with error":   iotest.DataErrReader(strings.NewReader(in)),
				"half by half": iotest.HalfReader(strings.NewReader(in)),
			} {
				got, err := readIn(NewLFReader(src), size)
				if err != nil || string(got) != want {
					t.Errorf("%q, %s, in reads of %d: %q, %v; want %q", in, name, size, got, err, want)
				}
			}
		}
	}
}

func TestLFReaderConforms(t *testing.T) {
	in := strings.Repeat("one\r\ntwo\rthree\r\r\n", 500)
	want := []byte(strings.ReplaceAll(in, "\r\n", "\n"))
	if err := iotest.TestReader(NewLFReader(strings.NewReader(in)), want); err != nil {
		t.Error(err)
	}
}

func TestLFReaderErrors(t *testing.T) {
	lost := errors.New("connection lost")
	r := NewLFReader(io.MultiReader(strings.NewReader("a\r\nb\r"), iotest.ErrReader(lost)))
	got, err := readIn(r, 100)
	if string(got) != "a\nb\r" || err != lost {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := readIn(NewLFReader(idle{}), 100); err != io.ErrNoProgress {
		t.Errorf("a source that returns nothing: %v", err)
	}
}

// idle is a source that never returns anything.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestLFReaderAllocatesNothing(t *testing.T) {
	src := bytes.NewReader(bytes.Repeat([]byte("a line of text\r\n"), 4096))
	buf := make([]byte, 8192)
	r := NewLFReader(src)
	allocs := testing.AllocsPerRun(10, func() {
		src.Seek(0, io.SeekStart)
		*r = LFReader{src: src}
		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for 4096 lines", allocs)
	}
}

func FuzzLFReader(f *testing.F) {
	f.Add([]byte("a\r\nb\r\r\n\r"), 3)
	f.Add([]byte("\r\n\r\n"), 64)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		size = 1 + max(size, -(size+1))%200
		want := bytes.ReplaceAll(in, []byte("\r\n"), []byte("\n"))
		for _, src := range []io.Reader{bytes.NewReader(in), iotest.HalfReader(bytes.NewReader(in))} {
			got, err := readIn(NewLFReader(src), size)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("in reads of %d: %q, %v; want %q", size, got, err, want)
			}
		}
	})
}

func BenchmarkLFReader(b *testing.B) {
	for _, bb := range []struct{ name, line string }{
		{"lines of 70", strings.Repeat("x", 70) + "\r\n"},
		{"lines of 10", "0123456789\r\n"},
		{"lines of 1", "x\r\n"},
		{"empty lines", "\r\n"},
		{"CR", "\r"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			in := bytes.Repeat([]byte(bb.line), 1<<20/len(bb.line))
			src := bytes.NewReader(in)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			buf := make([]byte, 64<<10)
			r := NewLFReader(src)
			for b.Loop() {
				src.Seek(0, io.SeekStart)
				*r = LFReader{src: src}
				for {
					if _, err := r.Read(buf); err != nil {
						break
					}
				}
			}
		})
	}
}
