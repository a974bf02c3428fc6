//go:build linux && !race

package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"popfetch/fetch/pop3/pop3test"
)

// serveAccounts configures accounts on one server, each with one message.
func serveAccounts(t *testing.T, accounts, parallel int) (*pop3test.Server, *userHome) {
	t.Helper()
	s := &pop3test.Server{Security: pop3test.ClearText, Users: make(map[string]*pop3test.User)}
	for i := range accounts {
		message := pop3test.Message{UID: "u", Raw: pop3test.Text("Subject: x\n\nHello.\n")}
		s.Users[fmt.Sprintf("a%04d", i)] = &pop3test.User{Password: secret, Maildrop: pop3test.NewMaildrop(message)}
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var config strings.Builder
	fmt.Fprintf(&config, "parallel = %d\nparallel_per_host = %[1]d\n[defaults]\nmaildir = \"~/Mail/{account}\"\ntls = \"none\"\npassword = %q\n", parallel, secret)
	for name := range s.Users {
		fmt.Fprintf(&config, "[account.%s]\nserver = %q\nuser = %q\n", name, s.Addr(), name)
	}
	return s, newUserHome(t, config.String())
}

// A run of 2,000 accounts needs little memory: with 200 at once, and without new mail
// with all at once.
func TestTwoThousandAccounts(t *testing.T) {
	t.Parallel()
	const accounts, most = 2000, 150
	for parallel, visits := range map[int][]string{200: {"fresh", "nothing new"}, accounts: {"", "nothing new"}} {
		s, r := serveAccounts(t, accounts, parallel)
		for _, what := range visits {
			mib := r.peak(0, "--once") >> 20
			if t.Logf("%d at once, %s: %d MiB", parallel, what, mib); what != "" && mib > most {
				t.Errorf("%d at once, %s: %d MiB, want at most %d", parallel, what, mib, most)
			}
		}
		for name, u := range s.Users {
			if n := r.mail(name, "new"); n != 1 || u.Maildrop.Retrieved("u") != 1 {
				t.Errorf("%s: %d messages, retrieved %d times", name, n, u.Maildrop.Retrieved("u"))
			}
		}
	}
}
