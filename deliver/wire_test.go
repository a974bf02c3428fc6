package deliver_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"popfetch/deliver"
)

// A message that was stored with a stamp and LF line ends comes back as it was sent.
func TestWireUndoesStampAndLineEnds(t *testing.T) {
	stamp := deliver.Stamp{Host: "here.example", Version: "1"}
	for _, meta := range []deliver.Meta{
		{ID: "ab12", Account: "work", User: "me@example.org", Host: "pop.example.org", Protocol: "POP3S", Time: time.Unix(1e9, 0)},
		{Account: "b", User: "no mailbox", Host: "::1"},
	} {
		for _, sent := range []string{
			"From: a\r\nSubject: b\r\n\r\nbody\r\n",
			"From: a\r\n\r\nno end",
			"Received: from elsewhere\r\n\tby them\r\n\tfor us\r\n\r\nx\r\n",
			"\r\n",
			"",
		} {
			for _, head := range []string{"", stamp.Received(meta)} {
				stored, err := io.ReadAll(deliver.NewLFReader(strings.NewReader(head + sent)))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(deliver.Wire(iotest.OneByteReader(bytes.NewReader(stored))))
				if err != nil || string(got) != sent {
					t.Errorf("stamp %q: got %q, %v, want %q", head, got, err, sent)
				}
			}
		}
	}
}

// endless is a line without an end. It counts the octets that were read from it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read > 1<<20 {
		return 0, errors.New("read on and on")
	}
	e.read += len(p)
	return copy(p, bytes.Repeat([]byte("x"), len(p))), nil
}

// A stored message may be one line of any length: its beginning is given out before its
// end was read.
func TestWireReadsNoFurtherThanAStampIsLong(t *testing.T) {
	line := new(endless)
	if _, err := io.ReadFull(deliver.Wire(line), make([]byte, 4096)); err != nil || line.read > 64<<10 {
		t.Errorf("%d octets were read for the first 4096, %v", line.read, err)
	}
}

func FuzzWire(f *testing.F) {
	f.Add("From: a\n\nb\n")
	f.Add("Received: from a (account b)\n\tby c (popfetch d)\n\tfor\nx")
	f.Fuzz(func(t *testing.T, stored string) {
		got, err := io.ReadAll(deliver.Wire(strings.NewReader(stored)))
		if err != nil {
			t.Fatal(err)
		}
		back := strings.ReplaceAll(string(got), "\r\n", "\n")
		if !strings.HasSuffix(stored, back) {
			t.Errorf("%q came back as %q", stored, back)
		}
	})
}
