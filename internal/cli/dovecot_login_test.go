//go:build linux

package cli_test

import (
	"strings"
	"testing"
)

func testMechanisms(t *testing.T, bin executable) {
	const n = 3
	d := startDovecot(t, true)
	h := newHome(t, bin)
	mechanisms := []struct{ auth, logged string }{
		{"plain", "PLAIN"},
		{"login", "LOGIN"},
		{"user", "PLAIN"},
		{"cram-md5", "CRAM-MD5"},
		{"apop", "APOP"},
		{"auto", ""},
	}
	modes := []string{"implicit", "starttls", "none"}
	for _, x := range mechanisms {
		for _, tls := range modes {
			t.Run(x.auth+" "+tls, func(t *testing.T) {
				user := x.auth + "-" + tls + "@example.org"
				d.fill(t, user, n)
				h.configure(t, d.account("work", user, tls, "received = false",
					`auth = "`+x.auth+`"`, `maildir = "~/`+user+`"`))
				if x.auth == "apop" && tls == "starttls" {
					// The timestamp came in clear text, so anybody may have made it.
					h.once(t, 77).says(t, "popfetch: work: ", "apop")
					return
				}
				h.silently(t)
				sameMail(t, user, inMaildir(t, h.dir+"/"+user, nil), asStored(user, n))
			})
		}
	}
	for _, x := range mechanisms {
		for _, tls := range modes {
			user := x.auth + "-" + tls + "@example.org"
			want := 1
			if x.auth == "apop" && tls == "starttls" {
				want = 0
			}
			if log := d.logged("Login: user=<"+user+">", "method="+x.logged); len(log) != want || want == 0 && len(d.logged(user)) > 0 {
				t.Errorf("%s: the server has logged %q", user, d.logged(user))
			}
		}
	}
}

func testWrongPassword(t *testing.T, bin executable) {
	const n = 5
	d := startDovecot(t, true)
	h := newHome(t, bin)
	for _, user := range []string{alice, bob, carol} {
		d.fill(t, user, n)
	}
	const wrong = `password = "not-this-one"`
	h.configure(t,
		d.account("a", alice, "implicit", wrong),
		d.account("b", bob, "implicit", "received = false"),
		d.account("c", carol, "starttls", wrong))
	r := h.once(t, 77)
	r.says(t, "popfetch: a: ", "popfetch: c: ", "hint: check user and password")
	if strings.Contains(r.stderr, "popfetch: b: ") || strings.Contains(r.stderr, "not-this-one") {
		t.Errorf("popfetch says too much:\n%s", r.stderr)
	}
	sameMail(t, "the account with the right password", inMaildir(t, h.maildir("b"), nil), asStored(bob, n))
	for _, user := range []string{alice, carol} {
		if log := d.logged("auth: ", user, "assword mismatch"); len(log) != 1 {
			t.Errorf("%s: %d attempts to log in:\n%s", user, len(log), d.logged(user))
		}
	}
}

func testWrongName(t *testing.T, bin executable) {
	d := startDovecot(t, true)
	h := newHome(t, bin)
	d.fill(t, alice, 1)
	for _, tls := range []string{"implicit", "starttls"} {
		h.configure(t, d.account("work", alice, tls, `tls_server_name = "mail.example.com"`))
		h.once(t, 76).says(t, "popfetch: work: ", "mail.example.com", serverName)
	}
	h.configure(t, d.account("work", alice, "implicit", `tls_server_name = "`+serverName+`"`))
	h.recovers(t)
	noLoginsBut(t, d, 1)
}

func testNoTLS(t *testing.T, bin executable) {
	d := startDovecot(t, false)
	h := newHome(t, bin)
	d.fill(t, alice, 1)
	h.configure(t, d.account("work", alice, "starttls"))
	h.once(t, 76).says(t, "popfetch: work: ", "STLS")

	server := `server = "` + d.POP3 + `"`
	h.configure(t, strings.Replace(d.account("work", alice, "implicit"), `server = ""`, server, 1))
	h.once(t, 76).says(t, "popfetch: work: ", `tls = "starttls"`)
	noLoginsBut(t, d, 0)
}

// noLoginsBut checks that the server was shown a user name n times only.
func noLoginsBut(t *testing.T, d *dovecot, n int) {
	t.Helper()
	logins := d.logged("Login: user=<" + alice + ">")
	if len(logins) != n {
		t.Errorf("%d logins, want %d: %q", len(logins), n, logins)
	}
	for _, line := range d.logged("pop3-login: ", "user=<") {
		if !strings.Contains(line, "Login: ") && !(strings.Contains(line, "no auth attempts") && strings.Contains(line, "user=<>")) {
			t.Errorf("the server was shown credentials: %s", line)
		}
	}
}
