package pop3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// naiveDot decodes octet by octet, word for word as RFC 1939 section 3 says. rest is what
// follows the end; ok is false if there is no end.
func naiveDot(in []byte) (content, rest []byte, ok bool) {
	start := true
	for i := 0; i < len(in); {
		if start && bytes.HasPrefix(in[i:], []byte(".\r\n")) {
			return content, in[i+3:], true
		}
		if start && in[i] == '.' {
			// The connection ends before it is clear whether this dot is the end
			// is not content.
			if i+1 == len(in) || i+2 == len(in) && in[i+1] == '\r' {
				return content, nil, false
			}
			i++
			start = false
			continue
		}
		content = append(content, in[i])
		i++
		start = bytes.HasSuffix(in[:i], []byte("\r\n"))
	}
	return content, nil, false
}

// readDot decodes with reads of varying sizes through a small buffer.
func readDot(in []byte, rng *rand.Rand, oneByte bool) (content, rest []byte, err error) {
	var src io.Reader = bytes.NewReader(in)
	if oneByte {
		src = iotest.OneByteReader(src)
	}
	br := bufio.NewReaderSize(src, 16)
	d := dotReader{r: br}
	for {
		p := make([]byte, 1+rng.IntN(20))
		n, err := d.Read(p)
		content = append(content, p[:n]...)
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			rest, _ := io.ReadAll(br)
			return content, rest, err
		}
		if n == 0 {
			return content, nil, errors.New("read nothing and no error")
		}
	}
}

func checkDot(t *testing.T, in []byte, seed uint64) {
	t.Helper()
	want, wantRest, ok := naiveDot(in)
	for _, oneByte := range []bool{false, true} {
		got, rest, err := readDot(in, rand.New(rand.NewPCG(seed, 1)), oneByte)
		if ok != (err == nil) || err != nil && err != io.ErrUnexpectedEOF {
			t.Fatalf("%q: error %v, want the end %v", in, err, ok)
		}
		if !bytes.Equal(got, want) || ok && !bytes.Equal(rest, wantRest) {
			t.Fatalf("%q: got %q and %q left, want %q and %q", in, got, rest, want, wantRest)
		}
	}
}

// Every string over the octets that matter, up to a length.
func TestDotExhaustive(t *testing.T) {
	const alphabet, length = "\r\n.x", 8
	in := make([]byte, length)
	total := 1
	for range length {
		total *= len(alphabet)
	}
	for i := range total {
		for j, k := 0, i; j < length; j, k = j+1, k/len(alphabet) {
			in[j] = alphabet[k%len(alphabet)]
		}
		checkDot(t, in, uint64(i))
	}
}

func TestDot(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	for _, tt := range []struct{ name, in, want, rest string }{
		{"empty", ".\r\n", "", ""},
		{"empty line", "\r\n.\r\n", "\r\n", ""},
		{"stuffed", "..\r\n...\r\n..x\r\n.\r\n", ".\r\n..\r\n.x\r\n", ""},
		{"not stuffed", ".x\r\n.\r\n", "x\r\n", ""},
		{"bare LF dot bare LF", "a\n.\n+OK injected\r\n.\r\n", "a\n.\n+OK injected\r\n", ""},
		{"bare LF dot CRLF", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", ""},
		{"CRLF dot bare LF", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", ""},
		{"bare CR dot", "a\r.\r\n.\r\n", "a\r.\r\n", ""},
		{"CR CR LF", "a\r\r\n.\r\n", "a\r\r\n", ""},
		{"dot CR", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", ""},
		{"NUL and 8 bit", "\x00\xff\r\n.\r\n", "\x00\xff\r\n", ""},
		{"endless line", long + "\r\n.\r\n", long + "\r\n", ""},
		{"what follows stays", "a\r\n.\r\n+OK\r\n", "a\r\n", "+OK\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, rest, err := readDot([]byte(tt.in), rand.New(rand.NewPCG(1, 2)), false)
			if err != nil || string(got) != tt.want || string(rest) != tt.rest {
				t.Errorf("got %.80q, %q left, %v", got, rest, err)
			}
		})
	}
}

func FuzzDot(f *testing.F) {
	f.Add([]byte("a\r\n..\r\n.\r\n+OK"), uint64(1))
	f.Add([]byte(".\r.\r\n\r\n.\n.\r\n"), uint64(2))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) { checkDot(t, in, seed) })
}

// benchmarkBody is 1 MiB of mail lines, one in a hundred of them stuffed.
func benchmarkBody(width int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 1<<20; i++ {
		if i%100 == 0 {
			b.WriteString("..")
		}
		b.WriteString(strings.Repeat("x", width) + "\r\n")
	}
	b.WriteString(".\r\n")
	return b.Bytes()
}

func BenchmarkDot(b *testing.B) {
	for _, bb := range []struct {
		name  string
		width int
	}{{"lines of 76", 76}, {"lines of 1", 1}, {"lines of 100000", 100_000}} {
		b.Run(bb.name, func(b *testing.B) {
			in := benchmarkBody(bb.width)
			src := bytes.NewReader(in)
			br := bufio.NewReaderSize(src, bufferSize)
			p := make([]byte, 32<<10)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(in)
				br.Reset(src)
				d := dotReader{r: br}
				for {
					if _, err := d.Read(p); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func TestDotAllocatesNothing(t *testing.T) {
	in := benchmarkBody(76)
	src := bytes.NewReader(in)
	br := bufio.NewReaderSize(src, bufferSize)
	p := make([]byte, 32<<10)
	allocs := testing.AllocsPerRun(5, func() {
		src.Reset(in)
		br.Reset(src)
		d := dotReader{r: br}
		for {
			if _, err := d.Read(p); err != nil {
				break
			}
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for %d octets", allocs, len(in))
	}
}
