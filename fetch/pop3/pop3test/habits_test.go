package pop3test

import "testing"

func TestDropBehindLogin(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.DropBehindLogin = true })
	p := dial(t, s)
	p.expect("+OK pop3test ready")
	p.send("USER alice", "PASS wrong", "NOOP", "USER alice", "PASS secret", "UIDL", "LIST")
	p.expect("+OK now the password", "-ERR [AUTH] wrong user name or password", "-ERR not in this state",
		"+OK now the password", "+OK 3 messages")
	p.ask("STAT", "+OK 3 50")
}
