// Package pop3test is a POP3 server for tests, in the process of the test, as
// net/http/httptest is for HTTP.
//
// Server is a complete one: the session states, the exclusive lock and the UPDATE
// of RFC 1939, CAPA (RFC 2449), STLS (RFC 2595), response codes (RFC 3206) and
// AUTH (RFC 5034), over implicit TLS, STLS or clear text. What no real server does
// on demand is a Fault: it names a point of a session and what goes wrong there. What servers of some
// kind do all the time, and others do not, is in Habits.
//
//	s := &pop3test.Server{
//		Security: pop3test.ClearText,
//		Users: map[string]*pop3test.User{"alice": {
//			Password: "secret",
//			Maildrop: pop3test.NewMaildrop(pop3test.Message{Raw: pop3test.Text("Subject: hi\n\nhi\n")}),
//		}},
//		Faults: []pop3test.Fault{
//			{At: "RETR 1", Session: 1, Do: pop3test.Drop, After: 20},
//		},
//	}
//	if err := s.Start(); err != nil {
//		…
//	}
//	defer s.Close()
//
// Commands, Maildrop.Retrieved, Maildrop.Deleted and Maildrop.Messages tell
// afterwards what the client has done. A message is deleted before QUIT is
// answered, and a maildrop is free before its session is seen to end, so that a
// test needs no sleep. Where a client just goes away, Wait waits for the server.
package pop3test
