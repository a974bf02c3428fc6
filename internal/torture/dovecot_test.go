//go:build linux

package torture

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// dovecot is a running Dovecot with as many users as are asked for.
type dovecot struct {
	address, mail string
	uid, gid      int
}

// settings of a server that root runs in a directory of its own: mail belongs to
// nobody. The arguments are the directory, the uid and gid of nobody, the password and the port.
const settings = `base_dir = %[1]s/run
state_dir = %[1]s/run
log_path = /dev/stderr
protocols = pop3
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
mail_uid = %[2]d
mail_gid = %[3]d
mail_home = %[1]s/mail/%%u
mail_location = maildir:%[1]s/mail/%%u
mail_fsync = never
disable_plaintext_auth = no
auth_mechanisms = plain
passdb {
  driver = static
  args = password=%[4]s
}
userdb {
  driver = static
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service pop3-login {
  chroot =
  service_count = 0
  inet_listener pop3 {
    port = %[5]s
  }
}
`

// startDovecot starts a server that lives as long as the test. It returns nil, and
// says so, where there is none.
func startDovecot(t *testing.T) *dovecot {
	t.Helper()
	version, err := exec.Command("dovecot", "--version").Output()
	if err != nil || !strings.HasPrefix(string(version), "2.3.") || os.Getuid() != 0 {
		t.Log("the share against Dovecot is left out: it needs dovecot-pop3d 2.3 and root")
		return nil
	}
	nobody, err := user.Lookup("nobody")
	must(t, err)
	dir, err := os.MkdirTemp("", "dovecot") // the paths of sockets have to be short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &dovecot{mail: filepath.Join(dir, "mail")}
	d.uid, err = strconv.Atoi(nobody.Uid)
	must(t, err)
	d.gid, err = strconv.Atoi(nobody.Gid)
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	must(t, d.mkdir(d.mail))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	d.address = l.Addr().String()
	l.Close()
	_, port, err := net.SplitHostPort(d.address)
	must(t, err)
	conf := filepath.Join(dir, "dovecot.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, settings, dir, d.uid, d.gid, password, port), 0o644))

	cmd := exec.Command("dovecot", "-F", "-c", conf)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	lines := bufio.NewScanner(log)
	var said strings.Builder
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if strings.Contains(lines.Text(), "starting up") { // it listens by then
			go func() {
				for lines.Scan() {
				}
			}()
			return d
		}
	}
	t.Logf("the share against Dovecot is left out, it does not start: %s", &said)
	return nil
}

func (d *dovecot) mkdir(path string) error {
	return firstOf(os.Mkdir(path, 0o700), os.Chown(path, d.uid, d.gid))
}

// maildrop is one user of a dovecot.
type maildrop struct {
	*dovecot
	name string
}

// provide implements provider.
func (d *dovecot) provide(trial string, n int) (server, func(), error) {
	m := &maildrop{d, trial}
	root := filepath.Join(d.mail, trial)
	err := firstOf(d.mkdir(root), d.mkdir(filepath.Join(root, "tmp")), d.mkdir(filepath.Join(root, "cur")), d.mkdir(filepath.Join(root, "new")))
	for i := range n {
		path := filepath.Join(root, "new", fmt.Sprintf("17000000%03d.M1P1.host", i))
		err = firstOf(err, os.WriteFile(path, compose(i), 0o600))
		err = firstOf(err, os.Chown(path, d.uid, d.gid))
	}
	return m, func() { os.RemoveAll(root) }, err
}

func (m *maildrop) addr() string                { return m.address }
func (m *maildrop) user() string                { return m.name }
func (m *maildrop) on(string, int, func()) bool { return false }

func (m *maildrop) left() (map[int]int, error) {
	got, err := collect(filepath.Join(m.mail, m.name, "new"), filepath.Join(m.mail, m.name, "cur"))
	held := make(map[int]int)
	for i, names := range got.whole {
		held[i] = len(names)
	}
	return held, err
}
