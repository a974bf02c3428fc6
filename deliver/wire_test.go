package deliver_test

import (
	"bytes"
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
