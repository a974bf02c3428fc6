package plan

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
)

// written returns the digest of a message that is written in parts of n octets.
func written(message []byte, n int) [16]byte {
	d := NewDigest()
	for part := message; len(part) > 0; {
		k := min(n, len(part))
		d.Write(part[:k])
		part = part[k:]
	}
	return d.Sum()
}

func TestDigestIsThatOfTheHeaderBlock(t *testing.T) {
	long := strings.Repeat("X-Long: "+strings.Repeat("y", 70)+"\r\n", 1200) // beyond 64 KiB
	tests := []struct{ name, header, body string }{
		{"usual", "From: a\r\nSubject: b\r\n\r\n", "hello\r\n\r\nworld\r\n"},
		{"no body", "From: a\r\n\r\n", ""},
		{"only a header, no empty line", "From: a\r\nSubject: b\r\n", ""},
		{"no header", "\r\n", "hello\r\n\r\nworld\r\n"},
		{"nothing", "", ""},
		{"body of empty lines", "From: a\r\n\r\n", "\r\n\r\n\r\n"},
		{"lone CR and LF", "From: a\n\n\r\rSubject: b\r\r\n\r\n", "x\r\n"},
		{"long", long + "\r\n", "hello\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			top, err := DigestOf(strings.NewReader(tt.header))
			if err != nil {
				t.Fatal(err)
			}
			whole := []byte(tt.header + tt.body)
			for _, n := range []int{1, 2, 3, 4, 5, 7, 63, 64, 1024, len(whole) + 1} {
				if got := written(whole, n); got != top {
					t.Errorf("in parts of %d octets RETR gives %x, TOP %x", n, got, top)
				}
			}
			if other := written([]byte("X"+tt.header), 1024); tt.header != "" && tt.header != "\r\n" && other == top {
				t.Error("another header block has the same digest")
			}
		})
	}
}

func TestDigestReportsAReadError(t *testing.T) {
	if _, err := DigestOf(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("From: a\r\n")))); err != iotest.ErrTimeout {
		t.Errorf("%v, want %v", err, iotest.ErrTimeout)
	}
}

func FuzzDigest(f *testing.F) {
	f.Add([]byte("A: b\r\n\r\nbody"), uint8(3))
	f.Add([]byte("\r\n\r\n\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, message []byte, n uint8) {
		size := int(n)%9 + 1
		whole := written(message, len(message)+1)
		if parts := written(message, size); parts != whole {
			t.Fatalf("in parts of %d octets %x, at once %x", size, parts, whole)
		}
		header := message
		if i := bytes.Index(append([]byte("\r\n"), message...), []byte("\r\n\r\n")); i >= 0 {
			header = message[:i+2]
		}
		if top := written(header, size); top != whole {
			t.Fatalf("of the header block alone %x, of the message %x", top, whole)
		}
	})
}

func TestLongUniqueIDsAreRecordedAsDigests(t *testing.T) {
	twin := func(uid string, nth int) string { return string(appendTwin(nil, recordedID([]byte(uid)), nth)) }
	limit := strings.Repeat("x", maxUID)
	for _, tt := range []struct {
		uid  string
		nth  int
		want string
	}{
		{"abc", 1, "abc"},
		{"abc", 2, "abc\x002"},
		{"../../etc/passwd\x1b\xff", 1, "../../etc/passwd\x1b\xff"},
		{limit, 1, limit},
		{limit, 12, limit + "\x0012"},
		{limit + "x", 1, ""},
		{"a\x002", 1, ""},
	} {
		got := twin(tt.uid, tt.nth)
		hashed := len(tt.uid) > maxUID || strings.Contains(tt.uid, "\x00")
		if hashed != strings.HasPrefix(got, "sha256:") || !hashed && got != tt.want {
			t.Errorf("%.20q, copy %d: %.20q", tt.uid, tt.nth, got)
		}
		if tt.nth == 1 && !hashed && (Listed{ID: got}).UID() != tt.uid {
			t.Errorf("%.20q is shown as %.20q", tt.uid, Listed{ID: got}.UID())
		}
	}
	if twin("a\x002", 1) == twin("a", 2) || twin(limit+"x", 1) == twin(limit+"y", 1) {
		t.Error("two unique-ids are remembered by the same name")
	}
}
