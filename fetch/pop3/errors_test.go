package pop3

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

func TestErrorTexts(t *testing.T) {
	refused := &ResponseError{Command: "PASS", Code: AuthCode, Text: "[AUTH] no"}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&ResponseError{Command: "RETR 12", Text: "no such message"}, `RETR 12: server said "-ERR no such message"`},
		{refused, `PASS: server said "-ERR [AUTH] no"`},
		{&AuthError{Method: "user", User: "bob", Err: refused}, `log in as "bob" with method user: PASS: server said "-ERR [AUTH] no"`},
		{&AuthError{Method: "x", Err: io.EOF}, `log in with method x: EOF`},
		{&AuthError{User: "a\nb", Err: io.EOF}, `log in as "a\nb": EOF`},
		{&ProtocolError{Command: "STAT", Line: "+OK", Reason: "no numbers"}, `STAT: no numbers: server said "+OK"`},
		{&ProtocolError{Command: "STAT", Reason: "no numbers"}, `STAT: no numbers`},
		{&LineError{Command: "UIDL", Line: "2\x1b", Reason: "no unique-id"}, `UIDL: no unique-id: server said "2\x1b"`},
		{&TLSError{Host: "h", Err: io.EOF}, `secure the connection to h: EOF`},
		{&StateError{Command: "RETR", State: Authorization}, `RETR: not allowed in state AUTHORIZATION`},
		{&StateError{Command: "DELE", State: Transaction, During: "RETR"}, `DELE: not allowed inside a loop over RETR`},
		{&brokenError{command: "QUIT", cause: io.EOF}, `QUIT: not sent, connection out of step after: EOF`},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	long := (&ResponseError{Command: "NOOP", Text: strings.Repeat("x", 1<<20)}).Error()
	if len(long) > 1100 {
		t.Errorf("%d octets", len(long))
	}
}

// Dial takes the server's name from the address, and closes a connection after an error.
func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 2)
	go func() {
		for _, script := range []string{"S: +OK hello\x1b\nC: QUIT\nS: +OK", "S: -ERR full"} {
			conn, err := l.Accept()
			if err == nil {
				err = peer{script: script}.play(conn)
			}
			served <- err
		}
	}()
	c, err := Dial(t.Context(), "tcp", l.Addr().String(), &Options{Security: ClearText})
	if err != nil {
		t.Fatal(err)
	}
	if c.Greeting() != "hello\x1b" || c.host != "127.0.0.1" {
		t.Errorf("greeting %q, host %q", c.Greeting(), c.host)
	}
	if _, ok := c.TLS(); ok {
		t.Error("there is no TLS")
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	if _, err := Dial(t.Context(), "tcp", l.Addr().String(), &Options{Security: ClearText}); !errors.As(err, new(*ResponseError)) {
		t.Errorf("got %v", err)
	}
	// The second script ends when the client has closed the connection.
	for range 2 {
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
	noPort := func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		server.Close()
		return client, nil
	}
	if _, err := Dial(t.Context(), "unix", "/socket", &Options{Dial: noPort}); err == nil || !strings.Contains(err.Error(), "/socket") {
		t.Errorf("got %v", err)
	}
}
