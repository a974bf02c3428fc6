//go:build linux

package cli_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
)

// hostile is what a server says to harm a terminal or the reader of a log.
const hostile = "no\x1b]52;c;AAAA\a\x1b[2J\b\x7f \xc2\x9b2J \x9b3J \xe2\x80\xaereversed\xff popfetch: work: update required, run http://192.0.2.1/x"

// commandLines are those whose output holds text from the server.
func commandLines() []string {
	return []string{
		"--once", "--once -vv", "--once --json -vv", "check", "check --json", "check -vv", "list", "list --json", "list --headers", "-n",
	}
}

// account is the configuration of an account of alice.
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

// plainWords fails the test if text holds anything that a terminal obeys, or a line
// that begins with none of the prefixes.
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

// Whatever a server says, and wherever, is escaped, quoted, bounded in length, and
// part of a line that popfetch has begun.
func TestServerTextNeverReachesTheTerminalRaw(t *testing.T) {
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
				r := newUserHome(t, account("work", s, `timeout = "1s"`))
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

// longName is a name that no line of a log should hold.
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

func TestCertificateNamesNeverReachTheTerminalRaw(t *testing.T) {
	t.Parallel()
	s := &pop3test.Server{Users: map[string]*pop3test.User{"alice": {Password: secret}}, TLS: &tls.Config{Certificates: []tls.Certificate{hostileCertificate(t)}}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, trust := range []string{"", `tls_ca_file = "ca.pem"`, `tls_fingerprint = "` + strings.Repeat("ab", 32) + `"`} {
		r := newUserHome(t, strings.Replace(account("work", s, strings.Replace(trust, "ca.pem", "~/ca.pem", 1)), `tls = "none"`, `tls = "implicit"`, 1))
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

// If standard output or error cannot be written, mail is fetched nevertheless.
func TestMailIsFetchedWhenNobodyReadsTheOutput(t *testing.T) {
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
		// A FIFO whose reader leaves at once.
		{"mkfifo p; popfetch --once -vv 2>p & : <p; wait $!", 75},
		{"mkfifo p; popfetch --once -vv --json >p 2>&1 & : <p; wait $!", 75},
	} {
		t.Run(x.shell, func(t *testing.T) {
			t.Parallel()
			s := clearServer(t, small(3)...)
			r := newUserHome(t, account("bad", s, "proxy = \"socks5://127.0.0.1:1\"\nuser = \"bob\"\n")+account("good", s, "keep = false"))
			r.configure(strings.Replace(account("bad", s, `proxy = "socks5://127.0.0.1:1"`), "alice", "bob", 1) + account("good", s, "keep = false"))
			r.exits(x.code, x.shell)
			s.Wait()
			if n := len(s.Users["alice"].Maildrop.Messages()); r.mail("good", "new") != 3 || n != 0 {
				t.Errorf("%d messages delivered, %d are left", r.mail("good", "new"), n)
			}
		})
	}
}
