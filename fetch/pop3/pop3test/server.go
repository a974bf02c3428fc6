package pop3test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Security says how connections are protected.
type Security uint8

const (
	// ImplicitTLS starts TLS at once (RFC 8314 section 3.3).
	ImplicitTLS Security = iota
	// StartTLS offers the STLS command (RFC 2595 section 4). A client need not use
	// it; Commands has what it sends in clear text.
	StartTLS
	// ClearText has no TLS.
	ClearText
)

// Server is a POP3 server on a loopback address. The exported fields are set
// before Start and not changed afterwards; the methods may be called from any
// goroutine once Start has returned. The zero value serves nobody over implicit
// TLS.
type Server struct {
	// Listen is the TCP address to listen on, "127.0.0.1:0" when empty. With InMemory
	// only Dial reaches the server.
	Listen string
	// Users maps user names, which are compared octet by octet.
	Users map[string]*User
	// Security is ImplicitTLS by default.
	Security Security
	// TLS replaces the server's own certificate (see CA) and settings.
	TLS *tls.Config
	// Without names what is neither announced nor served: capabilities such as
	// "UIDL", "TOP", "CAPA", "STLS", "USER", "SASL", "RESP-CODES", "PIPELINING"
	// (that one is only not announced), and any other command.
	Without []string
	// SASL lists the mechanisms served, of PLAIN, LOGIN, CRAM-MD5, XOAUTH2,
	// OAUTHBEARER, EXTERNAL and SCRAM-SHA-1 and -256, with and without -PLUS. The first
	// three when nil, none when empty.
	SASL []string
	// Iterations are those of SCRAM, 4096 when 0.
	Iterations int
	// Timestamp puts a timestamp into the greeting and so offers APOP.
	Timestamp bool
	// LateCapa names capabilities that are announced only after login.
	LateCapa []string
	// Expire, if not empty, is the parameter of EXPIRE after the login, and is announced
	// before it as different for each user.
	Expire string
	// LoginDelay, if above 0, is announced as LOGIN-DELAY and enforced between two
	// logins to a maildrop (RFC 2449 section 6.5).
	LoginDelay time.Duration
	// Idle is how long a client may be silent, 10 minutes when 0 (RFC 1939
	// section 3, autologout timer).
	Idle time.Duration
	// LockWait is how long a login waits for a maildrop that another session
	// holds, before the server refuses it with [IN-USE]: half a second when 0, not
	// at all when negative. A session whose client has just gone notices it in
	// this time.
	LockWait time.Duration
	// Habits is what the server does in every session.
	Habits Habits
	// Faults are what goes wrong. Several may strike the same reply.
	Faults []Fault
	// Log, if not nil, gets every line of every session, with "***" in place of
	// secrets. It is called from several goroutines.
	Log func(format string, args ...any)

	listener net.Listener
	config   *tls.Config
	running  sync.WaitGroup
	closing  chan struct{} // closed by Close

	mu        sync.Mutex
	closed    bool
	faults    []*armed
	open      map[net.Conn]bool
	ended     sync.Cond
	accepted  int
	pipelined int
	record    []record
}

// InMemory as Server.Listen stands for no address. All goroutines of such a server may run in
// a bubble of testing/synctest.
const InMemory = "memory"

// User is somebody who may log in.
type User struct {
	Password string
	Token    string    // for XOAUTH2 and OAUTHBEARER; "" = none is accepted
	Maildrop *Maildrop // nil = an empty one, made by Start
}

// record is one line of a client.
type record struct {
	session int
	line    string
}

// Start listens and serves until Close.
func (s *Server) Start() error {
	if s.listener != nil {
		return errors.New("start pop3test server: it was started before")
	}
	for _, u := range s.Users {
		if u.Maildrop == nil {
			u.Maildrop = NewMaildrop()
		}
	}
	if s.Security != ClearText {
		config, err := serverTLS(s.TLS)
		if err != nil {
			return err
		}
		s.config = config
	}
	l, err := listen(s.Listen)
	if err != nil {
		return fmt.Errorf("start pop3test server: %w", err)
	}
	s.listener = l
	s.closing = make(chan struct{})
	s.open = make(map[net.Conn]bool)
	s.ended.L = &s.mu
	s.SetFaults(s.Faults...)
	if s.Listen != InMemory {
		s.running.Go(s.accept)
	}
	return nil
}

func listen(address string) (net.Listener, error) {
	switch address {
	case InMemory:
		return nowhere{}, nil
	case "":
		address = "127.0.0.1:0"
	}
	return net.Listen("tcp", address)
}

// Addr returns host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Host returns the host part of Addr.
func (s *Server) Host() string { return s.listener.Addr().(*net.TCPAddr).IP.String() }

// Port returns the port part of Addr.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// CA returns a pool with the server's certificate, which is for 127.0.0.1, ::1 and
// localhost. With ClearText the pool is empty.
func (s *Server) CA() *x509.CertPool { return caPool(s.config) }

// CertPEM returns the same certificate as PEM, for a file.
func (s *Server) CertPEM() []byte { return certPEM(s.config) }

// SetFaults replaces Faults for the sessions that begin afterwards.
func (s *Server) SetFaults(faults ...Fault) {
	all := make([]*armed, len(faults))
	for i, f := range faults {
		all[i] = &armed{Fault: f}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = all
}

// Close stops listening, cuts every session without UPDATE, and returns when
// no goroutine of the server is left. It may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.listener == nil || s.closed {
		s.mu.Unlock()
		s.running.Wait()
		return nil
	}
	s.closed = true
	close(s.closing)
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.running.Wait()
	return err
}

// Wait returns when no session is open: then nothing that a client has sent has an
// effect any more.
func (s *Server) Wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.open) > 0 {
		s.ended.Wait()
	}
}

// Sessions returns how many connections were accepted so far.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Commands returns what all clients sent, line by line in the order of
// arrival, without line ends. Passwords, APOP digests and SASL responses
// read "***".
func (s *Server) Commands() []string {
	return s.lines(func(record) bool { return true })
}

// SessionCommands returns what Commands does for the nth session, from 1.
func (s *Server) SessionCommands(n int) []string {
	return s.lines(func(r record) bool { return r.session == n })
}

func (s *Server) lines(want func(record) bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, r := range s.record {
		if want(r) {
			lines = append(lines, r.line)
		}
	}
	return lines
}

// Pipelined returns how many replies were sent after the next command had arrived. It is
// at least 1 after a client has sent two commands in one write.
func (s *Server) Pipelined() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pipelined
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.serve(conn.(*net.TCPConn))
	}
}

// serve begins a session on a connection. It returns false if the server is closed.
func (s *Server) serve(conn transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return false
	}
	s.accepted++
	s.open[conn] = true
	ses := newSession(s, s.accepted, conn, s.faults)
	s.running.Go(func() {
		ses.run()
		conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, conn)
		s.ended.Broadcast()
	})
	return true
}

func (s *Server) lockWait() time.Duration {
	if s.LockWait == 0 {
		return 500 * time.Millisecond
	}
	return max(s.LockWait, 0)
}

// lacks reports whether Without names the capability or command.
func (s *Server) lacks(name string) bool { return slices.Contains(s.Without, name) }

func (s *Server) logf(session int, format string, args ...any) {
	if s.Log != nil {
		s.Log("%d %s", session, fmt.Sprintf(format, args...))
	}
}

func (s *Server) note(session int, line string) {
	s.mu.Lock()
	s.record = append(s.record, record{session, line})
	s.mu.Unlock()
	s.logf(session, "C: %s", line)
}
