//go:build linux

package cli_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"popfetch/internal/dovecottest"
)

// realm is a Kerberos realm with its KDC.
type realm struct {
	t      *testing.T
	dir    string
	env    []string
	keytab string
}

const realmName = "EXAMPLE.ORG"

// startRealm runs the KDC of MIT Kerberos for the time of the test.
func startRealm(t *testing.T) *realm {
	t.Helper()
	for _, program := range []string{"krb5kdc", "kdb5_util", "kadmin.local"} {
		needs(t, program, "krb5-kdc")
	}
	needs(t, "kinit", "krb5-user")
	ports, err := dovecottest.FreePorts(1)
	must(t, err)
	// Not a t.TempDir: Dovecot reads the keytab as a user of its own.
	dir, err := os.MkdirTemp("", "krb")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	r := &realm{t: t, dir: dir, keytab: filepath.Join(dir, "pop.keytab")}
	conf := filepath.Join(dir, "krb5.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, "[libdefaults]\n default_realm = %[1]s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"+
		"[realms]\n %[1]s = {\n  kdc = 127.0.0.1:%[2]s\n }\n[domain_realm]\n localhost = %[1]s\n", realmName, ports[0]), 0o644))
	kdc := filepath.Join(dir, "kdc.conf")
	must(t, os.WriteFile(kdc, fmt.Appendf(nil, "[realms]\n %[1]s = {\n  database_name = %[2]s/principal\n  key_stash_file = %[2]s/stash\n  kdc_listen = 127.0.0.1:%[3]s\n  kdc_tcp_listen = 127.0.0.1:%[3]s\n }\n[logging]\n kdc = STDERR\n", realmName, dir, ports[0]), 0o644))
	r.env = append(os.Environ(), "KRB5_CONFIG="+conf, "KRB5_KDC_PROFILE="+kdc)
	r.run("", "kdb5_util", "create", "-s", "-P", "master", "-r", realmName)
	for _, q := range []string{"addprinc -pw secret alice", "addprinc -pw secret mallory", "addprinc -randkey pop/localhost", "ktadd -k " + r.keytab + " pop/localhost",
		"addprinc -randkey imap/localhost", "ktadd -k " + r.keytab + " imap/localhost"} {
		r.run("", "kadmin.local", "-q", q)
	}
	must(t, os.Chmod(r.keytab, 0o644))
	cmd := exec.Command("krb5kdc", "-n", "-r", realmName)
	cmd.Env = r.env
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "commencing operation") {
				ready <- true
			}
		}
		ready <- false
	}()
	if !<-ready {
		t.Fatal("krb5kdc does not start")
	}
	return r
}

func (r *realm) run(stdin, program string, args ...string) {
	r.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdin = r.env, strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// ticket gets the ticket of a user and returns the environment that leads to it.
func (r *realm) ticket(user string) []string {
	r.t.Helper()
	cache := filepath.Join(r.dir, "cache-"+user)
	r.run("secret\n", "kinit", "-c", cache, user)
	return r.at(cache)
}

func (r *realm) at(cache string) []string {
	return []string{"KRB5_CONFIG=" + filepath.Join(r.dir, "krb5.conf"), "KRB5CCNAME=FILE:" + cache}
}

// Kerberos V5 with MIT's KDC: a ticket opens the maildrop of its owner and no other, and
// only a server that has the key of the service is believed.
func testKerberos(t *testing.T, bin executable) {
	const n = 3
	r := startRealm(t)
	if _, err := os.Stat("/usr/lib/dovecot/modules/auth/libmech_gssapi.so"); err != nil {
		t.Skip("dovecot has no GSSAPI (Debian: apt-get install dovecot-gssapi)")
	}
	start := func(keytab string) *dovecot {
		return runDovecot(t, dovecottest.Options{IMAP: dovecottest.MissingIMAP() == "", Certificate: serverCertificate(t), Settings: "auth_mechanisms = plain gssapi\n" +
			"auth_krb5_keytab = " + keytab + "\nauth_gssapi_hostname = \"$ALL\"\n" +
			"import_environment = TZ KRB5_CONFIG=" + filepath.Join(r.dir, "krb5.conf") + "\n"})
	}
	d := start(r.keytab)
	d.fill(t, "alice", n)
	h := newHome(t, bin)
	account := func(d *dovecot, mode string, more ...string) string {
		lines := append([]string{"received = false", `auth = "gssapi"`, `tls_server_name = "` + serverName + `"`, `maildir = "~/` + mode + `"`}, more...)
		text := withoutPassword(d.account("work", "alice", mode, lines...))
		if mode == "none" {
			text = strings.Replace(text, `tls_server_name = "`+serverName+`"`, "", 1)
		}
		return strings.Replace(text, "127.0.0.1", "localhost", 1)
	}
	h.env = r.ticket("alice")
	for _, mode := range []string{"implicit", "none"} {
		h.configure(t, account(d, mode))
		h.silently(t)
		h.silently(t) // with the listing behind the last token
	}
	sameMail(t, "alice", inMaildir(t, h.dir+"/implicit", nil), asStored("alice", n))

	// The ticket opens the mailbox at the IMAP server too.
	if d.IMAP != "" {
		d.fill(t, "carol", n)
		_, port, err := net.SplitHostPort(d.IMAPS)
		must(t, err)
		h.configureIMAP(t, d.account("imap", "carol", "implicit", "received = false"),
			fmt.Sprintf("[account.imap.imap]\nserver = \"localhost:%s\"\nuser = \"alice\"\nauth = \"gssapi\"\nfolder = \"by Kerberos\"\ntls_ca_file = %q\ntls_server_name = %q\n", port, d.CertFile, serverName))
		h.silently(t)
		h.configure(t, account(d, "implicit"))
	}

	h.env = r.ticket("mallory")
	h.once(t, 77).says(t, `log in as "alice" with method gssapi`)
	h.env = r.at(filepath.Join(r.dir, "nothing"))
	h.once(t, 78, "-v").says(t, "popfetch: work: ticket: ticket cache "+filepath.Join(r.dir, "nothing")+": there is no ticket (run kinit)")
	damaged := filepath.Join(r.dir, "damaged")
	must(t, os.WriteFile(damaged, []byte("\x05\x04\x00\x0c\xff\xff\xff"), 0o600))
	h.env = r.at(damaged)
	h.once(t, 78, "-v").says(t, "popfetch: work: ticket: ticket cache ", "(run kinit)")
	h.env = []string{r.at("")[0], "KRB5CCNAME=KEYRING:persistent:0"}
	h.once(t, 78, "-v").says(t, "a cache of the kind KEYRING cannot be read (set KRB5CCNAME to a file, and run kinit)")

	// A server with another key cannot read the ticket.
	other := filepath.Join(r.dir, "other.keytab")
	r.run("", "kadmin.local", "-q", "addprinc -randkey pop/elsewhere")
	r.run("", "kadmin.local", "-q", "ktadd -k "+other+" pop/elsewhere")
	must(t, os.Chmod(other, 0o644))
	impostor := start(other)
	h.env = r.ticket("alice")
	h.configure(t, account(impostor, "implicit"))
	h.once(t, 77).says(t, "with method gssapi")

	if log := d.logged("pop3-login:", "Login: user=<alice>", "method=GSSAPI"); len(log) != 4 {
		t.Errorf("the server has logged %q", d.logged("alice"))
	}
	if log := d.logged("imap-login:", "Login: user=<alice>", "method=GSSAPI"); d.IMAP != "" && len(log) != 1 {
		t.Errorf("the IMAP server has logged %q", d.logged("imap-login"))
	}
}
