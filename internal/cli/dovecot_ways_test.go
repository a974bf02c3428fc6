//go:build linux

package cli_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
	"popfetch/internal/dovecottest"
)

// Dovecot's server for one user, as a program: it needs no login and sends no greeting.
func TestDovecotAsAProgramIsFetchedFrom(t *testing.T) {
	if reason := dovecottest.Missing(); reason != "" {
		t.Skip(reason)
	}
	doveadm, err := exec.LookPath("doveadm")
	if err != nil {
		t.Skip(err)
	}
	owner := 65534 // nobody: Dovecot serves no mail of root
	if os.Getuid() != 0 {
		owner = os.Getuid()
	}
	dir, err := os.MkdirTemp("/tmp", "popfetch-exec-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	mail := filepath.Join(dir, "mail")
	for _, d := range []string{"", "new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(mail, d), 0o777); err != nil {
			t.Fatal(err)
		}
		os.Chown(filepath.Join(mail, d), owner, owner)
	}
	message := filepath.Join(mail, "new", "1.a.b")
	if err := os.WriteFile(message, []byte("From: a@b\nSubject: x\n\nHello.\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chown(message, owner, owner)
	conf := filepath.Join(dir, "conf")
	text := fmt.Sprintf("mail_location = maildir:%s\nmail_uid = %d\nmail_gid = %[2]d\nfirst_valid_uid = 0\nfirst_valid_gid = 0\n", mail, owner)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r := newUserHome(t, fmt.Sprintf(`[account.me]
server = "maildrop-of-alice"
user = "alice"
auth = "none"
tls = "none"
keep = false
tunnel = ["env", "-i", "USER=alice", "PATH=/usr/bin:/bin", %q, "-c", %q, "exec", "pop3"]
maildir = "~/Mail"
`, doveadm, conf))
	if e := r.exits(0, "exec popfetch check"); !strings.Contains(e.stdout, "logged in     by the server itself") {
		t.Errorf("check: %s", e.stdout)
	}
	r.exits(0, "exec popfetch --once")
	if left, _ := filepath.Glob(mail + "/*/1.a.b*"); len(left) > 0 {
		t.Errorf("the message is still on the server: %v", left)
	}
	r.exits(0, "exec popfetch --once")
}

// forward makes a unix socket lead to a server.
func forward(t *testing.T, address string) string {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				conn.Close()
				return
			}
			go func() { defer server.Close(); io.Copy(server, conn) }()
			go func() { defer conn.Close(); io.Copy(conn, server) }()
		}
	}()
	return path
}

func TestServerBehindASocketOrATunnelOrAURLIsFetchedFrom(t *testing.T) {
	t.Parallel()
	s := clearServer(t, pop3test.Message{Raw: pop3test.Text("Subject: x\n\nHello.\n")})
	host, port, _ := net.SplitHostPort(s.Addr())
	for name, keys := range map[string]string{
		"socket": fmt.Sprintf("server = %q\nuser = \"alice\"", "unix:"+forward(t, s.Addr())),
		"url":    fmt.Sprintf("server = \"pop://alice;AUTH=PLAIN@%s\"\ntls = \"none\"", s.Addr()),
		"tunnel": fmt.Sprintf("server = \"far\"\nuser = \"alice\"\ntls = \"none\"\ntunnel = [\"bash\", \"-c\", \"exec 3<>/dev/tcp/%s/%s; cat <&3 & exec cat >&3\"]", host, port),
	} {
		t.Run(name, func(t *testing.T) {
			r := newUserHome(t, fmt.Sprintf("[account.me]\n%s\npassword = %q\nmaildir = \"~/Mail/me\"\n", keys, secret))
			e := r.exits(0, "exec popfetch --once")
			if r.mail("me", "new") != 1 {
				t.Errorf("no mail: %s", e.stderr)
			}
		})
	}
}

// A socket that leads to a server of the usual kind, which knows nobody yet.
func TestServerThatWantsALoginAllTheSameIsExplained(t *testing.T) {
	t.Parallel()
	s := clearServer(t, pop3test.Message{Raw: pop3test.Text("Subject: x\n\nHello.\n")})
	r := newUserHome(t, fmt.Sprintf("[account.me]\nserver = %q\nuser = \"alice\"\nauth = \"none\"\nmaildir = \"~/Mail/me\"\n", "unix:"+forward(t, s.Addr())))
	for _, command := range []string{"--once", "check"} {
		e := r.exits(77, "exec popfetch "+command)
		if !strings.Contains(e.stderr, "log in with method none: STAT: server said ") || !strings.Contains(e.stderr, `hint: the server wants a login: leave auth = "none" out`) {
			t.Errorf("it says %s", e.stderr)
		}
	}
}

func TestTunnelThatIsNoConnectionIsExplained(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		argv, tls  string
		exit       int
		says, hint string
	}{
		"missing":      {`"popfetch-no-such-program"`, "none", 78, "executable file not found", "is the program of tunnel installed"},
		"ends at once": {`"sh", "-c", "echo Connection refused >&2; exit 255"`, "none", 75, `ended with exit status 255: "Connection refused"`, ""},
		"garbage":      {`"sh", "-c", "echo Last login: today; exec cat"`, "none", 76, "Last login: today", "must print nothing of its own"},
		"not TLS":      {`"sh", "-c", "echo Last login: today; exec cat"`, "implicit", 76, "", "prints is not TLS"},
		"silent":       {`"sleep", "1000"`, "none", 75, "no whole reply within", "runs and prints nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newUserHome(t, fmt.Sprintf("[account.me]\nserver = \"far\"\nuser = \"alice\"\npassword = %q\ntls = %q\ntimeout = \"500ms\"\ntunnel = [%s]\nmaildir = \"~/Mail/me\"\n", secret, x.tls, x.argv))
			e := r.exits(x.exit, "exec popfetch --once")
			if !strings.Contains(e.stderr, x.says) || !strings.Contains(e.stderr, x.hint) {
				t.Errorf("it says %s", e.stderr)
			}
		})
	}
}

// The programs that people use as a tunnel: openssl, which must not take the R of RETR for
// a command of its own, and two that copy octets.
func TestProgramsThatConnectServeAsATunnel(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	secure := secureServer(t, cert, 3)
	clear := clearServer(t, small(3)...)
	trust := filepath.Join(t.TempDir(), "trust.pem")
	chain, _, err := certtest.PEM(*cert)
	must(t, err)
	must(t, os.WriteFile(trust, chain, 0o600))
	host, at, err := net.SplitHostPort(clear.Addr())
	must(t, err)
	for program, x := range map[string]struct{ pkg, user, argv string }{
		"openssl": {"openssl", "me", fmt.Sprintf(`"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", %q, "-connect", %q`, trust, secure.Addr())},
		"socat":   {"socat", "alice", fmt.Sprintf(`"socat", "-", "TCP:%s"`, clear.Addr())},
		"nc":      {"netcat-openbsd", "alice", fmt.Sprintf(`"nc", %q, %q`, host, at)},
	} {
		t.Run(program, func(t *testing.T) {
			needs(t, program, x.pkg)
			r := newUserHome(t, fmt.Sprintf("[account.me]\nserver = \"far\"\nuser = %q\npassword = %q\ntls = \"none\"\ntunnel = [%s]\nmaildir = \"~/Mail/me\"\n", x.user, secret, x.argv))
			r.exits(0, "exec popfetch check")
			for range 2 {
				r.exits(0, "exec popfetch --once")
			}
			if got := r.mail("me", "new"); got != 3 {
				t.Errorf("%d messages", got)
			}
		})
	}
}
