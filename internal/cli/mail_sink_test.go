package cli_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// mailSink starts a server that accepts every message, by LMTP or SMTP, and keeps none. It
// returns its address.
func mailSink(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go swallow(c)
		}
	}()
	return l.Addr().String()
}

// swallow answers one connection of mailSink.
func swallow(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	reply := "220 sink"
	for data := false; ; {
		if !data {
			if _, err := io.WriteString(c, reply+"\r\n"); err != nil {
				return
			}
			data = strings.HasPrefix(reply, "354")
		}
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return
		case data && line == ".\r\n":
			data, reply = false, "250 2.0.0 gone"
		case line == "DATA\r\n":
			reply = "354 go on"
		case line == "QUIT\r\n":
			return
		default:
			reply = "250 2.0.0 ok"
		}
	}
}
