//go:build linux

package cli_test

import (
	"crypto/tls"
	"net"
	"os/exec"
	"strings"
	"testing"

	"popfetch/internal/certtest"
	"popfetch/internal/dovecottest"
)

// TestDovecot runs the program as its own process against a real Dovecot,
// and into real programs. Each test has its own server.
func TestDovecot(t *testing.T) {
	needsDovecot(t)
	bin := buildPopfetch(t)
	for _, x := range []struct {
		name string
		test func(*testing.T, executable)
	}{
		{"maildir", testMaildir},
		{"connections", testConnections},
		{"keep for a time", testKeepFor},
		{"restored from a copy", testRestoredServer},
		{"restored with other unique-ids", testRestoredWithNewIDs},
		{"moved to a folder and back", testMovedAndBack},
		{"rebuild after other fetchers", testRebuildAfterPeers},
		{"import from other fetchers", testImport},
		{"three accounts", testThreeAccounts},
		{"200 accounts", testManyAccounts},
		{"procmail", testProcmail},
		{"maildrop", testMaildrop},
		{"mda says later", testMDALater},
		{"mda says never", testMDANever},
		{"mbox", testMbox},
		{"lmtp", testLMTP},
		{"lmtp refuses", testLMTPRefuses},
		{"sieve", testSieve},
		{"kill in lmtp", testKillInLMTP},
		{"smtp", testSMTP},
		{"smtp recipients", testSMTPRecipients},
		{"kill in smtp", testKillInSMTP},
		{"imap", testIMAP},
		{"imap folders", testIMAPFolders},
		{"imap refuses", testIMAPRefuses},
		{"imap with 200 MiB", testIMAPMemory},
		{"kill in imap", testKillInIMAP},
		{"mechanisms", testMechanisms},
		{"scram", testScram},
		{"external", testExternal},
		{"kerberos", testKerberos},
		{"methods of a login by IMAP", testIMAPLogins},
		{"lost state with imap", testLostStateWithIMAP},
		{"access tokens", testAccessTokens},
		{"sign in as the manual says", testSignIn},
		{"app password as the manual says", testAppPassword},
		{"sign-in that ends", testSignInEnds},
		{"wrong password", testWrongPassword},
		{"certificate for another name", testWrongName},
		{"server without TLS", testNoTLS},
		{"kill", testKill},
		{"kill in mda", testKillInMDA},
		{"two at once", testTwoAtOnce},
		{"beside a daemon", testBesideDaemon},
	} {
		t.Run(x.name, func(t *testing.T) { x.test(t, bin) })
	}
}

// needs skips the test if a program is missing, and names its Debian package.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (Debian: apt-get install %s)", program, pkg)
	}
}

// needsDovecot skips the test if there is no Dovecot to run.
func needsDovecot(t *testing.T) {
	t.Helper()
	if reason := dovecottest.Missing(); reason != "" {
		t.Skip(reason)
	}
}

// serverName is what the certificate of a dovecot is valid for, besides 127.0.0.1.
const serverName = "pop.example.org"

// password is that of every user of a dovecot. Any user name will do.
const password = dovecottest.Password

// dovecot is a running server.
type dovecot struct{ *dovecottest.Server }

// startDovecot starts a server and stops it at the end of the test.
func startDovecot(t *testing.T, withTLS bool) *dovecot {
	t.Helper()
	var o dovecottest.Options
	if withTLS {
		o.Certificate = serverCertificate(t)
	}
	return runDovecot(t, o)
}

// serverCertificate is one for serverName and 127.0.0.1.
func serverCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	cert, err := certtest.SelfSigned(certtest.Request{Names: []string{serverName}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	must(t, err)
	return &cert
}

// runDovecot starts a server with these options and stops it at the end of the test.
func runDovecot(t *testing.T, o dovecottest.Options) *dovecot {
	t.Helper()
	s, err := dovecottest.Start(o)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			s.Shutdown()
			log := s.Log()
			t.Logf("the end of the server's log:\n%s", log[max(0, len(log)-4096):])
		}
		s.Close()
	})
	return &dovecot{s}
}

// logged ends the server and returns the lines of its log that hold all of words.
func (d *dovecot) logged(words ...string) []string {
	d.Shutdown()
	var found []string
lines:
	for line := range strings.Lines(d.Log()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
