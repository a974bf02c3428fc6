//go:build linux

package cli_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popfetch/internal/certtest"
	"popfetch/internal/dovecottest"
)

func testScram(t *testing.T, bin executable) {
	const n = 3
	d := runDovecot(t, dovecottest.Options{Certificate: serverCertificate(t), Settings: "auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256\n"})
	h := newHome(t, bin)
	// Round trips of a visit without new mail: CAPA with the first line of the login, the
	// proof with the answer to the server's proof and the listing, QUIT; STLS is one more. A
	// login by plain is one flight with CAPA and the listing.
	trips := map[string]int{"scram-sha-1": 3, "scram-sha-256": 3, "auto": 3, "plain": 2}
	logged := map[string]string{"plain": "PLAIN", "scram-sha-1": "SCRAM-SHA-1", "scram-sha-256": "SCRAM-SHA-256", "auto": "SCRAM-SHA-256"}
	modes := []string{"implicit", "starttls", "none"}
	for auth := range logged {
		for _, mode := range modes {
			t.Run(auth+" "+mode, func(t *testing.T) {
				user := auth + "-" + mode + "@example.org"
				d.fill(t, user, n)
				h.configure(t, d.account("work", user, mode, "received = false", `auth = "`+auth+`"`, `maildir = "~/`+user+`"`))
				h.silently(t)
				sameMail(t, user, inMaildir(t, h.dir+"/"+user, nil), asStored(user, n))
				want := trips[auth]
				if mode == "starttls" {
					want++
				}
				if auth == "plain" && mode == "none" {
					want++ // the password waits for today's CAPA
				}
				var report struct {
					RoundTrips int `json:"round_trips"`
				}
				must(t, json.Unmarshal([]byte(h.once(t, 0, "--json").stdout), &report)) // with the listing behind the proof
				if report.RoundTrips != want {
					t.Errorf("%d round trips, want %d", report.RoundTrips, want)
				}
			})
		}
	}
	h.configure(t, d.account("work", "auto-none@example.org", "none", `password = "not-this-one"`))
	h.once(t, 77).says(t, "with method scram-sha-256", "hint: check user and password")
	for auth, mechanism := range logged {
		for _, mode := range modes {
			user := auth + "-" + mode + "@example.org"
			if log := d.logged("Login: user=<"+user+">", "method="+mechanism+","); len(log) != 2 {
				t.Errorf("%s: the server has logged %q", user, d.logged(user))
			}
		}
	}
}

// testIMAPLogins has the mailbox that takes the mail opened by each method that needs a
// password.
func testIMAPLogins(t *testing.T, bin executable) {
	const n = 3
	d := startIMAP(t, asReceived+"auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256\n")
	d.fill(t, alice, n)
	h := newHome(t, bin)
	logged := map[string]string{
		"plain": "PLAIN", "login": "LOGIN", "cram-md5": "CRAM-MD5", "scram-sha-1": "SCRAM-SHA-1", "scram-sha-256": "SCRAM-SHA-256", "auto": "SCRAM-SHA-256",
	}
	held := d.holds(t, alice)
	times := 0
	for auth := range logged {
		times++
		h.configureIMAP(t, "state = \"~/"+auth+".db\"\n", d.fetchAccount(auth, "received = false"), d.toBobByIMAP(auth, `auth = "`+auth+`"`))
		h.silently(t)
	}
	for text := range held {
		held[text] *= times
	}
	sameMail(t, "all logins", d.holds(t, bob), held)
	h.configureIMAP(t, "state = \"~/wrong.db\"\n", d.fetchAccount("wrong"), strings.Replace(d.toBobByIMAP("wrong"), password, "not this one", 1))
	h.once(t, 77).says(t, "with scram-sha-256", "hint: check user and password in the table of the destination")
	for auth, mechanism := range logged {
		want := 1
		if mechanism == "SCRAM-SHA-256" {
			want = 2 // by name, and by auto
		}
		if log := d.logged("imap-login:", "Login: user=<"+bob+">", "method="+mechanism+","); len(log) != want {
			t.Errorf("%s: the server has logged %q", auth, d.logged("imap-login"))
		}
	}
}

func testExternal(t *testing.T, bin executable) {
	const n = 3
	user := "alice@example.org"
	ca, err := certtest.NewAuthority("clients")
	must(t, err)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "ca.pem"), ca.PEM(), 0o644))
	d := runDovecot(t, dovecottest.Options{Certificate: serverCertificate(t), Settings: "auth_mechanisms = plain external\n" +
		"ssl_ca = <" + dir + "/ca.pem\nssl_require_crl = no\nssl_verify_client_cert = yes\nauth_ssl_username_from_cert = yes\nssl_cert_username_field = commonName\n" +
		"passdb {\n driver = static\n mechanisms = external\n args = nopassword\n}\n"})
	d.fill(t, user, n)
	h := newHome(t, bin)
	pair := func(name string) string {
		cert, err := ca.Issue(certtest.Request{Names: []string{name}, Client: true})
		must(t, err)
		return writePair(t, h.dir, name, cert)
	}
	for _, mode := range []string{"implicit", "starttls"} {
		h.configure(t, withoutPassword(d.account("work", user, mode, "received = false", `auth = "external"`, pair(user))))
		h.silently(t)
		sameMail(t, user, inMaildir(t, h.maildir("work"), nil), asStored(user, n))
	}
	h.configure(t, withoutPassword(d.account("work", user, "implicit", `auth = "external"`, pair("mallory@example.org"))))
	h.once(t, 77).says(t, "with method external")
	h.configure(t, withoutPassword(d.account("work", user, "implicit", `auth = "external"`)))
	h.once(t, 78).says(t, "the method external needs tls_client_cert, and TLS")
	if log := d.logged("Login: user=<"+user+">", "method=EXTERNAL"); len(log) != 2 {
		t.Errorf("the server has logged %q", d.logged("Login: "))
	}
}

// writePair writes a certificate and its key, and returns the lines that name them.
func writePair(t *testing.T, dir, name string, cert tls.Certificate) string {
	t.Helper()
	below := filepath.Join(dir, name)
	must(t, os.MkdirAll(below, 0o700))
	must(t, certtest.WriteFiles(below, cert))
	return fmt.Sprintf("tls_client_cert = %q\ntls_client_key = %q", filepath.Join(below, "cert.pem"), filepath.Join(below, "key.pem"))
}
