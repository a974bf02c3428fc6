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

// visit is one session: commands, each with the lines of its reply, and QUIT.
func visit(t *testing.T, s *Server, dialog ...[]string) {
	t.Helper()
	p := loggedIn(t, s)
	for _, d := range dialog {
		p.ask(d[0], d[1:]...)
	}
	p.ask("QUIT", "+OK bye")
	p.ends("")
	p.conn.Close()
}

func TestUniqueIDsThatAreNumbers(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.IDs = NumberIDs })
	visit(t, s, []string{"UIDL", "+OK 3 messages", "1 1", "2 2", "3 3", "."}, []string{"DELE 1", "+OK message 1 deleted"},
		[]string{"UIDL", "+OK 2 messages", "2 2", "3 3", "."})
	visit(t, s, []string{"UIDL 1", "+OK 1 1"}, []string{"LIST", "+OK 2 messages", "1 29", "2 0", "."})
}

func TestUniqueIDsThatShift(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.IDs = PlaceIDs })
	visit(t, s, []string{"UIDL", "+OK 3 messages", "1 place00000001", "2 place00000002", "3 place00000003", "."},
		[]string{"DELE 2", "+OK message 2 deleted"})
	visit(t, s, []string{"UIDL", "+OK 2 messages", "1 place00000001", "2 place00000002", "."}, []string{"LIST 2", "+OK 2 0"})
}

func TestAllUniqueIDsNew(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.NewIDsFrom = 2 })
	visit(t, s, []string{"UIDL 1", "+OK 1 a"})
	for range 2 {
		visit(t, s, []string{"UIDL", "+OK 3 messages", "1 2.a", "2 2.b", "3 2.c", "."})
	}
}

func TestStatusStamp(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.StampStatus = true })
	visit(t, s, []string{"LIST 1", "+OK 1 21"}, []string{"TOP 1 0", "+OK top of message follows", "Subject: one", "", "."})
	visit(t, s, []string{"LIST 1", "+OK 1 32"}, []string{"RETR 1", "+OK 32 octets", "Subject: one", "Status: O", "", "hi.", "."})
	visit(t, s, []string{"LIST 1", "+OK 1 33"}, []string{"TOP 1 0", "+OK top of message follows", "Subject: one", "Status: OR", "", "."})
	visit(t, s, []string{"LIST 1", "+OK 1 33"})
	p := loggedIn(t, s) // no QUIT, no stamp
	p.ask("RETR 2", "+OK 40 octets", "Subject: two", "Status: O", "", "..dot", "...", "..", ".")
	p.conn.Close()
	s.Wait()
	visit(t, s, []string{"LIST 1", "+OK 1 33"})
}

func TestRestamp(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.Restamp = true })
	visit(t, s, []string{"TOP 1 0", "+OK top of message follows", "Subject: one", "", "."})
	s.Users["alice"].Maildrop.Add(Message{UID: "d", Raw: Text("Subject: new\n\n")})
	visit(t, s, []string{"TOP 1 0", "+OK top of message follows", "Subject: one", "X-Scanned: in session 2", "", "."},
		[]string{"TOP 4 0", "+OK top of message follows", "Subject: new", "", "."})
	visit(t, s, []string{"TOP 1 0", "+OK top of message follows", "Subject: one", "X-Scanned: in session 3", "", "."})
}

func TestTopThatShowsAnotherField(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.TopField = true })
	visit(t, s, []string{"TOP 1 0", "+OK top of message follows", "X-Top: shown by TOP alone", "Subject: one", "", "."},
		[]string{"RETR 1", "+OK 21 octets", "Subject: one", "", "hi.", "."})
}

func TestBatches(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.Batch = 2 })
	visit(t, s, []string{"STAT", "+OK 2 50"}, []string{"UIDL", "+OK 2 messages", "1 a", "2 b", "."},
		[]string{"RETR 1", "+OK 21 octets", "Subject: one", "", "hi.", "."}, []string{"UIDL", "+OK 2 messages", "1 a", "2 b", "."})
	visit(t, s, []string{"UIDL", "+OK 2 messages", "1 b", "2 c", "."}, []string{"RETR 2", "+OK 0 octets", "."})
	visit(t, s, []string{"UIDL", "+OK 1 messages", "1 b", "."})
	if n := len(s.Users["alice"].Maildrop.Messages()); n != 3 {
		t.Errorf("%d messages are left", n)
	}
}

func TestEstimatedOctets(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.EstimateOctets = true })
	visit(t, s, []string{"STAT", "+OK 3 2048"}, []string{"LIST 1", "+OK 1 1024"},
		[]string{"RETR 1", "+OK 21 octets", "Subject: one", "", "hi.", "."}, []string{"LIST 1", "+OK 1 1024"})
	visit(t, s, []string{"LIST", "+OK 3 messages", "1 21", "2 1024", "3 0", "."})
}

func TestOctetsCountedWithLF(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.CountLF = true })
	s.Users["alice"].Maildrop.Add(Message{Raw: []byte("Subject: no end\r\n\r\nx")})
	visit(t, s, []string{"STAT", "+OK 4 61"}, []string{"LIST 1", "+OK 1 18"}, []string{"LIST 4", "+OK 4 19"},
		[]string{"RETR 1", "+OK 18 octets", "Subject: one", "", "hi.", "."})
}

func TestListWithoutOctets(t *testing.T) {
	s := start(t, func(s *Server) { s.Habits.NoOctets = true })
	visit(t, s, []string{"LIST", "+OK 3 messages", "1 ?", "2 ?", "3 ?", "."}, []string{"LIST 2", "+OK 2 ?"})
}

func TestListingsOfAnEmptyMaildrop(t *testing.T) {
	for habit, want := range map[EmptyListing][]string{
		EmptyWithDot: {"+OK 0 messages", "."},
		EmptyRefused: {"-ERR no messages"},
		EmptyDotless: {"+OK no messages"},
	} {
		s := start(t, func(s *Server) { s.Habits.Empty = habit })
		visit(t, s, []string{"UIDL", "+OK 3 messages", "1 a", "2 b", "3 c", "."})
		s.Users["alice"].Maildrop.Remove("a", "b", "c")
		visit(t, s, append([]string{"UIDL"}, want...), append([]string{"LIST"}, want...), []string{"STAT", "+OK 0 0"})
	}
}

func TestCloseAfterRefusedRetr(t *testing.T) {
	s := start(t, func(s *Server) {
		s.Habits.CloseAfterRefusedRetr = true
		s.Faults = []Fault{{At: "RETR 2", Do: Err, Text: "no"}}
	})
	for command, want := range map[string]string{"RETR 2": "-ERR no\r\n", "RETR 9": "-ERR no such message\r\n"} {
		p := loggedIn(t, s)
		p.ask("DELE 1", "+OK message 1 deleted")
		p.send(command, "NOOP")
		p.ends(want)
		p.conn.Close()
	}
	s.Wait()
	visit(t, s, []string{"UIDL 1", "+OK 1 a"})
}

func TestRestoreFromABackup(t *testing.T) {
	drop := NewMaildrop(Message{Raw: Text("one\n")})
	s := start(t, func(s *Server) { s.Users["alice"].Maildrop = drop })
	backup := drop.Snapshot()
	drop.Add(Message{Raw: Text("two\n")})
	visit(t, s, []string{"RETR 2", "+OK 5 octets", "two", "."}, []string{"DELE 1", "+OK message 1 deleted"})
	for range 2 {
		drop.Restore(backup)
		drop.Add(Message{Raw: Text("another\n")})
		visit(t, s, []string{"UIDL", "+OK 2 messages", "1 uid000001", "2 uid000002", "."}, []string{"RETR 2", "+OK 9 octets", "another", "."},
			[]string{"DELE 1", "+OK message 1 deleted"})
	}
	if drop.Retrieved("uid000002") != 3 || drop.Deleted("uid000001") != 3 {
		t.Errorf("%d retrieved, %d deleted", drop.Retrieved("uid000002"), drop.Deleted("uid000001"))
	}
}

func TestAnotherClientDeletes(t *testing.T) {
	s := start(t, nil)
	drop := s.Users["alice"].Maildrop
	p := loggedIn(t, s)
	if n := drop.Remove("b", "nothing"); n != 1 {
		t.Errorf("%d removed", n)
	}
	p.ask("UIDL 2", "+OK 2 b")
	p.ask("QUIT", "+OK bye")
	visit(t, s, []string{"UIDL", "+OK 2 messages", "1 a", "2 c", "."})
	if n := drop.Deleted("b"); n != 0 {
		t.Errorf("%d deleted by an UPDATE", n)
	}
}
