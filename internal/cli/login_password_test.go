package cli

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

// A user changes the password at the provider and then in its source. The poll in
// between is refused; the next one has to use the new password, without a restart.
func TestChangedPasswordIsUsedAfterRefusal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve := func(password string) int {
		s := &pop3test.Server{Security: pop3test.ClearText, Users: map[string]*pop3test.User{"me": {Password: password, Maildrop: pop3test.NewMaildrop()}}}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		_, port, _ := net.SplitHostPort(s.Addr())
		number, _ := strconv.Atoi(port)
		return number
	}
	before, after := serve("old"), serve("new")
	for name, source := range map[string]*secret.Source{
		"password_file":    {File: file},
		"password_command": {Command: []string{"cat", file}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &config.Account{Login: config.Login{Host: "localhost", Port: before, User: "me", TLS: config.TLSNone, Auth: []string{"user"}}}
			d := &connector{account: a, log: slog.New(slog.DiscardHandler), secret: source}
			poll := func() error {
				c, err := d.login(t.Context(), fetch.Opening{})
				if err == nil {
					c.Quit()
				}
				return err
			}
			write("old")
			if err := poll(); err != nil {
				t.Fatal(err)
			}
			a.Port = after // the provider knows the new password, the file does not
			if err := poll(); !errors.As(err, new(*pop3.AuthError)) {
				t.Fatalf("got %v, want a refused login", err)
			}
			write("new")
			if err := poll(); err != nil {
				t.Errorf("with the new password: %v", err)
			}
		})
	}
}
