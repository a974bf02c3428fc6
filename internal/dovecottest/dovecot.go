//go:build linux

// Package dovecottest runs a real Dovecot as the POP3 server of tests and benchmarks.
//
// The server runs in its own directory and needs no installation beyond Debian's
// package dovecot-pop3d. It serves a Maildir for each user:
//
//	s, err := dovecottest.Start(dovecottest.Options{})
//	defer s.Close()
//	s.AddUser("alice")
//	s.Deliver("alice", "1.M1P1.host", text)
//	// dial s.POP3, log in with dovecottest.Password
package dovecottest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"popfetch/internal/certtest"
)

// Password is that of every user, unless Options.Users says otherwise.
const Password = "correct-horse"

// Missing is why there is no Dovecot that Start could run, "" if there is one.
func Missing() string {
	const install = "(Debian 12: apt-get install dovecot-pop3d)"
	version, err := exec.Command("dovecot", "--version").Output()
	if err != nil {
		return "dovecot is not installed " + install
	}
	if !strings.HasPrefix(string(version), "2.3.") {
		return fmt.Sprintf("dovecot is of version %s, its configuration here is for 2.3", bytes.TrimSpace(version))
	}
	programs, err := exec.Command("doveconf", "-c", "/dev/null", "-h", "libexec_dir").Output()
	if err != nil {
		return fmt.Sprintf("doveconf: %v", err)
	}
	if _, err := exec.LookPath(filepath.Join(string(bytes.TrimSpace(programs)), "pop3")); err != nil {
		return "dovecot has no POP3 " + install
	}
	return ""
}

// MissingLMTP is why Options.LMTP cannot be used, "" if it can.
func MissingLMTP() string { return missingPart("lmtp", "LMTP", "dovecot-lmtpd") }

// MissingIMAP is why Options.IMAP cannot be used, "" if it can.
func MissingIMAP() string { return missingPart("imap", "IMAP", "dovecot-imapd") }

func missingPart(program, protocol, pkg string) string {
	if reason := Missing(); reason != "" {
		return reason
	}
	programs, err := exec.Command("doveconf", "-c", "/dev/null", "-h", "libexec_dir").Output()
	if err != nil {
		return fmt.Sprintf("doveconf: %v", err)
	}
	if _, err := exec.LookPath(filepath.Join(string(bytes.TrimSpace(programs)), program)); err != nil {
		return fmt.Sprintf("dovecot has no %s (Debian 12: apt-get install %s)", protocol, pkg)
	}
	return ""
}

// Options say what server to run. The zero Options give one on 127.0.0.1 in clear text.
type Options struct {
	Dir         string            // for the server's files: short, and open to other users; "" = a new one that Close removes
	Listen      []string          // addresses, 127.0.0.1 among them; nil = that one
	Certificate *tls.Certificate  // for STLS and POP3S; nil = clear text alone
	Users       map[string]string // their passwords; nil = any user, with Password
	IMAP        bool              // serve the same mail by IMAP too, see Server.IMAP and MissingIMAP
	LMTP        bool              // take mail for the users too, see Server.LMTP and MissingLMTP
	Location    string            // mail_location, as Dovecot has it; "" = Maildirs in Server.Mail
	Settings    string            // lines at the end of the configuration, which override others
}

// Server is a Dovecot. AddUser, Deliver, Own and Log may be called by several goroutines
// at once, the other methods not.
type Server struct {
	POP3     string // address on 127.0.0.1
	POP3S    string // "" without Options.Certificate
	IMAP     string // address on 127.0.0.1, "" without Options.IMAP
	IMAPS    string // "" without Options.Certificate too
	LMTP     string // path of a socket, "" without Options.LMTP
	CertFile string // PEM file with the chain of Options.Certificate
	Dir      string
	Mail     string // directory that holds the mail of each user under his name
	UID, GID int    // own all mail: not root, which Dovecot refuses

	options  Options
	conf     string
	ownsDir  bool
	cmd      *exec.Cmd
	unguard  func()        // ends what guard has started; nil without it
	finished chan struct{} // closed when the process has closed its log

	mu  sync.Mutex
	log bytes.Buffer // of all processes so far
}

// Start runs a server and returns when it listens. Close ends it. It works in the network
// namespace of the calling thread.
func Start(o Options) (*Server, error) {
	if reason := Missing(); reason != "" {
		return nil, errors.New(reason)
	}
	s := &Server{options: o, Dir: o.Dir}
	if err := s.prepare(); err != nil {
		s.Close()
		return nil, err
	}
	// Another process may take the ports before Dovecot does.
	var err error
	for range 3 {
		if err = s.configure(); err == nil {
			err = s.run()
		}
		if err == nil {
			return s, nil
		}
	}
	s.Close()
	return nil, err
}

// longestBase is the longest path of a directory for temporary files, in octets, below which
// the sockets of a server have paths that are short enough.
const longestBase = 60

// prepare makes the directory with all that stays the same when the ports change.
func (s *Server) prepare() (err error) {
	owner, err := mailOwner()
	if err != nil {
		return err
	}
	s.UID, _ = strconv.Atoi(owner.Uid)
	s.GID, _ = strconv.Atoi(owner.Gid)
	if s.Dir == "" {
		// Not a t.TempDir: the paths of its sockets may have 108 octets, and parts of
		// the server run as other users.
		base := os.TempDir()
		if len(base) > longestBase {
			base = "/tmp"
		}
		if s.Dir, err = os.MkdirTemp(base, "dovecot"); err != nil {
			return err
		}
		s.ownsDir = true
		if err := os.Chmod(s.Dir, 0o755); err != nil {
			return err
		}
	}
	s.Mail = filepath.Join(s.Dir, "mail")
	if s.options.LMTP {
		s.LMTP = filepath.Join(s.Dir, "run", "lmtp")
	}
	s.conf = filepath.Join(s.Dir, "dovecot.conf")
	if s.options.Certificate != nil {
		s.CertFile = filepath.Join(s.Dir, certtest.CertFile)
		if err := certtest.WriteFiles(s.Dir, *s.options.Certificate); err != nil {
			return err
		}
	}
	if s.options.Users != nil {
		if err := s.writeUsers(); err != nil {
			return err
		}
	}
	return s.mkdir(s.Mail)
}

func (s *Server) writeUsers() error {
	var lines strings.Builder
	for name, password := range s.options.Users {
		fmt.Fprintf(&lines, "%s:{PLAIN}%s::::::\n", name, password)
	}
	path := s.usersFile()
	return os.WriteFile(path, []byte(lines.String()), 0o644)
}

func (s *Server) usersFile() string { return filepath.Join(s.Dir, "users") }

// mailOwner is the user of this process, or nobody in place of root.
func mailOwner() (*user.User, error) {
	me, err := user.Current()
	if err == nil && me.Uid == "0" {
		return user.Lookup("nobody")
	}
	return me, err
}

// run starts the process and returns when it listens, or has ended.
func (s *Server) run() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("dovecot", "-F", "-c", s.conf)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return err
	}
	listens := make(chan struct{})
	finished := make(chan struct{})
	go s.readLog(r, listens, finished)
	select {
	case <-listens:
		s.cmd, s.finished = cmd, finished
		return s.guard()
	case <-finished:
		cmd.Wait()
		return fmt.Errorf("dovecot does not start:\n%s", s.Log())
	}
}

// guard starts a process that waits for the end of this one, however it ends, and then ends
// the server and removes its directory. Pdeathsig would not do: it looks at the thread that
// has started the server, and some of these end early.
func (s *Server) guard() error {
	own := ""
	if s.ownsDir {
		own = s.Dir
	}
	cmd := exec.Command("sh", "-c", `read -r _; kill -9 -- "-$1"; [ -z "$2" ] || rm -rf -- "$2"`, "sh", strconv.Itoa(s.cmd.Process.Pid), own)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the tests
	alive, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.Stop()
		return err
	}
	s.unguard = func() {
		cmd.Process.Kill()
		cmd.Wait()
		alive.Close()
	}
	return nil
}

// readLog collects the log until its end. It closes listens when the process says that it
// is up: it listens by then.
func (s *Server) readLog(r *os.File, listens, finished chan struct{}) {
	defer close(finished)
	defer r.Close()
	up := false
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		s.mu.Lock()
		s.log.Write(append(lines.Bytes(), '\n'))
		s.mu.Unlock()
		if !up && strings.Contains(lines.Text(), "starting up") {
			up = true
			close(listens)
		}
	}
}

// Log is what the server has logged so far. After Shutdown it is complete.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Stop kills the server and its processes. The mail stays.
func (s *Server) Stop() { s.end(syscall.SIGKILL) }

// Shutdown ends the server in the way that lets it write its log to the end, which takes
// it about a second.
func (s *Server) Shutdown() { s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	if s.unguard != nil { // before the number of the process may be that of another one
		s.unguard()
		s.unguard = nil
	}
	pid := s.cmd.Process.Pid
	if signal == syscall.SIGKILL {
		syscall.Kill(-pid, signal)
	} else {
		syscall.Kill(pid, signal)
	}
	s.cmd.Wait()
	syscall.Kill(-pid, syscall.SIGKILL)
	<-s.finished
	s.cmd = nil
}

// Restart ends the server if it runs and starts it again, at the same addresses and with
// the mail that is in Mail now.
func (s *Server) Restart() error {
	s.Stop()
	return s.run()
}

// Close ends the server, and removes its directory unless the caller gave it one.
func (s *Server) Close() error {
	s.Stop()
	if !s.ownsDir {
		return nil
	}
	return os.RemoveAll(s.Dir)
}

// FreePorts returns ports that nobody listens on. They are below those that the system
// gives to programs that ask for any port, as other tests do by the thousand.
func FreePorts(n int) ([]string, error) {
	const low, high = 12000, 32000
	var ports []string
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := strconv.Itoa(low + rand.IntN(high-low))
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			defer l.Close()
			ports = append(ports, port)
		}
	}
	return nil, errors.New("there are no free ports on 127.0.0.1")
}
