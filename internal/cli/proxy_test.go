//go:build linux

package cli_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// startProxy starts a SOCKS proxy that hands each connection to serve.
func startProxy(t *testing.T, serve func(conn net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// The error names the account, the other account is polled, and no password goes to
// the proxy.
func TestProxyThatFailsIsATemporaryErrorOfItsAccount(t *testing.T) {
	t.Parallel()
	greets := func(conn net.Conn) bool { // RFC 1928 section 3
		_, err := io.ReadFull(conn, make([]byte, 3))
		return err == nil
	}
	answers := func(reply byte) func(net.Conn) {
		return func(conn net.Conn) {
			if !greets(conn) {
				return
			}
			conn.Write([]byte{5, 0})
			io.ReadFull(conn, make([]byte, 10)) // CONNECT to an IPv4 address and a port
			conn.Write([]byte{5, reply, 0, 1, 0, 0, 0, 0, 0, 0})
		}
	}
	silent := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	for name, serve := range map[string]func(net.Conn){
		"closes at once":               func(net.Conn) {},
		"takes none of our methods":    func(c net.Conn) { greets(c); c.Write([]byte{5, 0xff}) },
		"closes after the methods":     func(c net.Conn) { greets(c); c.Write([]byte{5, 0}) },
		"is no proxy":                  func(c net.Conn) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n\x1b[2J")) },
		"refuses: general failure":     answers(1),
		"refuses: not allowed":         answers(2),
		"refuses: host unreachable":    answers(4),
		"refuses: connection refused":  answers(5),
		"refuses: nobody knows why":    answers(200),
		"says nothing":                 silent,
		"connects, and closes at once": answers(0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := clearServer(t, pop3test.Message{Raw: pop3test.Text("Subject: x\n\nHello.\n")})
			text := fmt.Sprintf("[defaults]\nserver = %q\nuser = \"alice\"\npassword = %q\ntls = \"none\"\ntimeout = \"300ms\"\nmaildir = \"~/Mail/{account}\"\n", s.Addr(), secret)
			r := newUserHome(t, text+fmt.Sprintf("[account.far]\nuser = \"bob\"\nproxy = \"socks5://%s\"\n[account.near]\n", startProxy(t, serve)))
			e := r.exits(75, "exec popfetch --once")
			lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
			if !strings.HasPrefix(lines[0], "popfetch: far: ") || strings.ContainsAny(e.stderr, "\x1b\r") || strings.Contains(e.stderr, secret) || len(lines) > 2 {
				t.Errorf("it says %q", e.stderr)
			}
			if r.mail("near", "new") != 1 {
				t.Error("the other account was not polled")
			}
		})
	}
}
