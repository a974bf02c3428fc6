//go:build linux

package cli_test

import (
	"bytes"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serviceManager is the socket of a service manager.
type serviceManager struct {
	*testing.T
	socket *net.UnixConn
	seen   string // all messages, a line each
}

// awaits returns when a message has come that matches a pattern, after those before it.
func (m *serviceManager) awaits(pattern string) {
	m.Helper()
	buf := make([]byte, 4096)
	m.socket.SetReadDeadline(time.Now().Add(time.Minute))
	for begun := len(m.seen); !regexp.MustCompile(`(?m)^` + pattern).MatchString(m.seen[begun:]); {
		n, err := m.socket.Read(buf)
		if err != nil {
			m.Fatalf("no %q: %v; there was\n%s", pattern, err, m.seen)
		}
		m.seen += string(buf[:n]) + "\n"
	}
}

func TestServiceManagerIsToldHowTheDaemonIs(t *testing.T) {
	t.Parallel()
	s := clearServer(t, small(1)...)
	r := newUserHome(t, account("work", s, ""))
	path := filepath.Join(r.dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	m := &serviceManager{T: t, socket: socket}
	cmd := r.command("exec popfetch", "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=600000")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.awaits("READY=1$")
	m.awaits("WATCHDOG=1$")
	m.awaits("WATCHDOG=1$")
	m.awaits("WATCHDOG=1$") // also while nothing is due
	if !strings.Contains(m.seen, "STATUS=1 account") {
		t.Errorf("no status in\n%s", m.seen)
	}
	for _, broken := range []bool{false, true} {
		if broken {
			r.configure("[")
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		m.awaits("RELOADING=1\nMONOTONIC_USEC=[0-9]+$")
		m.awaits("READY=1$") // an error does not leave it reloading
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.awaits("STOPPING=1$")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"configuration reloaded: 1 account, 0 new, 0 changed, 0 removed\n", "the old one stays in force\n", "work: 1 delivered"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not say %q but\n%s", want, said.String())
		}
	}
}

// Lines have their priority only where standard error is the journal that
// JOURNAL_STREAM names.
func TestPriorityOnlyInTheJournal(t *testing.T) {
	t.Parallel()
	r := newUserHome(t, "[account.work]\nserver = \"127.0.0.1:1\"\nuser = \"a\"\npassword = \"b\"\ntls = \"none\"\nmaildir = \"~/Mail\"\n")
	for shell, want := range map[string]string{
		`exec popfetch --once -v`:                                            `(?m)^popfetch: work: connect`,
		`JOURNAL_STREAM=1:2 exec popfetch --once -v`:                         `(?m)^popfetch: work: connect`,
		`JOURNAL_STREAM=$(stat -Lc %d:%i /dev/fd/2) exec popfetch --once -v`: `(?m)^<3>work: connect`,
	} {
		if e := r.exits(75, shell); !regexp.MustCompile(want).MatchString(e.stderr) {
			t.Errorf("%s: %s", shell, e.stderr)
		}
	}
}
