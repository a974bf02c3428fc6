//go:build linux

package cli_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
)

// hostile is what a server says to harm a terminal or the reader of a log.
const hostile = "no\x1b]52;c;AAAA\a\x1b[2J\b\x7f \xc2\x9b2J \x9b3J \xe2\x80\xaereversed\xff popfetch: work: update required, run http://192.0.2.1/x"

// commandLines are those that show what a server says.
func commandLines() []string {
	return []string{
		"--once", "--once -vv", "--once --json -vv", "check", "check --json", "check -vv", "list", "list --json", "list --headers", "-n",
	}
}

// account is one account of alice.
func account(name string, s *pop3test.Server, more string) string {
	return fmt.Sprintf("[account.%s]\nserver = %q\nuser = \"alice\"\npassword = %q\ntls = \"none\"\nmaildir = \"~/Mail/{account}\"\n%s\n", name, s.Addr(), secret, more)
}

func small(n int) []pop3test.Message {
	var all []pop3test.Message
	for i := range n {
		all = append(all, pop3test.Message{Raw: pop3test.Text(fmt.Sprintf("Subject: message %d\n\nHello.\n", i))})
	}
	return all
}

// plainWords wants a text without anything that a terminal obeys, in lines of
// which each is a record of ours.
func plainWords(t *testing.T, what, text string, prefixes ...string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s: not UTF-8: %.300q", what, text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
		t.Errorf("%s: %.100q", what, text[max(0, i-20):])
	}
	for line := range strings.Lines(text) {
		known := len(prefixes) == 0
		for _, p := range prefixes {
			known = known || strings.HasPrefix(line, p)
		}
		if !known || strings.HasPrefix(line, "popfetch: work: update") {
			t.Errorf("%s: forged line %.200q", what, line)
		}
		if len(line) > 5<<10 {
			t.Errorf("%s: a line of %d octets: %.100q", what, len(line), line)
		}
	}
}

// S30, S31 and S32 of the fault matrix: whatever a server says, and wherever, is
// escaped, quoted, bounded, and on a line of ours.
func TestRowS30S31S32TextsOfServers(t *testing.T) {
	t.Parallel()
	much := strings.Repeat(hostile, 10_000)
	raw := func(at, text string) pop3test.Fault { return pop3test.Fault{At: at, Do: pop3test.Raw, Text: text} }
	for name, f := range map[string]pop3test.Fault{
		"greeting":             raw("greeting", "+OK "+hostile+"\r\n"),
		"refused greeting":     raw("greeting", "-ERR "+hostile+"\r\n"),
		"long greeting":        raw("greeting", "-ERR "+much+"\r\n"),
		"lone CR in it":        raw("greeting", "+OK x\rpopfetch: work: update required\n\r\n"),
		"CAPA":                 raw("CAPA", "+OK\r\nUIDL\r\nTOP\r\n"+hostile+"\r\nSASL PLAIN "+hostile+"\r\n.\r\n"),
		"login":                raw("AUTH", "-ERR "+hostile+"\r\n"),
		"long login":           raw("AUTH", "-ERR "+much+"\r\n"),
		"login and more lines": raw("AUTH", "-ERR no\r\npopfetch: work: update required\r\n"),
		"unique-id":            raw("UIDL", "+OK\r\n1 "+hostile+"\r\n2 b\r\n.\r\n"),
		"listing":              raw("UIDL", "+OK\r\n"+hostile+"\r\n1 a\r\n2 b\r\n.\r\n"),
		"long listing":         raw("UIDL", "+OK\r\n1 "+much+"\r\n2 b\r\n.\r\n"),
		"refused UIDL":         raw("UIDL", "-ERR "+hostile+"\r\n"),
		"sizes":                raw("LIST", "+OK\r\n"+hostile+"\r\n.\r\n"),
		"refused RETR":         raw("RETR", "-ERR "+hostile+"\r\n"),
		"refused TOP":          raw("TOP", "-ERR "+hostile+"\r\n"),
		"QUIT":                 raw("QUIT", "-ERR "+hostile+"\r\n"),
		"header":               raw("TOP", "+OK\r\nFrom: "+hostile+"\r\nDate: "+hostile+"\r\nSubject: =?utf-8?Q?=1B[2J=0Apopfetch:_work:_update?="+hostile+"\r\n\r\n.\r\n"),
		"long header":          raw("TOP", "+OK\r\nSubject: "+strings.Repeat("x", 1<<20)+"\r\n\r\n.\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, line := range commandLines() {
				s := clearServer(t, small(2)...)
				s.SetFaults(f)
				r := newResident(t, account("work", s, `timeout = "1s"`))
				e := r.run("exec popfetch " + line)
				if e.code < 0 || e.code > 78 {
					t.Errorf("popfetch %s: exit code %d", line, e.code)
				}
				begins := []string{"popfetch: "}
				if strings.Contains(line, "--json") {
					begins = append(begins, "{")
				}
				plainWords(t, "stderr of popfetch "+line, e.stderr, begins...)
				plainWords(t, "stdout of popfetch "+line, e.stdout)
			}
		})
	}
}

// longName is one that no line of a log should hold.
func longName() string { return strings.Repeat("o", 30_000) }

// hostileCertificate is one whose names harm a terminal that shows them as they are.
func hostileCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	cert, err := certtest.SelfSigned(certtest.Request{
		Subject: pkix.Name{CommonName: "\x1b]0;x\a\npopfetch: work: update\u202e\u009b2J", Organization: []string{longName()}},
		Names:   []string{"\x1b[2J\npopfetch: work: update", strings.Repeat("a.", 10_000) + "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// S30: so are the names in a certificate.
func TestRowS30NamesOfACertificate(t *testing.T) {
	t.Parallel()
	s := &pop3test.Server{Users: map[string]*pop3test.User{"alice": {Password: secret}}, TLS: &tls.Config{Certificates: []tls.Certificate{hostileCertificate(t)}}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, trust := range []string{"", `tls_ca_file = "ca.pem"`, `tls_fingerprint = "` + strings.Repeat("ab", 32) + `"`} {
		r := newResident(t, strings.Replace(account("work", s, strings.Replace(trust, "ca.pem", "~/ca.pem", 1)), `tls = "none"`, `tls = "implicit"`, 1))
		if err := os.WriteFile(filepath.Join(r.dir, "ca.pem"), s.CertPEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"--once", "--once --json -vv", "check", "check --json"} {
			e := r.exits(76, "exec popfetch "+line)
			plainWords(t, line+", stderr", e.stderr, "popfetch: ", "{")
			plainWords(t, line+", stdout", strings.ReplaceAll(strings.ReplaceAll(e.stdout, longName(), ""), "a.a.", ""), "{", "work: ", "  ")
		}
	}
}

// S33: where nobody can take the words, mail is fetched all the same.
func TestRowS33NobodyTakesTheWords(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		shell string
		code  int
	}{
		{"exec popfetch --once -vv 2>/dev/full", 75},
		{"exec popfetch --once -vv --json 2>/dev/full", 75},
		{"exec popfetch --once --json >/dev/full", 75},
		{"exec popfetch --once --json -vv >/dev/full 2>&1", 75},
		{"exec popfetch --once -vv 2>&-", 75},
		{"exec popfetch --once --json -vv <&- >&- 2>&-", 75},
		// A FIFO whose reader goes at once.
		{"mkfifo p; popfetch --once -vv 2>p & : <p; wait $!", 75},
		{"mkfifo p; popfetch --once -vv --json >p 2>&1 & : <p; wait $!", 75},
	} {
		t.Run(x.shell, func(t *testing.T) {
			t.Parallel()
			s := clearServer(t, small(3)...)
			r := newResident(t, account("bad", s, "proxy = \"socks5://127.0.0.1:1\"\nuser = \"bob\"\n")+account("good", s, "keep = false"))
			r.configure(strings.Replace(account("bad", s, `proxy = "socks5://127.0.0.1:1"`), "alice", "bob", 1) + account("good", s, "keep = false"))
			r.exits(x.code, x.shell)
			s.Wait()
			if n := len(s.Users["alice"].Maildrop.Messages()); r.mail("good", "new") != 3 || n != 0 {
				t.Errorf("%d messages delivered, %d are left", r.mail("good", "new"), n)
			}
		})
	}
}

// L02 and L03: the modes of all that is made, whatever the umask.
func TestRowL02L03ModesWhateverTheUmask(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{"000", "022", "077", "0777"} {
		s := clearServer(t, small(3)...)
		r := newResident(t, account("work", s, ""))
		r.exits(0, "umask "+mask+"; exec popfetch --once")
		r.exits(0, "umask "+mask+"; exec popfetch state compact")
		r.exits(0, "umask "+mask+"; exec popfetch state restore --force")
		files := 0
		err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == r.dir || strings.HasPrefix(path, filepath.Join(r.dir, ".config")) {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = fs.ModeDir | 0o700
			} else {
				files++
			}
			if info.Mode() != want {
				t.Errorf("umask %s: %s has mode %v, want %v", mask, path, info.Mode(), want)
			}
			return nil
		})
		if err != nil || files < 6 { // messages, state, lock, snapshot
			t.Errorf("umask %s: %d files, %v", mask, files, err)
		}
	}
}

// L04: other users see the arguments of a process, and its children its
// environment: no password is there, wherever it comes from.
func TestRowL04NothingForOtherProcesses(t *testing.T) {
	t.Parallel()
	const mda = `mda = ["sh", "-c", "cat /proc/$PPID/cmdline /proc/$PPID/environ /proc/self/environ >>$HOME/seen; ls -l /proc/self/fd >>$HOME/seen; cat >/dev/null"]` + "\n"
	for name, source := range map[string]string{
		"password":         fmt.Sprintf("password = %q\n", secret),
		"password_file":    "password_file = \"~/secret\"\n",
		"password_command": "password_command = [\"cat\", \"secret\"]\n",
		"netrc":            "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := clearServer(t, small(1)...)
			r := newResident(t, fmt.Sprintf("on_new_mail = [\"sh\", \"-c\", \"cat /proc/self/environ /proc/$PPID/environ >>$HOME/seen\"]\n[account.work]\nserver = %q\nuser = \"alice\"\ntls = \"none\"\n%s%s",
				s.Addr(), source, mda))
			netrc := fmt.Sprintf("machine 127.0.0.1 login alice password %q\n", secret)
			err := errors.Join(os.WriteFile(filepath.Join(r.dir, "secret"), []byte(secret), 0o600), os.WriteFile(filepath.Join(r.dir, ".netrc"), []byte(netrc), 0o600))
			if err != nil {
				t.Fatal(err)
			}
			r.exits(0, "exec popfetch --once -v")
			seen, err := os.ReadFile(filepath.Join(r.dir, "seen"))
			if err != nil || !strings.Contains(string(seen), "popfetch\x00--once") || !strings.Contains(string(seen), "POPFETCH_DELIVERED=1") {
				t.Fatalf("%q, %v", seen, err)
			}
			for _, s := range []string{secret, "state.db", ".netrc"} {
				if strings.Contains(string(seen), s) {
					t.Errorf("%q is in %q", s, seen)
				}
			}
		})
	}
}

// L08: what is no file with a password is an error that shows none of it, and
// never a wait.
func TestRowL08FilesThatHoldNoPassword(t *testing.T) {
	t.Parallel()
	s := clearServer(t)
	r := newResident(t, strings.Replace(account("work", s, `password_file = "~/secret"`), fmt.Sprintf("password = %q\n", secret), "", 1))
	file := filepath.Join(r.dir, "secret")
	text := func(s string) func() error { return func() error { return os.WriteFile(file, []byte(s), 0o600) } }
	for name, put := range map[string]func() error{
		"missing":        func() error { return nil },
		"a directory":    func() error { return os.Mkdir(file, 0o700) },
		"a FIFO":         func() error { return syscall.Mkfifo(file, 0o600) },
		"a device":       func() error { return os.Symlink("/dev/zero", file) },
		"empty":          text(""),
		"an empty line":  text("\r\nhunter2\n"),
		"a megabyte":     text(strings.Repeat("hunter2 ", 1<<17)),
		"a CR within it": text("hunter2\rQUIT\n"),
		"a NUL":          text("hunter2\x00\n"),
	} {
		if err := errors.Join(os.RemoveAll(file), put()); err != nil {
			t.Fatal(err)
		}
		e := r.exits(78, "exec popfetch --once")
		if strings.Contains(e.stderr, "hunter2") || !strings.HasPrefix(e.stderr, "popfetch: work: password: password_file "+file+": ") {
			t.Errorf("%s: it says %q", name, e.stderr)
		}
	}
	for _, good := range []string{secret, secret + "\n", secret + "\r\n", secret + "\nnotes\n"} {
		// Whatever the last row of the map above has left in its place.
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, []byte(good), 0o600)); err != nil {
			t.Fatal(err)
		}
		r.exits(0, "exec popfetch --once")
	}
}
