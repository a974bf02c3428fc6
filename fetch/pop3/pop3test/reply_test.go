package pop3test

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func wire(t testing.TB, body string, step int, faults ...Fault) string {
	t.Helper()
	r := ok("x")
	r.body = func(w io.Writer) error {
		for rest := []byte(body); len(rest) > 0; {
			n, err := w.Write(rest[:min(step, len(rest))])
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
	var b bytes.Buffer
	if err := r.encode(faults)(&b); err != nil {
		t.Fatal(err)
	}
	got, found := strings.CutPrefix(b.String(), "+OK x\r\n")
	if !found {
		t.Fatalf("status line: %q", b.String())
	}
	return got
}

func TestDotStuffing(t *testing.T) {
	tests := []struct{ body, want string }{
		{"", ".\r\n"},
		{"a", "a\r\n.\r\n"},
		{"a\r\n", "a\r\n.\r\n"},
		{"a\n", "a\n\r\n.\r\n"},
		{".", "..\r\n.\r\n"},
		{".\r\n.\r\n", "..\r\n..\r\n.\r\n"},
		{"a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n.\r\n"},
		{"a\n.b\r.c\r\n", "a\n.b\r.c\r\n.\r\n"}, // neither LF nor CR begins a line
		{"\n.\r\n", "\n.\r\n.\r\n"},
		{"\r\r\n.x\r\n", "\r\r\n..x\r\n.\r\n"},
		{"a\r", "a\r\r\n.\r\n"},
	}
	for _, tt := range tests {
		for step := 1; step < 8; step++ {
			if got := wire(t, tt.body, step); got != tt.want {
				t.Errorf("%q in writes of %d: got %q, want %q", tt.body, step, got, tt.want)
			}
		}
	}
}

func TestDotFaults(t *testing.T) {
	tests := []struct {
		kind       Kind
		body, want string
	}{
		{Unstuffed, ".a\r\n.\r\nb\r\n", ".a\r\n.\r\nb\r\n.\r\n"},
		{NoFinalCRLF, "a\r\n\r\nb\r\n", "a\r\n\r\nb.\r\n"},
		{NoFinalCRLF, "a", "a.\r\n"},
		{NoFinalCRLF, "", ".\r\n"},
		{BareLFDot, "a\r\nb\r\n", "a\r\nb\n.\n"},
	}
	for _, tt := range tests {
		for step := 1; step < 8; step++ {
			if got := wire(t, tt.body, step, Fault{Do: tt.kind}); got != tt.want {
				t.Errorf("%q in writes of %d: got %q, want %q", tt.body, step, got, tt.want)
			}
		}
	}
}

func TestCopyTop(t *testing.T) {
	long := strings.Repeat("z", 10000)
	tests := []struct {
		message string
		lines   int
		want    string
	}{
		{"A: b\r\n\r\none\r\ntwo\r\n", 0, "A: b\r\n\r\n"},
		{"A: b\r\n\r\none\r\ntwo\r\n", 1, "A: b\r\n\r\none\r\n"},
		{"A: b\r\n\r\none\r\ntwo", 2, "A: b\r\n\r\none\r\ntwo"},
		{"A: b\r\n", 5, "A: b\r\n"},
		{"A: " + long + "\r\n\r\n" + long + "\r\n" + long, 1, "A: " + long + "\r\n\r\n" + long + "\r\n"},
		{"A: b\r\n\r\n\r\n\r\nx\r\n", 2, "A: b\r\n\r\n\r\n\r\n"},
		{"", 3, ""},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		if err := copyTop(&b, strings.NewReader(tt.message), tt.lines); err != nil {
			t.Fatal(err)
		}
		if b.String() != tt.want {
			t.Errorf("%.40q, %d lines: got %.80q, want %.80q", tt.message, tt.lines, b.String(), tt.want)
		}
	}
}

// unstuff follows RFC 1939 section 3 word for word. It returns the body and what follows
// its end.
func unstuff(s string) (body, rest string, ok bool) {
	var b strings.Builder
	for {
		line, after, found := strings.Cut(s, "\r\n")
		if !found {
			return "", "", false
		}
		if line == "." {
			return b.String(), after, true
		}
		b.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
		s = after
	}
}

func FuzzDotStuffing(f *testing.F) {
	f.Add(".\r\n.", uint8(0))
	f.Add("a\n.\r\n\r.\n.b", uint8(2))
	f.Fuzz(func(t *testing.T, body string, short uint8) {
		step := int(short) + 1 // octets in one write
		want := body
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		got, rest, ok := unstuff(wire(t, body, step))
		if got != want || rest != "" || !ok {
			t.Errorf("got %q and %q behind the end, want %q", got, rest, want)
		}
		m := Message{Raw: []byte(body)}
		if m.size() != int64(len(want)) {
			t.Errorf("announces %d octets of %d", m.size(), len(want))
		}
	})
}
