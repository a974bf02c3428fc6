// Package pop3test is a POP3 server for tests that runs in the process of the test, as
// net/http/httptest does for HTTP.
//
// Server is complete: it has the session states, the exclusive lock and the UPDATE of
// RFC 1939, CAPA (RFC 2449), STLS (RFC 2595), response codes (RFC 3206) and AUTH
// (RFC 5034), over implicit TLS, STLS or clear text. A Fault is what no real server does
// on demand: it names a point of a session and what goes wrong there. Habits are
// deviations that some real servers show in every session.
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
// Commands, Maildrop.Retrieved, Maildrop.Deleted and Maildrop.Messages return what the
// client has done. The server deletes messages before it answers QUIT, and unlocks a
// maildrop before it ends the session, so that a test needs no sleep. After a client
// has just gone away, Wait waits for the server.
package pop3test
