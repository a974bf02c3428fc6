//go:build linux

package main

import (
	"bufio"
	"net"
	"slices"
	"strings"
	"testing"
)

// replies is a server that has two messages, and reads as many lines as it answers.
func replies(t *testing.T) (addr string, said func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	answers := map[string]string{
		"UIDL":   "+OK\r\n1 a\r\n2 b c\r\n.\r\n",
		"LIST":   "+OK\r\n1 10\r\n2 20\r\n.\r\n",
		"RETR 1": "+OK\r\n..dot\r\n\r\n" + strings.Repeat("x", 300<<10) + "\r\n.\r\n", // longer than the buffer
		"RETR 2": "+OK\r\nno end:\n.\n\r\n.\r\n",
	}
	var lines []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Write([]byte("+OK hello\r\n"))
		in := bufio.NewScanner(c)
		for in.Scan() {
			lines = append(lines, in.Text())
			answer, ok := answers[in.Text()]
			if !ok {
				answer = "+OK\r\n"
			}
			c.Write([]byte(answer))
			if in.Text() == "QUIT" {
				return
			}
		}
	}()
	return l.Addr().String(), func() []string { <-done; return lines }
}

func TestDrainRetrievesAndDeletes(t *testing.T) {
	addr, said := replies(t)
	d := &drainer{addr: addr, password: "p", retr: true, dele: true, parallel: 1}
	n, err := d.all([]string{"me"})
	must(t, err)
	if n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
	want := []string{"USER me", "PASS p", "UIDL", "RETR 1", "RETR 2", "DELE 1", "DELE 2", "QUIT"}
	if got := said(); !slices.Equal(got, want) {
		t.Errorf("the server heard %q, want %q", got, want)
	}
}

func TestDrainFailsWithTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Write([]byte("+OK\r\n+OK\r\n-ERR no\r\n"))
			c.Close()
		}
	}()
	d := &drainer{addr: l.Addr().String(), retr: true, parallel: 1}
	if n, err := d.all([]string{"me"}); err == nil {
		t.Errorf("%d messages although the login failed", n)
	}
}

func TestListingOfIdsAndOctets(t *testing.T) {
	addr, _ := replies(t)
	d := &drainer{addr: addr, password: "p"}
	got, err := d.messages("me")
	must(t, err)
	if want := []message{{"a", 10}, {"b c", 20}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
