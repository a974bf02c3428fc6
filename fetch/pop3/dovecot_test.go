package pop3

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// findDovecot returns the path of doveadm, or skips the test.
func findDovecot(t *testing.T) string {
	t.Helper()
	doveadm, err := exec.LookPath("doveadm")
	if err != nil {
		t.Skip("real server left out: doveadm (Debian package dovecot-core) is not installed")
	}
	pop3, err := filepath.Glob("/usr/lib*/dovecot/pop3")
	if err != nil || len(pop3) == 0 {
		t.Skip("real server left out: Dovecot's pop3 (Debian package dovecot-pop3d) is not installed")
	}
	version, err := exec.Command(doveadm, "--version").Output()
	if err != nil || !strings.HasPrefix(string(version), "2.3.") {
		t.Skipf("real server left out: the configuration here is for Dovecot 2.3, not %s", version)
	}
	return doveadm
}

// startDovecot runs Dovecot's pop3 process behind a connection, already logged
// in, on a Maildir with some messages.
func startDovecot(t *testing.T, conn net.Conn, messages []string) {
	t.Helper()
	doveadm := findDovecot(t)
	// Dovecot refuses to read mail as root, and the other user has to get there.
	uid := os.Getuid()
	if uid == 0 {
		uid = 65534
	}
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, uid, uid); err != nil { // its log goes there
		t.Fatal(err)
	}
	for _, sub := range []string{"mail", "mail/cur", "mail/new", "mail/tmp"} {
		path := filepath.Join(dir, sub)
		if err := errors.Join(os.Mkdir(path, 0o700), os.Chown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range messages {
		name := filepath.Join(dir, "mail", "new", fmt.Sprintf("%d.M.host", i+1))
		if err := errors.Join(os.WriteFile(name, []byte(m), 0o600), os.Chown(name, uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf("mail_location = maildir:%s/mail\nmail_uid = %d\nmail_gid = %d\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nbase_dir = %s\nlog_path = %s/log\n",
		dir, uid, uid, dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(doveadm, "-c", filepath.Join(dir, "conf"), "exec", "pop3")
	cmd.Env = []string{"USER=u", "PATH=" + os.Getenv("PATH")}
	// A process that is logged in does not greet: pop3-login has.
	if _, err := io.WriteString(conn, "+OK Dovecot ready.\r\n"); err != nil {
		t.Fatal(err)
	}
	// Copied through pipes: on a socket it takes itself for started by inetd.
	cmd.Stdin, cmd.Stdout = conn, conn
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait() // ends when the process and the copying to it have ended
	}()
	t.Cleanup(func() {
		conn.Close()
		cmd.Process.Kill()
		<-done
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("dovecot: %s", log)
		}
	})
}

// The same session with a real server, one command at a time and pipelined.
func TestDovecot(t *testing.T) {
	for _, p := range []Pipelining{PipelineOff, PipelineAuto} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			var sent []string
			for i := range 100 {
				sent = append(sent, fmt.Sprintf("Subject: %d\n\n.\n..\n.x\n%s\nlast", i, strings.Repeat("y", i*100)))
			}
			client, server := tcpPair(t)
			startDovecot(t, server, sent)
			c, err := NewClient(t.Context(), client, "h", &Options{Security: ClearText, Pipelining: p, Timeout: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.state = Transaction // the process has logged us in
			if _, err := c.Capa(); err != nil {
				t.Fatal(err)
			}
			if n, _, err := c.Stat(); n != len(sent) || err != nil {
				t.Fatalf("%d messages, %v", n, err)
			}
			ids := make(map[string]bool)
			var nums []int
			for u, err := range c.Uidl() {
				if err != nil {
					t.Fatal(err)
				}
				ids[string(u.ID)] = true
				nums = append(nums, u.Num)
			}
			got := make(map[string]bool)
			for m, err := range c.Retr(nums) {
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(m.Body)
				if err != nil || m.Octets >= 0 && m.Octets != int64(len(b)) && m.Octets+2 != int64(len(b)) {
					t.Errorf("message %d: %d octets of %d, %v", m.Num, len(b), m.Octets, err)
				}
				got[strings.TrimSuffix(string(b), "\r\n")] = true
			}
			for _, s := range sent {
				if !got[strings.ReplaceAll(s, "\n", "\r\n")] {
					t.Errorf("did not get %.40q", s)
				}
			}
			for m, err := range c.Top(nums[:2], 1) {
				if b, rerr := io.ReadAll(m.Body); err != nil || rerr != nil || !strings.HasSuffix(string(b), "\r\n\r\n.\r\n") {
					t.Errorf("TOP: %q, %v, %v", b, err, rerr)
				}
			}
			for _, err := range c.Dele(nums[:99]) {
				if err != nil {
					t.Error(err)
				}
			}
			if err := c.Quit(); err != nil || len(ids) != len(sent) {
				t.Errorf("QUIT: %v, %d ids", err, len(ids))
			}
			t.Logf("%d round trips", c.RoundTrips())
		})
	}
}
