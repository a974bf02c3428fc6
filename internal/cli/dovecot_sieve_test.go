//go:build linux

package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"popfetch/internal/dovecottest"
)

// testSieve has a Sieve script of Pigeonhole file what popfetch delivers by LMTP.
func testSieve(t *testing.T, bin executable) {
	const n = 20
	if reason := dovecottest.MissingLMTP(); reason != "" {
		t.Skip(reason)
	}
	if _, err := os.Stat("/usr/lib/dovecot/modules/lib90_sieve_plugin.so"); err != nil {
		t.Skip("Pigeonhole is not installed (Debian: apt-get install dovecot-sieve)")
	}
	d := runDovecot(t, dovecottest.Options{
		LMTP: true, Certificate: serverCertificate(t), Users: map[string]string{alice: password, bob: password},
		Settings: "protocol lmtp {\n  mail_plugins = sieve\n}\nplugin {\n  sieve = file:~/script.sieve\n}\n",
	})
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	root, err := d.AddUser(bob)
	must(t, err)
	script := "require [\"fileinto\", \"mailbox\"];\nfileinto :create \"Filed\";\n"
	must(t, os.WriteFile(filepath.Join(root, "script.sieve"), []byte(script), 0o644))
	h := newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", d.toBob()))
	h.silently(t)
	filed := make(mailbag)
	for _, part := range []string{"new", "cur"} {
		for _, name := range entries(t, filepath.Join(root, ".Filed", part)) {
			text, err := os.ReadFile(filepath.Join(root, ".Filed", part, name))
			must(t, err)
			filed[string(text)]++
		}
	}
	got, _ := received(t, filed)
	sameMail(t, "the folder of the script", got, asSent(held))
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}
