package pop3test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSession(t *testing.T) {
	s := start(t, nil)
	p := dial(t, s)
	p.expect("+OK pop3test ready")
	p.ask("STAT", "-ERR not in this state")
	p.ask("FOO", "-ERR unknown command")
	p.login()
	p.ask("USER alice", "-ERR not in this state")
	p.ask("stat", "+OK 3 50")
	p.ask("LIST", "+OK 3 messages", "1 21", "2 29", "3 0", ".")
	p.ask("LIST 2", "+OK 2 29")
	p.ask("LIST 4", "-ERR no such message")
	p.ask("UIDL", "+OK 3 messages", "1 a", "2 b", "3 c", ".")
	p.ask("UIDL 3", "+OK 3 c")
	p.ask("RETR 1", "+OK 21 octets", "Subject: one", "", "hi.", ".")
	p.ask("RETR 2", "+OK 29 octets", "Subject: two", "", "..dot", "...", "..", ".")
	p.ask("RETR 3", "+OK 0 octets", ".")
	p.ask("RETR 0", "-ERR no such message")
	p.ask("RETR x", "-ERR no such message")
	p.ask("TOP 2 0", "+OK top of message follows", "Subject: two", "", ".")
	p.ask("TOP 2 2", "+OK top of message follows", "Subject: two", "", "..dot", "...", ".")
	p.ask("TOP 2 99", "+OK top of message follows", "Subject: two", "", "..dot", "...", "..", ".")
	p.ask("TOP 2", "-ERR not a number of lines")
	p.ask("TOP 9 1", "-ERR no such message")
	p.ask("NOOP", "+OK done")
	p.ask("DELE 2", "+OK message 2 deleted")
	p.ask("DELE 2", "-ERR no such message")
	p.ask("RETR 2", "-ERR no such message")
	p.ask("LIST 2", "-ERR no such message")
	p.ask("STAT", "+OK 2 21")
	p.ask("UIDL", "+OK 2 messages", "1 a", "3 c", ".")
	p.ask("RSET", "+OK nothing is deleted")
	p.ask("STAT", "+OK 3 50")
	p.ask("QUIT", "+OK bye")
	p.ends("")
	m := s.Users["alice"].Maildrop
	if got := m.Retrieved("b"); got != 1 {
		t.Errorf("b was retrieved %d times", got)
	}
	if m.Sessions() != 1 || s.Sessions() != 1 {
		t.Errorf("%d logins in %d sessions", m.Sessions(), s.Sessions())
	}
}

func uids(m *Maildrop) string {
	var all []string
	for _, msg := range m.Messages() {
		all = append(all, msg.UID)
	}
	return strings.Join(all, " ")
}

func TestDeletionNeedsQuit(t *testing.T) {
	tests := []struct {
		name string
		end  func(p *peer)
		want string
	}{
		{"quit", func(p *peer) { p.ask("QUIT", "+OK bye") }, "b"},
		{"connection closed", func(p *peer) { p.conn.Close() }, "a b c"},
		{"half of QUIT", func(p *peer) { p.raw("QUI"); p.conn.Close() }, "a b c"},
		{"QUIT without CR", func(p *peer) { p.raw("QUIT\n"); p.line(); p.conn.Close() }, "a b c"},
		{"reset", func(p *peer) { p.ask("RSET", "+OK nothing is deleted"); p.ask("QUIT", "+OK bye"); p.conn.Close() }, "a b c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, nil)
			m := s.Users["alice"].Maildrop
			p := loggedIn(t, s)
			p.ask("DELE 1", "+OK message 1 deleted")
			p.ask("DELE 3", "+OK message 3 deleted")
			if got := uids(m); got != "a b c" {
				t.Errorf("before the end: %s", got)
			}
			tt.end(p)
			if tt.name != "quit" { // where the reply promises it already
				s.Wait()
			}
			if got := uids(m); got != tt.want {
				t.Errorf("left are %s, want %s", got, tt.want)
			}
			gone := m.Deleted("a") + m.Deleted("b") + m.Deleted("c")
			if want := 3 - len(strings.Fields(tt.want)); gone != want {
				t.Errorf("%d deletions are counted, want %d", gone, want)
			}
		})
	}
}

func TestQuitBeforeLoginDeletesNothing(t *testing.T) {
	s := start(t, nil)
	p := dial(t, s)
	p.expect("+OK pop3test ready")
	p.ask("QUIT", "+OK bye")
	p.ends("")
	if got := uids(s.Users["alice"].Maildrop); got != "a b c" {
		t.Errorf("left are %s", got)
	}
}

func TestMaildropLock(t *testing.T) {
	s := start(t, func(s *Server) { s.LockWait = -1 })
	first := loggedIn(t, s)
	second := dial(t, s)
	second.expect("+OK pop3test ready")
	second.ask("USER alice", "+OK now the password")
	second.ask("PASS secret", "-ERR [IN-USE] maildrop is in use by another session")
	first.ask("QUIT", "+OK bye")
	second.login()
	if got := s.Users["alice"].Maildrop.Sessions(); got != 2 {
		t.Errorf("%d logins", got)
	}
}

func TestLoginWaitsForSessionThatEnds(t *testing.T) {
	s := start(t, func(s *Server) { s.LockWait = time.Minute })
	first := loggedIn(t, s)
	second := dial(t, s)
	second.expect("+OK pop3test ready")
	second.send("USER alice", "PASS secret")
	first.conn.Close()
	second.expect("+OK now the password", "+OK 3 messages")
}

func TestSessionSeesMaildropOfItsLogin(t *testing.T) {
	s := start(t, nil)
	m := s.Users["alice"].Maildrop
	p := loggedIn(t, s)
	m.Add(Message{Raw: Text("new\n")})
	p.ask("STAT", "+OK 3 50")
	p.ask("RETR 4", "-ERR no such message")
	p.ask("DELE 1", "+OK message 1 deleted")
	p.ask("QUIT", "+OK bye")
	p = loggedIn(t, s)
	p.ask("UIDL", "+OK 3 messages", "1 b", "2 c", "3 uid000004", ".")
}

func TestPipelining(t *testing.T) {
	s := start(t, nil)
	p := loggedIn(t, s)
	if n := s.Pipelined(); n != 0 {
		t.Errorf("%d replies to pipelined commands, none was sent", n)
	}
	p.send("STAT", "RETR 9", "RETR 1", "NOOP", "QUIT", "NOOP")
	p.ends("+OK 3 50\r\n-ERR no such message\r\n" +
		"+OK 21 octets\r\nSubject: one\r\n\r\nhi.\r\n.\r\n+OK done\r\n+OK bye\r\n")
	if n := s.Pipelined(); n == 0 {
		t.Error("the pipelined commands were not noticed")
	}
}

// A command whose second half comes later must not hold up the replies to those
// before it.
func TestReplyDoesNotWaitForHalfCommand(t *testing.T) {
	p := loggedIn(t, start(t, nil))
	p.raw("NOOP\r\nST")
	p.expect("+OK done")
	p.raw("AT\r\n")
	p.expect("+OK 3 50")
}

func TestLongLine(t *testing.T) {
	p := loggedIn(t, start(t, nil))
	p.ask(strings.Repeat("x", maxLine), "-ERR line too long")
	p.ask("NOOP", "+OK done")
}

func TestIdle(t *testing.T) {
	s := start(t, func(s *Server) { s.Idle = 20 * time.Millisecond })
	p := dial(t, s)
	p.expect("+OK pop3test ready")
	p.ends("")
}

func TestLoginDelay(t *testing.T) {
	s := start(t, func(s *Server) { s.LoginDelay = time.Hour })
	p := loggedIn(t, s)
	if got := p.listing("CAPA"); !strings.Contains(got, ";LOGIN-DELAY 3600;") {
		t.Errorf("CAPA: %s", got)
	}
	p.ask("QUIT", "+OK bye")
	p = dial(t, s)
	p.expect("+OK pop3test ready")
	p.ask("USER alice", "+OK now the password")
	p.ask("PASS secret", "-ERR [LOGIN-DELAY] maildrop was visited a moment ago")
}

func TestGeneratedMessage(t *testing.T) {
	const octets = 8 << 20
	line := strings.Repeat("y", 62) + "\r\n"
	s := start(t, nil)
	s.Users["alice"].Maildrop.Add(Message{
		UID:      "big",
		Octets:   octets,
		Generate: func() io.Reader { return strings.NewReader(strings.Repeat(line, octets/len(line))) },
	})
	p := loggedIn(t, s)
	p.ask("LIST 4", "+OK 4 8388608")
	p.ask("RETR 4", "+OK 8388608 octets")
	n, err := io.CopyN(io.Discard, p.in, octets)
	if err != nil {
		t.Fatalf("%d octets, then %v", n, err)
	}
	p.expect(".")
}

func TestCommands(t *testing.T) {
	s := start(t, nil)
	p := loggedIn(t, s)
	p.ask("QUIT", "+OK bye")
	p = dial(t, s)
	p.expect("+OK pop3test ready")
	p.ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "+OK 3 messages")
	p.ask("NOOP", "+OK done")
	first, second := []string{"USER alice", "PASS ***", "QUIT"}, []string{"AUTH PLAIN ***", "NOOP"}
	if got, want := s.Commands(), slices.Concat(first, second); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := s.SessionCommands(2); !slices.Equal(got, second) {
		t.Errorf("session 2: got %q, want %q", got, second)
	}
}

// A client that sends more behind QUIT must still get the reply: an RST for what
// was not read would overtake it.
func TestReplyToQuitSurvivesMoreInput(t *testing.T) {
	p := loggedIn(t, start(t, nil))
	p.raw("QUIT\r\n" + strings.Repeat("NOOP\r\n", 20000))
	p.ends("+OK bye\r\n")
}

func TestCloseEndsSessions(t *testing.T) {
	s := start(t, withFaults(Fault{At: "NOOP", Do: Stall}))
	waiting, stalled := dial(t, s), dial(t, s)
	waiting.expect("+OK pop3test ready")
	stalled.expect("+OK pop3test ready")
	stalled.login()
	stalled.send("DELE 1", "NOOP")
	stalled.expect("+OK message 1 deleted")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	for _, p := range []*peer{waiting, stalled} {
		if got, _ := p.rest(); got != "" {
			t.Errorf("after Close: %q", got)
		}
	}
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("still listening")
	}
	if got := uids(s.Users["alice"].Maildrop); got != "a b c" {
		t.Errorf("left are %s", got)
	}
}

func TestAddr(t *testing.T) {
	s := start(t, nil)
	if got := net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())); got != s.Addr() || s.Host() != "127.0.0.1" {
		t.Errorf("%s and %s", got, s.Addr())
	}
}

func TestStartErrors(t *testing.T) {
	s := start(t, nil)
	if err := s.Start(); err == nil {
		t.Error("started twice")
	}
	other := &Server{Security: ClearText, Listen: s.Addr()}
	if err := other.Start(); err == nil {
		other.Close()
		t.Error("two servers on one port")
	}
	if err := other.Close(); err != nil {
		t.Errorf("Close of a server that never ran: %v", err)
	}
}

func TestUserWithoutMaildrop(t *testing.T) {
	p := loggedIn(t, start(t, func(s *Server) { s.Users["alice"].Maildrop = nil }))
	p.ask("STAT", "+OK 0 0")
	p.ask("UIDL", "+OK 0 messages", ".")
}

func TestText(t *testing.T) {
	if got := Text("a\n\nb"); !bytes.Equal(got, []byte("a\r\n\r\nb")) {
		t.Errorf("%q", got)
	}
}
