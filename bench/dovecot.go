//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
)

// password is that of every user of the server. Any user name will do.
const password = "correct-horse"

// dovecot is a running server in a directory of its own.
type dovecot struct {
	at          namespace // where it lives
	pop3, pop3s string    // ports
	ca          string    // PEM file to trust
	dir         string
	uid, gid    int // who owns all mail

	boxes  int // made so far
	cmd    *exec.Cmd
	logged chan struct{} // closed at the end of the log
	log    bytes.Buffer
}

// dovecotConf is for Dovecot 2.3. Mail must not belong to root, so root leaves
// logins and mail to the users that the package has made, and to nobody. One
// process of each kind serves many sessions, and reading a message leaves no mark.
var dovecotConf = template.Must(template.New("dovecot.conf").Parse(`
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/run
log_path = /dev/stderr
protocols = pop3
listen = {{.Listen}}
{{- if not .Root}}
default_internal_user = {{.User}}
default_internal_group = {{.Group}}
default_login_user = {{.User}}
{{- end}}
first_valid_uid = 1
mail_uid = {{.UID}}
mail_gid = {{.GID}}
mail_home = {{.Dir}}/mail/%u
mail_location = maildir:{{.Dir}}/mail/%u
mail_fsync = never
pop3_no_flag_updates = yes
default_vsz_limit = 8G
disable_plaintext_auth = no
auth_mechanisms = plain
ssl = yes
ssl_cert = <{{.Dir}}/cert.pem
ssl_key = <{{.Dir}}/key.pem
passdb {
  driver = static
  args = password={{.Password}}
}
userdb {
  driver = static
}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
service pop3 {
  process_limit = 1024
  service_count = 0
}
service pop3-login {
  chroot =
  service_count = 0
  process_min_avail = 1
  client_limit = 4000
  inet_listener pop3 {
    port = {{.POP3}}
  }
  inet_listener pop3s {
    port = {{.POP3S}}
  }
}
`))

// startDovecot starts a server that keeps its files in dir, which has to be short and
// open to other users. It listens on the given addresses of a namespace, of which one
// is 127.0.0.1.
func startDovecot(dir string, at namespace, listen ...string) (*dovecot, error) {
	version, err := exec.Command("dovecot", "--version").Output()
	if err != nil || !strings.HasPrefix(string(version), "2.3.") {
		return nil, fmt.Errorf("dovecot 2.3 is needed (Debian 12: apt-get install dovecot-pop3d); there is %q", bytes.TrimSpace(version))
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	root := me.Uid == "0"
	if root {
		if me, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		return nil, err
	}
	var ports []string
	if err := at.do(func() (err error) { ports, err = freePorts(2); return err }); err != nil {
		return nil, err
	}
	d := &dovecot{
		at: at, pop3: ports[0], pop3s: ports[1],
		ca: filepath.Join(dir, "cert.pem"), dir: dir, logged: make(chan struct{}),
	}
	d.uid, _ = strconv.Atoi(me.Uid)
	d.gid, _ = strconv.Atoi(me.Gid)
	if err := writeCertificate(dir); err != nil {
		return nil, err
	}
	var conf bytes.Buffer
	if err := dovecotConf.Execute(&conf, map[string]any{
		"Dir": dir, "Root": root, "User": me.Username, "UID": me.Uid, "Group": group.Name, "GID": me.Gid,
		"Password": password, "POP3": ports[0], "POP3S": ports[1], "Listen": strings.Join(listen, ", "),
	}); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		return nil, err
	}
	if err := d.mkdir(filepath.Join(dir, "mail")); err != nil {
		return nil, err
	}
	return d, d.start(file)
}

// start runs the server and waits until it listens.
func (d *dovecot) start(conf string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	d.cmd = exec.Command("dovecot", "-F", "-c", conf)
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	d.cmd.Stderr = w
	err = d.at.do(d.cmd.Start)
	w.Close()
	if err != nil {
		r.Close()
		return err
	}
	up := make(chan struct{})
	go d.read(r, up)
	select {
	case <-up:
		return nil
	case <-d.logged:
		d.cmd.Wait()
		return fmt.Errorf("dovecot does not start:\n%s", &d.log)
	}
}

// read collects the first 64 KiB of the log, and closes up when the server says that it is.
func (d *dovecot) read(r *os.File, up chan struct{}) {
	defer close(d.logged)
	defer r.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if d.log.Len() < 64<<10 {
			d.log.Write(append(lines.Bytes(), '\n'))
		}
		if up != nil && strings.Contains(lines.Text(), "starting up") {
			close(up)
			up = nil
		}
	}
}

// stop ends the server and all its processes.
func (d *dovecot) stop() {
	syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	d.cmd.Wait()
	<-d.logged
}

func (d *dovecot) own(path string) error { return os.Lchown(path, d.uid, d.gid) }

func (d *dovecot) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return d.own(path)
}

// fill makes a maildrop of a new user with the contents of b, in links to its texts, and
// lets the server index it. It returns the name of the user.
func (d *dovecot) fill(b box) (string, error) {
	texts, err := b.masters(filepath.Join(d.dir, "texts"), d.own)
	if err != nil {
		return "", err
	}
	d.boxes++
	name := fmt.Sprintf("user%d", d.boxes)
	root := filepath.Join(d.dir, "mail", name)
	for _, dir := range []string{root, filepath.Join(root, "tmp"), filepath.Join(root, "new"), filepath.Join(root, "cur")} {
		if err := d.mkdir(dir); err != nil {
			return "", err
		}
	}
	for i := range b.count {
		text := texts[i%len(texts)]
		info, err := os.Stat(text)
		if err != nil {
			return "", err
		}
		// The size in the name saves the server a look into the file.
		if err := os.Link(text, filepath.Join(root, "cur", fmt.Sprintf("17%08d.M1P1.bench,S=%d:2,", i, info.Size()))); err != nil {
			return "", err
		}
	}
	held, err := d.messages(name)
	if err == nil && len(held) != b.count {
		err = fmt.Errorf("the maildrop of %s has %d messages instead of %d", name, len(held), b.count)
	}
	return name, err
}

// holds is how many messages a user has.
func (d *dovecot) holds(user string) (int, error) {
	cur, err := os.Open(filepath.Join(d.dir, "mail", user, "cur"))
	if err != nil {
		return 0, err
	}
	defer cur.Close()
	list, err := cur.Readdirnames(-1)
	return len(list), err
}

// messages is what the server lists to a user.
func (d *dovecot) messages(user string) (held []message, err error) {
	err = d.at.do(func() error {
		held, err = (&drainer{addr: net.JoinHostPort("127.0.0.1", d.pop3), password: password}).messages(user)
		return err
	})
	return held, err
}

// freePorts returns ports that nobody listens on.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
