//go:build linux

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// writeScript makes a program of shell commands in the home directory.
func writeScript(t *testing.T, h *home, commands string) string {
	t.Helper()
	path := filepath.Join(h.dir, "program")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+commands+"\n"), 0o700))
	return path
}

// newMaildir makes one in the home directory, as a user does for his programs.
func newMaildir(t *testing.T, h *home, name string) string {
	t.Helper()
	dir := filepath.Join(h.dir, name)
	for _, sub := range []string{"tmp", "new", "cur"} {
		must(t, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	return dir
}

func testProcmail(t *testing.T, bin executable) {
	needs(t, "procmail", "procmail")
	h := newHome(t, bin)
	out := newMaildir(t, h, "sorted")
	rc := filepath.Join(h.dir, "procmailrc")
	must(t, os.WriteFile(rc, fmt.Appendf(nil, "MAILDIR=%s\nDEFAULT=%s/\n", h.dir, out), 0o600))
	throughMDA(t, h, out, fmt.Sprintf(`mda = ["procmail", %q]`, rc))
}

func testMaildrop(t *testing.T, bin executable) {
	needs(t, "maildrop", "maildrop")
	h := newHome(t, bin)
	out := newMaildir(t, h, "sorted")
	filter := filepath.Join(h.dir, "mailfilter")
	must(t, os.WriteFile(filter, fmt.Appendf(nil, "to \"%s\"\n", out), 0o600))
	throughMDA(t, h, out, fmt.Sprintf(`mda = ["maildrop", %q]`, filter))
}

// throughMDA fetches mail with a program that delivers into the Maildir out.
func throughMDA(t *testing.T, h *home, out, mda string) {
	t.Helper()
	const n = 50
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h.configure(t, d.account("work", alice, "starttls", "keep = false", mda))
	h.silently(t)
	h.silently(t)
	sameMail(t, "both runs", inMaildir(t, out, stampOf("POP3S")), held)
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}

func testMDALater(t *testing.T, bin executable) {
	const n = 20
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	out := newMaildir(t, h, "sorted")
	// Each second message has to wait until "open" exists.
	mda := writeScript(t, h, `cat > "$1/tmp/$$"
if ! [ -e "$2" ] && grep -q '^Subject: message [0-9]*[13579]$' "$1/tmp/$$"; then
	rm "$1/tmp/$$"; echo come back later; exit 75
fi
mv "$1/tmp/$$" "$1/new/$POPFETCH_ID.$$"`)
	open := filepath.Join(h.dir, "open")
	h.configure(t, d.account("work", alice, "implicit", "keep = false", fmt.Sprintf("mda = [%q, %q, %q]", mda, out, open)))

	h.once(t, 75).says(t, "popfetch: work: ", "75", "come back later")
	if got := inMaildir(t, out, stampOf("POP3S")).count(); got != n/2 {
		t.Errorf("%d messages were delivered, want %d", got, n/2)
	}
	if left := d.holds(t, alice).count(); left != n/2 {
		t.Errorf("%d messages are left on the server, want %d", left, n/2)
	}
	must(t, os.WriteFile(open, nil, 0o600))
	h.silently(t)
	h.silently(t)
	sameMail(t, "all runs", inMaildir(t, out, stampOf("POP3S")), held)
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}

func testMDANever(t *testing.T, bin executable) {
	const n = 20
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	d.fill(t, bob, n)
	h := newHome(t, bin)
	out := newMaildir(t, h, "sorted")
	mda := writeScript(t, h, `cat > "$1/tmp/$$"
if grep -q '^Subject: message 7$' "$1/tmp/$$"; then rm "$1/tmp/$$"; echo not this one; exit 65; fi
mv "$1/tmp/$$" "$1/new/$POPFETCH_ID.$$"`)
	h.configure(t,
		d.account("work", alice, "implicit", "keep = false", fmt.Sprintf("mda = [%q, %q]", mda, out)),
		d.account("other", bob, "implicit", "received = false"))
	refused := d.holds(t, alice)
	taken := make(mailbag)
	for text := range refused {
		if messageID(text) != "<7."+alice+">" {
			taken[text]++
			delete(refused, text)
		}
	}
	for again := range 2 {
		if r := h.once(t, 73); again == 0 {
			r.says(t, "popfetch: work: ", "65", "not this one")
		}
		sameMail(t, "work", inMaildir(t, out, stampOf("POP3S")), taken)
		sameMail(t, "the server", d.holds(t, alice), refused)
		sameMail(t, "other", inMaildir(t, h.maildir("other"), nil), asStored(bob, n))
	}
}
