//go:build linux

package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// inMbox returns the messages of an mboxrd file without the stamp. It fails the test if the
// file is not one of whole messages.
func inMbox(t *testing.T, path string, stamp *regexp.Regexp) mailbag {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	got := make(mailbag)
	quoted := regexp.MustCompile(`(?m)^>(>*From )`)
	for part := range bytes.SplitSeq(bytes.TrimPrefix(text, []byte("From ")), []byte("\n\nFrom ")) {
		_, message, ok := bytes.Cut(append(part, '\n'), []byte("\n"))
		message = quoted.ReplaceAll(message, []byte("$1"))
		at := stamp.FindIndex(message)
		if !ok || at == nil {
			t.Fatalf("no stamp:\n%.300s", message)
		}
		got[string(bytes.TrimRight(message[at[1]:], "\n"))]++
	}
	return got
}

// withoutEnd is the messages without the line ends at their end, which inMbox does not tell
// from the empty line between messages.
func withoutEnd(held mailbag) mailbag {
	texts := make(mailbag)
	for text, n := range held {
		texts[strings.TrimRight(text, "\n")] += n
	}
	return texts
}

// testMbox kills popfetch again and again while it delivers into an mbox, and compares what
// arrived.
func testMbox(t *testing.T, bin executable) {
	const n, kills = 600, 8
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	path := filepath.Join(h.dir, "mail", "work.mbox")
	h.configure(t, d.account("work", alice, "implicit", "keep = false", `mbox = "~/mail/{account}.mbox"`))
	out, err := h.command("check").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("mbox "+path+", to be created")) {
		t.Errorf("check: %v\n%s", err, out)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("check has made the mbox")
	}
	h.killOften(t, n, kills, func() int {
		text, _ := os.ReadFile(path) // not there at first
		return bytes.Count(text, []byte("\n\nFrom "))
	})
	h.silently(t)
	h.silently(t)
	sameMail(t, "all runs", inMbox(t, path, stampOf("POP3S")), withoutEnd(held))
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}
