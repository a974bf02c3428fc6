//go:build linux

package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popfetch/internal/dovecottest"
)

// startIMAP starts a server that has mail for alice and takes mail for bob by IMAP.
func startIMAP(t *testing.T, settings string) *dovecot {
	t.Helper()
	if reason := dovecottest.MissingIMAP(); reason != "" {
		t.Skip(reason)
	}
	return runDovecot(t, dovecottest.Options{
		IMAP: true, Certificate: serverCertificate(t), Users: map[string]string{alice: password, bob: password}, Settings: settings,
	})
}

// toBob delivers to him by IMAP over TLS.
func (d *dovecot) toBobByIMAP(account string, more ...string) string {
	return fmt.Sprintf("[account.%s.imap]\nserver = %q\nuser = %q\npassword = %q\ntls_ca_file = %q\n%s\n", account, d.IMAPS, bob, password, d.CertFile, strings.Join(more, "\n"))
}

// fetchAccount is an account without a destination of its own.
func (d *dovecot) fetchAccount(name string, more ...string) string {
	return d.account(name, alice, "implicit", more...)
}

// configureIMAP writes a configuration without the default Maildir.
func (h *home) configureIMAP(t *testing.T, accounts ...string) {
	t.Helper()
	dir := filepath.Join(h.dir, "config", "popfetch")
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "config.toml"), []byte(strings.Join(accounts, "")), 0o600))
}

// unstamped takes the Received field of popfetch from each message, and returns the delivery
// ids too.
func unstamped(t *testing.T, held mailbag) (texts mailbag, ids map[string]int) {
	t.Helper()
	texts, ids = make(mailbag), make(map[string]int)
	stamp := stampOf("POP3S")
	for text, n := range held {
		at := stamp.FindStringIndex(text)
		if at == nil {
			t.Fatalf("no stamp:\n%.500s", text)
		}
		_, rest, _ := strings.Cut(text[:at[1]], " id ")
		id, _, _ := strings.Cut(rest, "\n")
		texts[text[at[1]:]] += n
		ids[id] += n
	}
	return texts, ids
}

// asReceived has Dovecot store a message as it comes. Otherwise a CRLF is stored as LF, so
// that a CR before it cannot be told from that of a line end.
const asReceived = "mail_save_crlf = yes\n"

func testIMAP(t *testing.T, bin executable) {
	const n = 1000
	d := startIMAP(t, asReceived)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	h.configureIMAP(t, d.fetchAccount("work", "keep = false"), d.toBobByIMAP("work"))

	said, err := h.command("check").CombinedOutput()
	if want := "mailbox of " + bob + " at the IMAP server " + d.IMAPS + ", logged in with plain, folder INBOX"; err != nil || !strings.Contains(string(said), want) {
		t.Errorf("check: %v\n%s\nwant %s", err, said, want)
	}
	if got := d.holds(t, bob).count(); got != 0 {
		t.Fatalf("check has delivered %d messages", got)
	}
	h.silently(t)
	h.silently(t)
	got, ids := unstamped(t, d.holds(t, bob))
	sameMail(t, "both runs", got, held)
	if len(ids) != n {
		t.Errorf("%d messages have %d delivery ids", n, len(ids))
	}
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
	if lines := d.logged("imap-login", "Login"); len(lines) != 2 {
		t.Errorf("%d logins for a check and a poll with mail:\n%s", len(lines), lines)
	}
}

// A folder with a name that is not ASCII, one with a special use, flags, and the date of
// the message.
func testIMAPFolders(t *testing.T, bin executable) {
	d := startIMAP(t, "namespace {\n inbox = yes\n separator = /\n mailbox Spam {\n special_use = \\Junk\n auto = create\n }\n}\n")
	_, err := d.AddUser(alice)
	must(t, err)
	const date = "Date: Thu, 01 Oct 2026 10:00:00 +0200\n"
	must(t, d.Deliver(alice, "1.a", []byte(date+"Subject: wanted\n\nx\n")))
	must(t, d.Deliver(alice, "2.b", []byte(date+"X-Spam-Flag: YES\nSubject: unwanted\n\nx\n")))
	h := newHome(t, bin)
	h.configureIMAP(t, d.fetchAccount("work"), d.toBobByIMAP("work", `folder = "Post & Ärger/{account}"`, `spam_folder = '\Junk'`, `flags = ['\Seen', "$Fetched"]`))
	said, err := h.command("check").CombinedOutput()
	if err != nil || !strings.Contains(string(said), "folder Post &- &AMQ-rger/work, to be created, marked spam in Spam") {
		t.Errorf("check: %v\n%s", err, said)
	}
	h.silently(t)
	for folder, subject := range map[string]string{"Post &- &AMQ-rger.work": "Subject: wanted", "Spam": "Subject: unwanted"} {
		dir := filepath.Join(d.Mail, bob, "."+folder, "cur")
		names := entries(t, dir)
		if len(names) != 1 {
			t.Fatalf("%s holds %q", folder, names)
		}
		path := filepath.Join(dir, names[0])
		text, err := os.ReadFile(path)
		must(t, err)
		info, err := os.Stat(path)
		must(t, err)
		if !bytes.Contains(text, []byte(subject)) || !strings.Contains(names[0], ":2,Sa") || info.ModTime().UTC().Format("2006-01-02 15:04") != "2026-10-01 08:00" {
			t.Errorf("%s: %s of %v:\n%s", folder, names[0], info.ModTime(), text)
		}
	}
}

func testIMAPRefuses(t *testing.T, bin executable) {
	d := startIMAP(t, asReceived)
	d.fill(t, alice, 3)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	with := func(table string) { h.configureIMAP(t, d.fetchAccount("work", "keep = false"), table) }

	with(strings.Replace(d.toBobByIMAP("work"), password, "wrong", 1))
	h.once(t, 77).says(t, "AUTHENTICATIONFAILED", "hint: check user and password in the table of the destination")
	if out, err := h.command("check").CombinedOutput(); err == nil || !strings.Contains(string(out), "AUTHENTICATIONFAILED") {
		t.Errorf("check: %v\n%s", err, out)
	}
	with(strings.Replace(d.toBobByIMAP("work"), d.IMAPS, "127.0.0.1:1", 1))
	h.once(t, 73).says(t, "IMAP server 127.0.0.1:1", "refused")
	with(strings.Replace(d.toBobByIMAP("work"), bob, alice, 1))
	h.once(t, 78).says(t, "the mailbox that the account fetches from")
	with(strings.Replace(d.toBobByIMAP("work"), d.IMAPS, d.POP3S, 1))
	h.once(t, 73).says(t, "it does not speak IMAP")
	sameMail(t, "the server", d.holds(t, alice), held)

	with(d.toBobByIMAP("work"))
	h.recovers(t)
	got, _ := unstamped(t, d.holds(t, bob))
	sameMail(t, "bob", got, held)
}

// testIMAPMemory delivers a message that does not fit into memory.
func testIMAPMemory(t *testing.T, bin executable) {
	const octets, limit = 200 << 20, 40 << 10 // KiB
	d := startIMAP(t, "")
	_, err := d.AddUser(alice)
	must(t, err)
	line := strings.Repeat("0123456789abcdef", 4) + "\n"
	must(t, d.Deliver(alice, "1.a", []byte("Subject: large\n\n")))
	large, err := os.OpenFile(filepath.Join(d.Mail, alice, "new", "1.a"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	for range octets >> 20 {
		_, err := large.WriteString(strings.Repeat(line, 1<<20/len(line)))
		must(t, err)
	}
	must(t, large.Close())
	h := newHome(t, bin)
	h.configureIMAP(t, d.fetchAccount("work", "keep = false"), d.toBobByIMAP("work"))
	cmd := h.command("--once")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	peak := 0
	for running := true; running; {
		select {
		case err := <-ended:
			running = false
			if err != nil || out.Len() > 0 {
				t.Fatalf("%v\n%s", err, &out)
			}
		case <-time.After(5 * time.Millisecond):
			peak = max(peak, peakOf(cmd.Process.Pid))
		}
	}
	names := entries(t, filepath.Join(d.Mail, bob, "cur"))
	names = append(names, entries(t, filepath.Join(d.Mail, bob, "new"))...)
	if len(names) != 1 || !strings.Contains(names[0], ",W=") {
		t.Fatalf("bob holds %q", names)
	}
	t.Logf("%d KiB at most for a message of %d MiB", peak, octets>>20)
	if peak == 0 || peak > limit {
		t.Errorf("%d KiB, want at most %d", peak, limit)
	}
}

// peakOf returns the peak of the resident memory of a process in KiB, 0 if it has ended.
func peakOf(pid int) (kib int) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscan(rest, &kib)
	return kib
}

// testKillInIMAP kills popfetch again and again while it stores. Nothing is lost, and
// nothing comes twice.
func testKillInIMAP(t *testing.T, bin executable) {
	n, kills := 300, 3
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		n, kills = 3000, 60
	}
	d := startIMAP(t, asReceived)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	h.configureIMAP(t, d.fetchAccount("work", "keep = false"), d.toBobByIMAP("work"))
	arrived := func() int {
		names, err := os.ReadDir(filepath.Join(d.Mail, bob, "new"))
		if err != nil {
			return 0 // not there yet
		}
		return len(names)
	}
	h.killOften(t, n, kills, arrived)
	h.silently(t)
	h.silently(t)
	got, ids := unstamped(t, d.holds(t, bob))
	sameMail(t, "all runs", got, held)
	if len(ids) != n {
		t.Errorf("%d messages have %d delivery ids", n, len(ids))
	}
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}

// Without its state file popfetch would deliver everything again that is still on the server:
// its Received fields in the mailbox show that.
func testLostStateWithIMAP(t *testing.T, bin executable) {
	const n = 3
	d := startIMAP(t, asReceived)
	d.fill(t, alice, n)
	h := newHome(t, bin)
	h.configureIMAP(t, d.fetchAccount("work"), d.toBobByIMAP("work"))
	h.silently(t)
	held := d.holds(t, bob)
	states, err := filepath.Glob(filepath.Join(h.dir, "state", "popfetch", "*"))
	must(t, err)
	if len(states) == 0 {
		t.Fatal("there is no state file to lose")
	}
	for _, path := range states {
		must(t, os.RemoveAll(path))
	}
	h.once(t, 74).says(t, "has no record of this account, but popfetch has filled the mailbox of "+bob+" at "+d.IMAPS, "popfetch state seed work")
	h.once(t, 74)
	sameMail(t, "the mailbox meanwhile", d.holds(t, bob), held)
	if out, err := h.command("state", "seed", "work").CombinedOutput(); err != nil {
		t.Fatalf("state seed: %v\n%s", err, out)
	}
	h.once(t, 0).says(t, "work: works again")
	h.silently(t)
	sameMail(t, "the mailbox in the end", d.holds(t, bob), held)
}
