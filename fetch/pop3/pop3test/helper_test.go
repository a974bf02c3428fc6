package pop3test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// threeMessages has the octets 21, 29 and 0.
func threeMessages() *Maildrop {
	return NewMaildrop(
		Message{UID: "a", Raw: Text("Subject: one\n\nhi.\n")},
		Message{UID: "b", Raw: Text("Subject: two\n\n.dot\n..\n.\n")},
		Message{UID: "c"},
	)
}

// start runs a server for alice, in clear text unless change says otherwise.
func start(t *testing.T, change func(*Server)) *Server {
	t.Helper()
	s := &Server{
		Security: ClearText,
		Users:    map[string]*User{"alice": {Password: "secret", Maildrop: threeMessages()}},
		Log:      t.Logf,
	}
	if change != nil {
		change(s)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func withFaults(faults ...Fault) func(*Server) {
	return func(s *Server) { s.Faults = faults }
}

// peer is a client that knows nothing of POP3.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, s *Server) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if s.Security == ImplicitTLS {
		conn = tls.Client(conn, &tls.Config{RootCAs: s.CA(), ServerName: "localhost"})
	}
	return newPeer(t, conn)
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, conn: conn, in: bufio.NewReader(conn)}
}

// loggedIn is a peer in the TRANSACTION state.
func loggedIn(t *testing.T, s *Server) *peer {
	t.Helper()
	p := dial(t, s)
	p.expect("+OK pop3test ready")
	p.login()
	return p
}

func (p *peer) login() {
	p.t.Helper()
	p.ask("USER alice", "+OK now the password")
	p.send("PASS secret")
	if line := p.line(); !strings.HasPrefix(line, "+OK ") {
		p.t.Fatalf("PASS: %q", line)
	}
}

// send sends lines in one write.
func (p *peer) send(lines ...string) {
	p.t.Helper()
	p.raw(strings.Join(lines, "\r\n") + "\r\n")
}

func (p *peer) raw(octets string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, octets); err != nil {
		p.t.Fatal(err)
	}
}

// line reads a line that must end with CRLF.
func (p *peer) line() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Fatalf("read: %q, %v", line, err)
	}
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		p.t.Fatalf("no CRLF: %q", line)
	}
	return line
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.line(); got != w {
			p.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// ask sends a command and expects these lines.
func (p *peer) ask(command string, want ...string) {
	p.t.Helper()
	p.send(command)
	p.expect(want...)
}

// rest reads up to the end of the connection, and returns why it ended.
func (p *peer) rest() (string, error) {
	p.t.Helper()
	all, err := io.ReadAll(p.in)
	return string(all), err
}

// ends expects exactly these octets and then a connection that ends in good
// order.
func (p *peer) ends(want string) {
	p.t.Helper()
	if got, err := p.rest(); got != want || err != nil {
		p.t.Fatalf("got %q and %v, want %q and no error", got, err, want)
	}
}

// octets reads exactly len(want) octets and compares them with want.
func (p *peer) octets(want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.in, got); err != nil || string(got) != want {
		p.t.Fatalf("got %q and %v, want %q", got[:n], err, want)
	}
}
