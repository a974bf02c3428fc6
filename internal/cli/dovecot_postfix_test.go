//go:build linux

package cli_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"popfetch/internal/dovecottest"
)

// postfixMain is main.cf of a Postfix with a configuration, a queue and a port of its own. It
// takes mail for bob@example.org alone, into a Maildir, and changes nothing in a message: by
// default it drops Bcc and Return-Path, and completes the header of what the own machine sends.
var postfixMain = template.Must(template.New("main.cf").Parse(`
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
queue_directory = {{.Dir}}/queue
data_directory = {{.Dir}}/data
maillog_file = {{.Dir}}/log
maillog_file_prefixes = {{.Dir}}
myhostname = mx.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = inline:{ {{.User}}=bob/ }
virtual_mailbox_base = {{.Dir}}/mail
virtual_uid_maps = static:{{.UID}}
virtual_gid_maps = static:{{.GID}}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
message_size_limit = 0
message_drop_headers =
local_header_rewrite_clients =
smtpd_tls_cert_file = {{.Cert}}
smtpd_tls_key_file = {{.Key}}
smtpd_tls_security_level = encrypt
`))

const postfixServices = `
127.0.0.1:%s inet n - n - - smtpd
pickup    unix  n - n 60   1 pickup
cleanup   unix  n - n -    0 cleanup
qmgr      unix  n - n 300  1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -    - trivial-rewrite
bounce    unix  - - n -    0 bounce
defer     unix  - - n -    0 bounce
trace     unix  - - n -    0 bounce
verify    unix  - - n -    1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -    - proxymap
showq     unix  n - n -    - showq
error     unix  - - n -    - error
retry     unix  - - n -    - error
virtual   unix  - n n -    - virtual
anvil     unix  - - n -    1 anvil
postlog   unix-dgram n - n - 1 postlogd
`

// postfix is a running Postfix.
type postfix struct {
	port string
	mail string // Maildir of bob
	d    *dovecot
}

// startPostfix starts one with the certificate of d and more settings of main.cf, and ends it with
// the test.
func startPostfix(t *testing.T, d *dovecot, settings ...string) *postfix {
	t.Helper()
	if _, err := os.Stat("/usr/lib/postfix/sbin/master"); err != nil {
		t.Skip("postfix is not installed (Debian: apt-get install postfix, which replaces another mail server)")
	}
	if os.Getuid() != 0 {
		t.Skip("postfix runs as root alone")
	}
	dir := filepath.Join(d.Dir, "postfix") // other users can reach it, unlike a t.TempDir
	mail := filepath.Join(dir, "mail")
	for _, sub := range []string{"config", "queue", "data", "mail"} {
		must(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	must(t, os.Chown(mail, d.UID, d.GID))
	must(t, exec.Command("chown", "postfix", filepath.Join(dir, "data")).Run())
	ports, err := dovecottest.FreePorts(1)
	must(t, err)
	var text bytes.Buffer
	must(t, postfixMain.Execute(&text, map[string]any{
		"Dir": dir, "User": bob, "UID": d.UID, "GID": d.GID, "Cert": d.CertFile, "Key": filepath.Join(d.Dir, "key.pem"),
	}))
	for _, more := range settings {
		text.WriteString(more)
	}
	config := filepath.Join(dir, "config")
	must(t, os.WriteFile(filepath.Join(config, "main.cf"), text.Bytes(), 0o644))
	must(t, os.WriteFile(filepath.Join(config, "master.cf"), fmt.Appendf(nil, postfixServices, ports[0]), 0o644))
	log := filepath.Join(dir, "log")
	run := func(what string) {
		if out, err := exec.Command("postfix", "-c", config, what).CombinedOutput(); err != nil {
			logged, _ := os.ReadFile(log)
			t.Errorf("postfix %s: %v\n%s%s", what, err, out, logged)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			logged, _ := os.ReadFile(log)
			t.Logf("the end of its log:\n%s", logged[max(0, len(logged)-4096):])
		}
		run("abort")
	})
	run("start") // returns when it listens
	return &postfix{port: ports[0], mail: filepath.Join(mail, "bob"), d: d}
}

// destination is the table of the server for the configuration.
func (p *postfix) destination(recipients ...string) string {
	return fmt.Sprintf("recipient = [\"%s\"]\nsmtp = {server = %q, tls = \"starttls\", tls_ca_file = %q}",
		strings.Join(recipients, `", "`), net.JoinHostPort("127.0.0.1", p.port), p.d.CertFile)
}

// wait waits until n messages are out of the queue.
func (p *postfix) wait(t *testing.T, n int) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		names, _ := os.ReadDir(filepath.Join(p.mail, "new")) // not there at first
		if len(names) >= n {
			return
		}
		select {
		case <-limit:
			t.Fatalf("%d messages of %d came out of the queue", len(names), n)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// testPostfix delivers to a Postfix that refuses one of two recipients at first.
func testPostfix(t *testing.T, bin executable) {
	const n = 1000
	d := startDovecot(t, true)
	p := startPostfix(t, d)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)

	h.configure(t, d.account("work", alice, "implicit", "keep = false", p.destination("nobody@example.org")))
	if out, err := h.command("check").CombinedOutput(); err == nil || !strings.Contains(string(out), "nobody@example.org") {
		t.Errorf("check: %v\n%s", err, out)
	}
	h.once(t, 73).says(t, "RCPT TO:<nobody@example.org>", "550", "5.1.1")
	sameMail(t, "the server after a refusal", d.holds(t, alice), held)

	h = newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", p.destination(bob)))
	h.silently(t)
	h.silently(t)
	p.wait(t, n)
	got, ids := received(t, inMaildir(t, p.mail, nil))
	sameMail(t, "both runs", got, asSent(held))
	if len(ids) != n {
		t.Errorf("%d messages have %d delivery ids", n, len(ids))
	}
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)

	// One of two recipients gets each message, once, though the other is refused each time.
	must(t, d.Deliver(alice, "1900000000.M1P1.server", compose(alice, n)))
	h.configure(t, d.account("work", alice, "implicit", "keep = false", p.destination(bob, "nobody@example.org")))
	h.once(t, 73).says(t, "nobody@example.org")
	h.once(t, 73)
	p.wait(t, n+1)
	if got := inMaildir(t, p.mail, nil).count(); got != n+1 {
		t.Errorf("%d messages, want %d", got, n+1)
	}
	if got := d.holds(t, alice).count(); got != 1 {
		t.Errorf("the server holds %d messages, want the one that a recipient does not have", got)
	}
}
