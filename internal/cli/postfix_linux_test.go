//go:build linux

package cli_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"popfetch/internal/dovecottest"
	"popfetch/internal/servertest"
)

// interop is set for make interop: more mail, and the packages have to be there.
var interop = os.Getenv("POPFETCH_INTEROP") != ""

// atMost is how much mail the tests with Postfix send: n with make interop, else few.
func atMost(few, n int) int {
	if interop {
		return n
	}
	return few
}

// postfix is a running Postfix, and what it asks the test.
type postfix struct {
	*servertest.Postfix
	*policy
}

// postfixSettings are the lines of main.cf that have Postfix ask the test.
const postfixSettings = `
smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service inet:%[1]s
smtpd_end_of_data_restrictions = check_policy_service inet:%[1]s
smtpd_policy_service_request_limit = 1
`

// startPostfix starts one and ends it with the test. It has more settings of main.cf.
func startPostfix(t *testing.T, o servertest.PostfixOptions) *postfix {
	t.Helper()
	missing := t.Skip
	if interop {
		missing = t.Fatal
	}
	if reason := servertest.Missing(); reason != "" {
		missing("Postfix: " + reason)
	}
	asked := startPolicy(t)
	o.Settings = fmt.Sprintf(postfixSettings, asked.addr) + o.Settings
	p, err := servertest.StartPostfix(o)
	if errors.Is(err, servertest.ErrNoPackages) {
		missing(err)
	}
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			log := p.Log()
			t.Logf("the end of the log of Postfix:\n%s", log[max(0, len(log)-4096):])
		}
		p.Close()
	})
	return &postfix{p, asked}
}

// destination is the table of a server for the configuration. more are further keys of it.
func (p *postfix) destination(addr, tls string, recipients []string, more ...string) string {
	keys := append([]string{fmt.Sprintf("server = %q, tls = %q, tls_ca_file = %q", addr, tls, p.CertFile)}, more...)
	return fmt.Sprintf("recipient = [\"%s\"]\nsmtp = {%s}", strings.Join(recipients, `", "`), strings.Join(keys, ", "))
}

// to is the server for all clients, with STARTTLS.
func (p *postfix) to(recipients ...string) string {
	return p.destination(p.SMTP, "starttls", recipients)
}

// wait waits until a condition holds: the queue of Postfix has no end that it would tell.
func (p *postfix) wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for !holds() {
		select {
		case <-limit:
			t.Fatalf("Postfix: waiting for %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// holds waits until n messages for an address are out of the queue, and returns what has arrived
// without what was added, and the delivery ids.
func (p *postfix) holds(t *testing.T, address string, n int) (got mailbag, ids map[string]int) {
	t.Helper()
	p.wait(t, fmt.Sprintf("%d messages for %s", n, address), func() bool {
		arrived, _ := os.ReadDir(filepath.Join(p.Maildir(address), "new")) // not there at first
		arriving, _ := os.ReadDir(filepath.Join(p.Maildir(address), "tmp"))
		return len(arrived) >= n && len(arriving) == 0
	})
	return received(t, inMaildir(t, p.Maildir(address), nil))
}

// logs waits until the log has a line that matches.
func (p *postfix) logs(t *testing.T, line string) {
	t.Helper()
	re := regexp.MustCompile(line)
	p.wait(t, "a line of the log: "+line, func() bool { return re.MatchString(p.Log()) })
}

// TestPostfix fetches from Dovecot, and delivers to Postfix.
func TestPostfix(t *testing.T) {
	needsDovecot(t)
	auth := freeAddress(t)
	_, port, err := net.SplitHostPort(auth)
	must(t, err)
	d := runDovecot(t, dovecottest.Options{Certificate: serverCertificate(t), Settings: "auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256\n" +
		"service auth {\n inet_listener {\n address = 127.0.0.1\n port = " + port + "\n }\n}\n"})
	names := []string{"all", "grün", "octets", "size", "half", "white", "grey", "verdict", "login", "kill"}
	for i := range names {
		names[i] += "@example.org"
	}
	p := startPostfix(t, servertest.PostfixOptions{
		Mailboxes: names,
		Auth:      auth,
		Settings:  "message_size_limit = 4194304\nstrict_smtputf8 = yes\n",
	})
	bin := buildPopfetch(t)
	for _, x := range []struct {
		name string
		test func(*testing.T, *dovecot, *postfix, executable)
	}{
		{"mail of all kinds", testPostfixTakesAllKinds},
		{"octets", testPostfixTakesOctets},
		{"SMTPUTF8", testPostfixTakesUTF8},
		{"size", testPostfixLimitsSize},
		{"unknown recipient", testPostfixRefusesRecipient},
		{"greylisting", testPostfixDefersRecipient},
		{"replies to messages", testPostfixRefusesMessages},
		{"logins", testPostfixLogins},
		{"kill", testKillWhilePostfixDecides},
	} {
		t.Run(x.name, func(t *testing.T) {
			p.ask(nil)
			x.test(t, d, p, bin)
		})
	}
}
