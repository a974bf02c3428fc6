//go:build linux

package dovecottest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/internal/certtest"
)

func start(t *testing.T, o Options) *Server {
	t.Helper()
	if reason := Missing(); reason != "" {
		t.Skip(reason)
	}
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Log(s.Log())
		}
	})
	return s
}

// session logs in and returns the reply to each command, the listing of UIDL included.
func session(t *testing.T, conn net.Conn, commands ...string) []string {
	t.Helper()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(conn)
	line := func() string {
		text, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimRight(text, "\r\n")
	}
	line() // greeting
	var replies []string
	for _, c := range commands {
		fmt.Fprintf(conn, "%s\r\n", c)
		reply := line()
		if c == "UIDL" {
			for text := line(); text != "."; text = line() {
				reply += "\n" + text
			}
		}
		replies = append(replies, reply)
	}
	return replies
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.POP3)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func deliver(t *testing.T, s *Server, user string, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		if err := s.Deliver(user, fmt.Sprintf("%d.M1P1.host", n), fmt.Appendf(nil, "Subject: %d\n\nx\n", n)); err != nil {
			t.Fatal(err)
		}
	}
}

func listing(t *testing.T, s *Server, user string) string {
	t.Helper()
	replies := session(t, dial(t, s), "USER "+user, "PASS "+Password, "UIDL", "QUIT")
	return replies[2]
}

func TestRestartKeepsMailAndAddress(t *testing.T) {
	s := start(t, Options{})
	if _, err := s.AddUser("alice"); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "alice", 1, 2)
	before, addr := listing(t, s, "alice"), s.POP3
	if strings.Count(before, "\n") != 2 {
		t.Fatalf("listing %q", before)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if after := listing(t, s, "alice"); after != before || s.POP3 != addr {
		t.Errorf("listing %q at %s, before %q at %s", after, s.POP3, before, addr)
	}
}

func TestRestoredBackupLacksWhatCameLater(t *testing.T) {
	s := start(t, Options{})
	if _, err := s.AddUser("alice"); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "alice", 1)
	old := listing(t, s, "alice")
	s.Stop()
	backup := filepath.Join(t.TempDir(), "backup")
	if err := s.Backup(backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "alice", 2)
	if later := listing(t, s, "alice"); strings.Count(later, "\n") != 2 {
		t.Fatalf("listing %q", later)
	}
	if err := s.Restore(backup); err != nil {
		t.Fatal(err)
	}
	if restored := listing(t, s, "alice"); restored != old {
		t.Errorf("listing %q, at the backup %q", restored, old)
	}
}

func TestUsersSettingsAndTLS(t *testing.T) {
	cert, err := certtest.SelfSigned(certtest.Localhost())
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{
		Certificate: &cert, Users: map[string]string{"bob": "his"},
		Settings: "login_greeting = hello from a setting",
	})
	text, err := os.ReadFile(s.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	conn, err := tls.Dial("tcp", s.POP3S, &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	replies := session(t, conn, "USER bob", "PASS his", "STAT", "QUIT")
	if replies[1] != "+OK Logged in." || replies[2] != "+OK 0 0" {
		t.Errorf("%q", replies)
	}
	for _, login := range [][]string{{"USER bob", "PASS " + Password}, {"USER alice", "PASS his"}} {
		if replies := session(t, dial(t, s), login...); !strings.HasPrefix(replies[1], "-ERR") {
			t.Errorf("%q: %q", login, replies)
		}
	}
	greeting, err := bufio.NewReader(dial(t, s)).ReadString('\n')
	if err != nil || !strings.Contains(greeting, "hello from a setting") {
		t.Errorf("greeting %q, %v", greeting, err)
	}
	s.Shutdown()
	if !strings.Contains(s.Log(), "Login: user=<bob>") {
		t.Error("the login is not in the log")
	}
}

func TestCloseRemovesOnlyItsOwnDirectory(t *testing.T) {
	s := start(t, Options{})
	s.Close()
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", s.Dir, err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(s.Dir), "given")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	given := start(t, Options{Dir: dir})
	given.Close()
	if _, err := os.Stat(given.Mail); err != nil {
		t.Error(err)
	}
}

// A test that panics, as at the time limit of go test, runs no cleanup.
func TestServerEndsWithTheProcessThatHasStartedIt(t *testing.T) {
	if reason := Missing(); reason != "" {
		t.Skip(reason)
	}
	if os.Getenv("POPFETCH_TEST_DIES") != "" {
		s, err := Start(Options{Users: map[string]string{"alice": "secret"}})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("server %s %s\n", s.POP3, s.Dir)
		os.Stdout.Close()
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerEndsWithTheProcessThatHasStartedIt$")
	cmd.Env = append(os.Environ(), "POPFETCH_TEST_DIES=1")
	out, _ := cmd.Output()
	var addr, dir string
	if _, err := fmt.Sscanf(string(out), "server %s %s", &addr, &dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for end := time.Now().Add(time.Minute); ; {
		_, left := os.Stat(dir)
		conn, err := net.Dial("tcp", addr)
		switch {
		case err == nil:
			conn.Close()
		case os.IsNotExist(left):
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a connection: %v; the directory: %v", err, left)
		}
		time.Sleep(time.Millisecond)
	}
}
