package pop3

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

func TestUidlLines(t *testing.T) {
	long := strings.Repeat("x", maxUniqueID)
	for _, tt := range []struct {
		line   string
		num    int
		id     string
		reason string
	}{
		{line: "1 a", num: 1, id: "a"},
		{line: "12 \t  a b \t", num: 12, id: "a b"}, // Maillennium's blanks
		{line: "  3 x", num: 3, id: "x"},
		{line: "2147483647 x", num: 2147483647, id: "x"},
		{line: "007 x", num: 7, id: "x"},
		{line: "1 ../../\x1b\x00\xff\rx", num: 1, id: "../../\x1b\x00\xff\rx"},
		{line: "1 " + long, num: 1, id: long},
		{line: "1 " + long + "x", num: 1, reason: "too long"},
		{line: "3", num: 3, reason: "no unique-id"},
		{line: "3 ", num: 3, reason: "no unique-id"},
		{line: "", reason: "no message number"},
		{line: "a b", reason: "no message number"},
		{line: "0 x", reason: "no message number"},
		{line: "-1 x", reason: "no message number"},
		{line: "+1 x", reason: "no message number"},
		{line: "2147483648 x", reason: "no message number"},
		{line: "4294967297 x", reason: "no message number"},
		{line: "18446744073709551617 x", reason: "no message number"},
		{line: "..", reason: "no message number"},
	} {
		t.Run(fmt.Sprintf("%.20q", tt.line), func(t *testing.T) {
			c := rawListing(t, "+OK\r\n"+tt.line+"\r\n9 last\r\n.\r\n")
			n := 0
			for u, err := range c.Uidl() {
				n++
				var bad *LineError
				switch {
				case n == 2:
					if u.Num != 9 || string(u.ID) != "last" || err != nil {
						t.Errorf("the line after: %v, %v", u, err)
					}
				case tt.reason == "":
					if u.Num != tt.num || string(u.ID) != tt.id || err != nil {
						t.Errorf("got %d %.80q, %v", u.Num, u.ID, err)
					}
				case !errors.As(err, &bad) || bad.Num != tt.num || !strings.Contains(bad.Reason, tt.reason) || len(bad.Line) > maxShown:
					t.Errorf("got %v", err)
				}
			}
			if n != 2 || c.Broken() != nil {
				t.Errorf("%d lines, %v", n, c.Broken())
			}
		})
	}
}

func TestListLines(t *testing.T) {
	for _, tt := range []struct {
		line   string
		want   ScanListing
		reason string
	}{
		{"1 120", ScanListing{1, 120}, ""},
		{"1   120 octets and more", ScanListing{1, 120}, ""},
		{"1 0", ScanListing{1, 0}, ""},
		{"1 9223372036854775807", ScanListing{1, 9223372036854775807}, ""},
		{"1 9223372036854775808", ScanListing{Num: 1}, "no number of octets"},
		{"1 -5", ScanListing{Num: 1}, "no number of octets"},
		{"1 x", ScanListing{Num: 1}, "no number of octets"},
		{"1", ScanListing{Num: 1}, "no number of octets"},
		{"x", ScanListing{}, "no message number"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			c := rawListing(t, "+OK\r\n"+tt.line+"\r\n.\r\n")
			for l, err := range c.List() {
				var bad *LineError
				if l != tt.want || (err == nil) != (tt.reason == "") {
					t.Errorf("got %v, %v", l, err)
				}
				if err != nil && (!errors.As(err, &bad) || bad.Reason != tt.reason || bad.Num != tt.want.Num) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// rawListing returns a client in TRANSACTION whose next command gets this reply.
func rawListing(t *testing.T, reply string) *Client {
	t.Helper()
	return rawReply(t, reply, false)
}

// rawReply does the same; with close the connection ends after the reply.
func rawReply(t *testing.T, reply string, close bool) *Client {
	t.Helper()
	client, server := net.Pipe()
	c := &Client{ctx: t.Context(), host: "h", timeout: defaultTimeout, link: newLink(t.Context(), client), state: Transaction}
	c.lines.conn = c.link
	c.lines.r = bufio.NewReaderSize(&c.lines, bufferSize)
	done := make(chan struct{}, 1)
	go func() {
		defer func() { done <- struct{}{} }()
		if close {
			defer server.Close()
		}
		buf := make([]byte, 512)
		if _, err := server.Read(buf); err == nil {
			server.Write([]byte(reply))
		}
	}()
	t.Cleanup(func() { c.Close(); server.Close(); <-done })
	return c
}

// listed is a connection with the same reply to each command.
type listed struct {
	net.Conn
	reply, pending []byte
}

func (l *listed) Write(p []byte) (int, error) { l.pending = l.reply; return len(p), nil }

func (l *listed) Read(p []byte) (int, error) {
	n := copy(p, l.pending)
	l.pending = l.pending[n:]
	return n, nil
}

func (l *listed) SetDeadline(time.Time) error      { return nil }
func (l *listed) SetReadDeadline(time.Time) error  { return nil }
func (l *listed) SetWriteDeadline(time.Time) error { return nil }
func (l *listed) Close() error                     { return nil }

func BenchmarkUidl(b *testing.B) {
	const n = 100_000
	conn := &listed{reply: []byte("+OK\r\n")}
	for i := range n {
		conn.reply = fmt.Appendf(conn.reply, "%d %016x\r\n", i+1, i)
	}
	conn.reply = append(conn.reply, ".\r\n"...)
	c := &Client{ctx: b.Context(), timeout: defaultTimeout, link: newLink(b.Context(), conn), state: Transaction}
	c.lines.conn = c.link
	c.lines.r = bufio.NewReaderSize(&c.lines, bufferSize)
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		for _, err := range c.Uidl() {
			if err != nil {
				b.Fatal(err)
			}
			got++
		}
		if got != n {
			b.Fatal(got)
		}
	}
}
