//go:build linux

// Package servertest runs real POP3 servers, and Postfix, without installing them.
//
// It unpacks their Debian packages below the user's cache directory. Each server runs in a
// mount namespace, in which these files overlay those of the system. That needs root.
// Dovecot alone is the installed one, see package dovecottest.
package servertest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"popfetch/internal/certtest"
	"popfetch/internal/dovecottest"
)

// Password is that of every user.
const Password = "correct-horse"

// Users returns the users of every server. Each has their own maildrop.
func Users() []string { return []string{"anna", "bert", "carl", "dora", "emil", "fritz"} }

// Software is a POP3 server in Debian.
type Software struct {
	Name     string
	Packages string // of Debian, with spaces between them; "" = installed, and runs without a jail
	Quick    bool   // starts within a second or two
	Locks    bool   // refuses a second session with a maildrop, as RFC 1939 section 4 wants
	TOP      bool
	STLS     bool
	POP3S    bool
	Stamps   bool // changes the header of a message that was read, and so its size

	start func(*Server) error
	put   func(s *Server, user, name string, text []byte) error
}

// Server is a running server.
type Server struct {
	Software
	POP3     string // address
	POP3S    string // "" if Software.POP3S is not set
	CertFile string // PEM file to trust; the certificate is for localhost

	*jail
	dir     string
	dovecot *dovecottest.Server
}

// ErrNoPackages is what Start returns, wrapped, if the packages cannot be downloaded.
var ErrNoPackages = errors.New("the packages cannot be had")

// Missing returns why no server can run here, "" if they can.
func Missing() string {
	if os.Getuid() != 0 {
		return "mount namespaces need root"
	}
	if _, err := os.Stat("/usr/bin/apt-get"); err != nil {
		return "apt-get is needed for the packages"
	}
	return ""
}

// Start runs a server and returns when it answers. Close ends it.
func (w Software) Start() (*Server, error) {
	packages, err := w.files()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", w.Name, ErrNoPackages, err)
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	s := &Server{Software: w, dir: dir, CertFile: filepath.Join(dir, certtest.CertFile)}
	if err := s.prepare(packages); err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", w.Name, err)
	}
	return s, nil
}

// files returns the directory with the files of the packages, "" if there are none.
func (w Software) files() (string, error) {
	if w.Packages != "" {
		return unpack(strings.Fields(w.Packages)...)
	}
	if reason := dovecottest.Missing(); reason != "" {
		return "", errors.New(reason)
	}
	return "", nil
}

// newDir makes the directory that a server shares with the test. All users can read it. It has
// the files of a certificate.
func newDir() (string, error) {
	certificate, err := certtest.SelfSigned(certtest.Localhost())
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "server") // short, because it will hold sockets
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.Chmod(dir, 0o755), certtest.WriteFiles(dir, certificate)); err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

func (s *Server) prepare(packages string) error {
	ports, err := dovecottest.FreePorts(2)
	if err != nil {
		return err
	}
	s.POP3 = net.JoinHostPort("127.0.0.1", ports[0])
	if s.Software.POP3S {
		s.POP3S = net.JoinHostPort("127.0.0.1", ports[1])
	}
	if packages != "" {
		if s.jail, err = newJail(s.dir, packages); err != nil {
			return err
		}
		if err := s.addUsers(); err != nil {
			return err
		}
	}
	if err := s.start(s); err != nil {
		return explain(err, s.Log())
	}
	for _, addr := range []string{s.POP3, s.POP3S} {
		if err := s.answers(addr); err != nil {
			return explain(err, s.Log())
		}
	}
	return nil
}

// addUsers makes the users in the jail. All have the same number.
func (s *Server) addUsers() error {
	var script strings.Builder
	fmt.Fprintf(&script, "mkdir -p %s/home\n", s.dir)
	for _, user := range Users() {
		home := filepath.Join(s.dir, "home", user)
		fmt.Fprintf(&script, "useradd --non-unique --uid %d --gid mail --home-dir %s --create-home --shell /bin/sh %s\necho %[3]s:%s | chpasswd --crypt-method SHA512\n", mailUser, home, user, Password)
	}
	return s.sh(script.String())
}

// answers waits until the server greets at an address, a minute at most. No daemon here
// says when it is ready, so this keeps trying.
func (s *Server) answers(addr string) error {
	var last error
	for end := time.Now().Add(time.Minute); addr != "" && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			last = err
			continue
		}
		if addr == s.POP3S { // speaks only after the client
			conn.Close()
			return nil
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		line, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if strings.HasPrefix(line, "+OK") {
			return nil
		}
		last = fmt.Errorf("the greeting is %q, %v", line, err)
	}
	return last
}

// Log is what the programs of the server have written to their output.
func (s *Server) Log() string {
	if s.jail == nil && s.dovecot != nil {
		return s.dovecot.Log()
	}
	return logIn(s.dir)
}

// logIn returns what the programs of a jail have written into its directory.
func logIn(dir string) string {
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return string(log)
}

// explain adds the end of the log of a server to an error.
func explain(err error, log string) error {
	if err != nil && log != "" {
		return fmt.Errorf("%w; it says:\n%s", err, log[max(0, len(log)-2000):])
	}
	return err
}

// Deliver puts a message, its lines ended by LF, into a maildrop. name has to differ from
// those of all other messages. No session may be using the maildrop.
func (s *Server) Deliver(user, name string, text []byte) error { return s.put(s, user, name, text) }

// Stamped reports whether the server has marked a message of a user as read, in its header.
func (s *Server) Stamped(user string) (bool, error) {
	mail, err := os.ReadFile(filepath.Join(s.spool(), user))
	return bytes.Contains(mail, []byte("\nStatus: OR\n")), err
}

// Close ends the server.
func (s *Server) Close() {
	if s.jail != nil {
		s.jail.close()
	}
	if s.dovecot != nil {
		s.dovecot.Close()
	}
	os.RemoveAll(s.dir)
}

// file is the path of a new file in the directory that the server shares with the test.
func (s *Server) file(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
