//go:build linux

package cli_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"popfetch/internal/oauth/oauthtest"
)

// From an address at a provider that wants OAuth 2.0 to mail: init, and the next steps that
// it shows.
func TestInitLeadsThroughTheSignInToMail(t *testing.T) {
	needsDovecot(t)
	t.Parallel()
	const clientSecret = "GOCSPX-of-the-user"
	for _, x := range []struct {
		address, provider, scope, secret string
		flags                            string
		answers                          []string // nil = without a terminal
	}{
		{"me@hotmail.com", "microsoft", "https://outlook.office.com/POP.AccessAsUser.All", "", "--client-id 0000-1111 --no-input", nil},
		{"me@hotmail.com", "microsoft", "https://outlook.office.com/POP.AccessAsUser.All", "", "--client-id 0000-1111", []string{"", ""}},
		{"me@gmail.com", "google", "https://mail.google.com/", clientSecret, "--client-id 0000-1111", []string{clientSecret, "", ""}},
	} {
		t.Run(x.address+" "+x.flags, func(t *testing.T) {
			cert := initCertificate(t)
			p := &oauthtest.Provider{ClientID: "0000-1111", ClientSecret: x.secret, User: x.address, Scope: x.scope}
			d := signInAt(t, p)
			d.fill(t, p.User, 3)
			n := newNewcomer(t, cert, d.POP3S, nil)
			n.trust = d.CertFile
			arguments := fmt.Sprintf("%s --server %s --tls implicit --name work %s", x.address, d.POP3S, x.flags)
			var screen string
			if x.answers == nil {
				e := n.popinit(0, "", strings.Fields(arguments)...)
				screen = e.stdout + e.stderr
			} else {
				var code int
				if screen, code = n.dialogue(arguments, x.answers...); code != 0 {
					t.Fatalf("exit code %d:\n%s", code, screen)
				}
			}
			if strings.Contains(screen, clientSecret) {
				t.Errorf("init shows the secret of the client:\n%s", screen)
			}
			n.private("config.toml", fmt.Sprintf("oauth = %q\nclient_id = \"0000-1111\"\n", x.provider))
			text, err := os.ReadFile(n.file("config.toml"))
			must(t, err)
			n.configure(strings.Replace(string(text), fmt.Sprintf("oauth = %q\n", x.provider), oauthTable(x.provider, p), 1))
			authorize := n.command("exec popfetch authorize work", n.env()...)
			for _, step := range []string{"popfetch authorize work", "popfetch --once work"} {
				if !strings.Contains(screen, "  "+step) {
					t.Errorf("init does not show the step %q:\n%s", step, screen)
				}
			}
			e := n.exits(78, "exec popfetch --once work", n.env()...)
			if !strings.Contains(e.stderr, "run popfetch authorize work") {
				t.Errorf("popfetch says %s", e.stderr)
			}
			signIn(t, authorize, 0, openHere(t))
			n.exits(0, "exec popfetch --once work", n.env()...)
			if got := n.mail("work", "new"); got != 3 {
				t.Errorf("%d messages", got)
			}
		})
	}
}

// Without a terminal nobody can be asked for the secret that Google demands.
func TestInitSaysThatGoogleDemandsTheSecretOfTheClient(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 0)
	n := newNewcomer(t, cert, s.Addr(), nil)
	flags := []string{"me@gmail.com", "--server", s.Addr(), "--tls", "implicit", "--client-id", "0000-1111", "--no-input"}
	if e := n.popinit(0, "", append(flags, "--print")...); !strings.Contains(e.stderr, "Google demands the secret of the client too: add client_secret") {
		t.Errorf("init says %s%s", e.stdout, e.stderr)
	}
	if e := n.popinit(0, "", append(flags, "--client-secret-command", "pass show google", "--print")...); strings.Contains(e.stderr, "demands") ||
		!strings.Contains(e.stdout, `client_secret_command = ["pass", "show", "google"]`) {
		t.Errorf("init says %s%s", e.stdout, e.stderr)
	}
	if e := n.popinit(0, "", append(flags, "--quiet")...); !strings.Contains(e.stdout, "Google demands the secret of the client too: add client_secret") {
		t.Errorf("init says %s%s", e.stdout, e.stderr)
	}
}

// Ctrl-C while DNS does not answer.
func TestInterruptWhileInitLooksForTheServerWritesNothing(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 0)
	n := newNewcomer(t, cert, s.Addr(), nil)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	n.world.dns = silent.LocalAddr().String()
	cmd := exec.Command("popinit", "init", "me@example.org")
	cmd.Dir, cmd.Env = n.dir, append([]string{"HOME=" + n.dir, "PATH=" + os.Getenv("PATH")}, n.env()...)
	must(t, cmd.Start())
	if _, _, err := silent.ReadFrom(make([]byte, 4096)); err != nil {
		t.Error(err)
	}
	must(t, cmd.Process.Signal(syscall.SIGINT))
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	n.nothingWritten()
}
