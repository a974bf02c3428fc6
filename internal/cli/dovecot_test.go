//go:build linux

package cli_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// TestDovecot runs the program as a process of its own against a real Dovecot,
// and into real programs. Each test has a server for itself.
func TestDovecot(t *testing.T) {
	needsDovecot(t)
	bin := buildPopfetch(t)
	for _, x := range []struct {
		name string
		test func(*testing.T, executable)
	}{
		{"maildir", testMaildir},
		{"connections", testConnections},
		{"keep for a time", testKeepFor},
		{"three accounts", testThreeAccounts},
		{"200 accounts", testManyAccounts},
		{"procmail", testProcmail},
		{"maildrop", testMaildrop},
		{"mda says later", testMDALater},
		{"mda says never", testMDANever},
		{"mechanisms", testMechanisms},
		{"wrong password", testWrongPassword},
		{"certificate for another name", testWrongName},
		{"server without TLS", testNoTLS},
		{"kill", testKill},
		{"kill in mda", testKillInMDA},
		{"two at once", testTwoAtOnce},
	} {
		t.Run(x.name, func(t *testing.T) { x.test(t, bin) })
	}
}

// needs skips the test where a program is missing that a package of Debian has.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (Debian: apt-get install %s)", program, pkg)
	}
}

// needsDovecot skips the test where there is no Dovecot with POP3, or one of another
// version than the configuration below is for.
func needsDovecot(t *testing.T) {
	t.Helper()
	needs(t, "dovecot", "dovecot-pop3d")
	version, err := exec.Command("dovecot", "--version").Output()
	must(t, err)
	if !strings.HasPrefix(string(version), "2.3.") {
		t.Skipf("dovecot is of version %s; these tests have a configuration for 2.3", bytes.TrimSpace(version))
	}
	programs, err := exec.Command("doveconf", "-c", "/dev/null", "-h", "libexec_dir").Output()
	must(t, err)
	needs(t, filepath.Join(string(bytes.TrimSpace(programs)), "pop3"), "dovecot-pop3d")
}

// serverName is what the certificate of a dovecot is valid for, beside 127.0.0.1.
const serverName = "pop.example.org"

// password is that of every user of a dovecot. Any user name will do.
const password = "correct-horse"

// dovecot is a running server.
type dovecot struct {
	POP3, POP3S string // addresses; POP3S is "" without TLS
	CA          string // PEM file to trust
	mail        string // holds a Maildir for each user
	uid, gid    int    // who owns all that is in it

	cmd    *exec.Cmd
	logged chan struct{} // closed when log is complete
	log    bytes.Buffer
	ended  sync.Once
}

// dovecotConf is the configuration of a server that runs in a directory of its
// own, under the user who runs the test. That must not be root for logins and
// mail: those are left to the users that the package has made, and to nobody.
var dovecotConf = template.Must(template.New("dovecot.conf").Parse(`
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/run
log_path = /dev/stderr
protocols = pop3
listen = 127.0.0.1
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
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 apop
auth_failure_delay = 0
auth_verbose = yes
passdb {
  driver = static
  args = password={{.Password}}
}
userdb {
  driver = static
}
{{- if .POP3S}}
ssl = yes
ssl_cert = <{{.Dir}}/cert.pem
ssl_key = <{{.Dir}}/key.pem
{{- else}}
ssl = no
{{- end}}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
service pop3-login {
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener pop3 {
    port = {{.POP3}}
  }
  inet_listener pop3s {
    port = {{or .POP3S 0}}
  }
}
`))

// startDovecot starts a server that lives as long as the test.
func startDovecot(t *testing.T, withTLS bool) *dovecot {
	t.Helper()
	me, err := user.Current()
	must(t, err)
	root := me.Uid == "0"
	if root {
		me, err = user.Lookup("nobody")
		must(t, err)
	}
	group, err := user.LookupGroupId(me.Gid)
	must(t, err)
	// Other users run parts of the server, and the paths of its sockets have
	// to be short: t.TempDir is neither open nor short.
	dir, err := os.MkdirTemp("", "dovecot")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	d := &dovecot{CA: filepath.Join(dir, "cert.pem"), mail: filepath.Join(dir, "mail")}
	d.uid, err = strconv.Atoi(me.Uid)
	must(t, err)
	d.gid, err = strconv.Atoi(me.Gid)
	must(t, err)
	d.mkdir(t, d.mail)
	writeCertificate(t, dir)

	// Somebody else may take the ports before the server does.
	for range 3 {
		ports := freePorts(t, 2)
		d.POP3 = net.JoinHostPort("127.0.0.1", ports[0])
		if withTLS {
			d.POP3S = net.JoinHostPort("127.0.0.1", ports[1])
		} else {
			ports[1] = ""
		}
		var conf bytes.Buffer
		must(t, dovecotConf.Execute(&conf, map[string]any{
			"Dir": dir, "Root": root, "User": me.Username, "UID": me.Uid, "Group": group.Name, "GID": me.Gid,
			"Password": password, "POP3": ports[0], "POP3S": ports[1],
		}))
		file := filepath.Join(dir, "dovecot.conf")
		must(t, os.WriteFile(file, conf.Bytes(), 0o644))
		if d.start(t, file) {
			t.Cleanup(func() {
				if t.Failed() {
					log := d.wholeLog()
					t.Logf("the end of the server's log:\n%s", log[max(0, len(log)-4096):])
				}
				d.end(syscall.SIGKILL)
			})
			return d
		}
	}
	t.Fatalf("dovecot does not start:\n%s", &d.log)
	return nil
}

// start runs the server and waits until it listens.
func (d *dovecot) start(t *testing.T, conf string) bool {
	d.cmd = exec.Command("dovecot", "-F", "-c", conf)
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	must(t, err)
	d.cmd.Stderr = w
	must(t, d.cmd.Start())
	w.Close()
	up := make(chan struct{})
	d.logged = make(chan struct{})
	go d.read(r, up)
	select {
	case <-up:
		return true
	case <-d.logged:
		d.cmd.Wait()
		return false
	}
}

// read collects the log and closes up when the server says that it is: it
// listens by then.
func (d *dovecot) read(r *os.File, up chan struct{}) {
	defer close(d.logged)
	defer r.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		d.log.Write(append(lines.Bytes(), '\n'))
		if up != nil && strings.Contains(lines.Text(), "starting up") {
			close(up)
			up = nil
		}
	}
}

// end ends the server and all its processes.
func (d *dovecot) end(s syscall.Signal) {
	d.ended.Do(func() {
		to := d.cmd.Process.Pid
		if s == syscall.SIGKILL {
			to = -to
		}
		syscall.Kill(to, s)
		d.cmd.Wait()
		syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.logged
	})
}

// wholeLog ends the server in the way that lets it write its log to the end, which
// takes it a second.
func (d *dovecot) wholeLog() string {
	d.end(syscall.SIGTERM)
	return d.log.String()
}

// Log ends the server and returns the lines of its whole log that hold all of
// words.
func (d *dovecot) Log(words ...string) []string {
	var found []string
lines:
	for line := range strings.Lines(d.wholeLog()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

// freePorts returns ports that nobody listens on. They are below those that the
// system gives to whoever asks for any port, as other tests do by the thousand.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	const low, high = 12000, 32000
	var ports []string
	for range 1000 {
		if len(ports) == n {
			return ports
		}
		port := strconv.Itoa(low + mathrand.IntN(high-low))
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			defer l.Close()
			ports = append(ports, port)
		}
	}
	t.Fatal("there are no free ports on 127.0.0.1")
	return nil
}

// writeCertificate makes cert.pem and key.pem in dir.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: serverName},
		DNSNames:     []string{serverName},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: private},
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
