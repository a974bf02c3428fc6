//go:build linux

package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// smtpd is a running SMTP server.
type smtpd struct {
	port string
	dir  string // has a directory for each recipient
}

// startSMTP starts the server of testdata/smtpd.py with the certificate of d.
func startSMTP(t *testing.T, d *dovecot) *smtpd {
	t.Helper()
	const python = "/usr/bin/python3" // of Debian, which has the module
	if err := exec.Command(python, "-c", "import aiosmtpd").Run(); err != nil {
		t.Skip("aiosmtpd is not installed (Debian: apt-get install python3-aiosmtpd)")
	}
	s := &smtpd{dir: t.TempDir()}
	c := exec.Command(python, "testdata/smtpd.py", s.dir, d.CertFile, filepath.Join(d.Dir, "key.pem"))
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	s.port = strings.TrimSpace(line)
	return s
}

// destination is the table of the server for the configuration.
func (s *smtpd) destination(d *dovecot, password string, recipients ...string) string {
	return fmt.Sprintf("recipient = [\"%s\"]\nsmtp = {server = \"127.0.0.1:%s\", tls = \"starttls\", tls_ca_file = %q, user = \"me\", password = %q}",
		strings.Join(recipients, `", "`), s.port, d.CertFile, password)
}

// holds returns what a recipient has, with LF line ends and without the stamp.
func (s *smtpd) holds(t *testing.T, recipient string) (got mailbag, ids map[string]int) {
	t.Helper()
	got, ids = make(mailbag), make(map[string]int)
	stamp := stampOf("POP3S")
	names, _ := filepath.Glob(filepath.Join(s.dir, recipient, "*")) // no directory before the first
	for _, name := range names {
		text, err := os.ReadFile(name)
		must(t, err)
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
		at := stamp.FindIndex(text)
		if at == nil {
			t.Fatalf("no stamp:\n%.300s", text)
		}
		_, id, _ := bytes.Cut(text[:at[1]], []byte(" id "))
		id, _, _ = bytes.Cut(id, []byte("\n"))
		ids[string(id)]++
		got[string(text[at[1]:])]++
	}
	return got, ids
}

func testSMTP(t *testing.T, bin executable) {
	const n = 1000
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	s := startSMTP(t, d)
	h := newHome(t, bin)

	h.configure(t, d.account("work", alice, "implicit", "keep = false", s.destination(d, "wrong", bob)))
	h.once(t, 77).says(t, "SMTP server 127.0.0.1:"+s.port, "AUTH", "535")
	sameMail(t, "the server after a refused login", d.holds(t, alice), held)

	h = newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", s.destination(d, "smtp secret", bob)))
	out, err := h.command("check").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("SMTP server 127.0.0.1:"+s.port+", for "+bob+", logged in with ")) {
		t.Errorf("check: %v\n%s", err, out)
	}
	h.silently(t)
	h.silently(t)
	got, ids := s.holds(t, bob)
	sameMail(t, "both runs", got, asSent(held))
	if len(ids) != n {
		t.Errorf("%d messages have %d delivery ids", n, len(ids))
	}
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}

// testSMTPRecipients has one of two recipients refuse everything at first: the other one gets
// each message once all the same.
func testSMTPRecipients(t *testing.T, bin executable) {
	const n = 3
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	s := startSMTP(t, d)
	h := newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", s.destination(d, "smtp secret", bob, "carol@example.org")))
	must(t, os.WriteFile(filepath.Join(s.dir, "refuse"), []byte("carol@example.org"), 0o600))
	h.once(t, 75).says(t, "RCPT TO:<carol@example.org>", "452")
	h.once(t, 75)
	sameMail(t, "the server meanwhile", d.holds(t, alice), held)
	must(t, os.Remove(filepath.Join(s.dir, "refuse")))
	h.once(t, 0)
	for _, to := range []string{bob, "carol@example.org"} {
		got, _ := s.holds(t, to)
		sameMail(t, to, got, asSent(held))
	}
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}

// testKillInSMTP kills popfetch again and again while it sends. A kill may repeat the one
// message in hand, with its delivery id.
func testKillInSMTP(t *testing.T, bin executable) {
	const n, kills = 150, 8
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	s := startSMTP(t, d)
	h := newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", s.destination(d, "smtp secret", bob)))
	h.killOften(t, n, kills, func() int {
		names, _ := os.ReadDir(filepath.Join(s.dir, bob)) // not there at first
		return len(names)
	})
	h.once(t, 0)
	h.silently(t)
	got, ids := s.holds(t, bob)
	if len(ids) != n || got.count() > n+kills {
		t.Errorf("%d messages with %d delivery ids after %d kills, want at most %d with %d", got.count(), len(ids), kills, n+kills, n)
	}
	t.Logf("%d kills, %d repeats", kills, got.count()-n)
	want := asSent(held)
	for text := range got {
		got[text] = min(got[text], want[text])
	}
	sameMail(t, "all runs", got, want)
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}
