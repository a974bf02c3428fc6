package pop3test

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
)

func play(t *testing.T, text string) *Script {
	t.Helper()
	s := &Script{Text: text}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *Script) peer(t *testing.T) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, conn)
}

func TestScript(t *testing.T) {
	s := play(t, `
		# a client that looks and leaves
		S: +OK hi
		C: CAPA
		S-raw: "+OK\r\nUIDL\r\n"
		S: .
		C: AUTH PLAIN *
		S:
		---
		S: +OK again
		DROP
		---
		C: RESET
		RESET
		---
		STALL
	`)
	p := s.peer(t)
	p.expect("+OK hi")
	p.ask("CAPA", "+OK", "UIDL", ".")
	p.ask("AUTH PLAIN AAAA", "")
	p.ends("")
	p.conn.Close()

	p = s.peer(t)
	p.raw("what nobody reads")
	p.ends("+OK again\r\n")
	p.conn.Close()

	p = s.peer(t)
	p.send("RESET")
	if _, err := p.rest(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("RESET: %v", err)
	}
	s.peer(t).conn.Close()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestScriptMismatch(t *testing.T) {
	tests := []struct{ name, text, send, want string }{
		{"other words", "C: CAPA", "QUIT\r\n", `script line 1: expected "CAPA", client sent "QUIT\r\n"`},
		{"bare LF", "C: CAPA", "CAPA\n", `script line 1: expected "CAPA", client sent "CAPA\n"`},
		{"longer", "C: CAPA", "CAPA x\r\n", `script line 1: expected "CAPA", client sent "CAPA x\r\n"`},
		{"other beginning", "S: +OK\nC: AUTH *", "USER x\r\n", `script line 2: expected "AUTH *", client sent "USER x\r\n"`},
		{"nothing", "S: +OK\nC: CAPA", "", `script line 2: expected "CAPA", client sent "" and no more: EOF`},
		{"half a line", "C: CAPA", "CA", `script line 1: expected "CAPA", client sent "CA" and no more: EOF`},
		{"more", "C: CAPA\nS: -ERR", "CAPA\r\nQUIT\r\n", `behind the end of the script: client sent "QUIT\r\n"`},
		{"no TLS", "TLS", "CAPA\r\n", "script line 1: TLS handshake: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := play(t, tt.text)
			p := s.peer(t)
			p.raw(tt.send)
			p.conn.(*net.TCPConn).CloseWrite()
			if err := s.Wait(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestScriptNotPlayed(t *testing.T) {
	s := play(t, "S: +OK\nC: QUIT\n")
	if err := s.Close(); !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "script line 1: no client came: ") {
		t.Errorf("no client: %v", err)
	}
	s = play(t, "S: +OK\nC: QUIT\n")
	s.peer(t).expect("+OK")
	if err := s.Close(); err == nil || !strings.HasPrefix(err.Error(), `script line 2: expected "QUIT"`) {
		t.Errorf("half: %v", err)
	}
}

func TestScriptTLS(t *testing.T) {
	s := play(t, "S: +OK\nC: STLS\nS: +OK\nTLS\nC: NOOP\nS: +OK inside\n")
	p := s.peer(t)
	p.expect("+OK")
	p.ask("STLS", "+OK")
	p = newPeer(t, tls.Client(p.conn, &tls.Config{RootCAs: s.CA(), ServerName: "localhost"}))
	p.ask("NOOP", "+OK inside")
	p.ends("")
	p.conn.Close()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
}

func TestScriptSyntax(t *testing.T) {
	for _, text := range []string{"X: what", "S-raw: not quoted", "drop", "C", "DROP now", "S +OK"} {
		s := &Script{Text: "S: +OK\n" + text}
		if err := s.Start(); err == nil || !strings.HasPrefix(err.Error(), "script line 2: ") {
			t.Errorf("%s: %v", text, err)
			if err == nil {
				s.Close()
			}
		}
	}
}
