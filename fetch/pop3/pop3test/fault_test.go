package pop3test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

const retr1 = "+OK 21 octets\r\nSubject: one\r\n\r\nhi.\r\n.\r\n"

// Each fault strikes RETR 1, which is sent in one write with a NOOP behind it.
func TestReplyFaults(t *testing.T) {
	const noop = "+OK done\r\n"
	upper := func(b []byte) []byte { return bytes.ToUpper(b) }
	tests := []struct {
		name  string
		fault Fault
		want  string
	}{
		{"none", Fault{At: "RETR 2", Do: Drop}, retr1 + noop},
		{"another session", Fault{At: "RETR", Session: 2, Do: Drop}, retr1 + noop},
		{"Drop", Fault{At: "RETR", Do: Drop}, ""},
		{"Drop in the middle", Fault{At: "retr 1", Do: Drop, After: 20}, retr1[:20]},
		{"Drop behind the status", Fault{At: "RETR 1", Do: Drop, After: AfterStatus}, retr1[:15]},
		{"Drop behind the reply", Fault{At: "RETR 1", Do: Drop, After: int64(len(retr1))}, retr1},
		{"Drop beyond the reply", Fault{At: "RETR 1", Do: Drop, After: int64(len(retr1)) + 1}, retr1 + noop},
		{"Err", Fault{At: "RETR", Do: Err, Text: "[SYS/TEMP] try later"}, "-ERR [SYS/TEMP] try later\r\n" + noop},
		{"Err with no text", Fault{At: "RETR", Do: Err}, "-ERR\r\n" + noop},
		{"Raw", Fault{At: "RETR", Do: Raw, Text: "garbage\x00\n"}, "garbage\x00\n" + noop},
		{"Raw from the middle on", Fault{At: "RETR", Do: Raw, After: 7, Text: "x\r\n"}, retr1[:7] + "x\r\n" + noop},
		{"Raw behind the status", Fault{At: "RETR", Do: Raw, After: AfterStatus, Text: ".\r\n"}, retr1[:15] + ".\r\n" + noop},
		{"Raw behind the last octet", Fault{At: "RETR", Do: Raw, After: int64(len(retr1)), Text: "x\r\n"}, retr1 + "x\r\n" + noop},
		{"Raw beyond the reply", Fault{At: "RETR", Do: Raw, After: int64(len(retr1)) + 1, Text: "x\r\n"}, retr1 + noop},
		{"nothing", Fault{At: "RETR"}, retr1 + noop},
		{"Extra", Fault{At: "RETR", Do: Extra, Text: "+OK what\r\n"}, retr1 + "+OK what\r\n" + noop},
		{"Twice", Fault{At: "RETR", Do: Twice}, retr1 + retr1 + noop},
		{"Late", Fault{At: "RETR", Do: Late}, retr1 + noop},
		{"Swap", Fault{At: "RETR", Do: Swap}, noop + retr1},
		{"Edit", Fault{At: "RETR", Do: Edit, Edit: upper}, strings.ToUpper(retr1) + noop},
		{"Slow", Fault{At: "RETR", Do: Slow, N: 1, Delay: time.Microsecond}, retr1 + noop},
		{"Slow as a whole", Fault{At: "RETR", Do: Slow, Delay: time.Millisecond}, retr1 + noop},
		{"NoFinalCRLF", Fault{At: "RETR", Do: NoFinalCRLF}, strings.Replace(retr1, "hi.\r\n.", "hi..", 1) + noop},
		{"BareLFDot", Fault{At: "RETR", Do: BareLFDot}, strings.Replace(retr1, "hi.\r\n.\r\n", "hi.\n.\n", 1) + noop},
		{"WrongOctets", Fault{At: "RETR", Do: WrongOctets, N: -7}, strings.Replace(retr1, "21", "-7", 1) + noop},
		{"Forget", Fault{At: "RETR", Do: Forget}, retr1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := loggedIn(t, start(t, withFaults(tt.fault)))
			p.send("RETR 1", "NOOP")
			p.octets(tt.want)
			p.conn.(*net.TCPConn).CloseWrite()
			p.ends("")
		})
	}
}

func TestLateWaitsForNextCommand(t *testing.T) {
	p := loggedIn(t, start(t, withFaults(Fault{At: "STAT", Do: Late})))
	p.send("STAT")
	p.conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := p.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the reply came at once: %v", err)
	}
	p.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	p.ask("NOOP", "+OK 3 50", "+OK done")
}

func TestUnstuffed(t *testing.T) {
	p := loggedIn(t, start(t, withFaults(Fault{At: "RETR 2", Do: Unstuffed})))
	p.ask("RETR 2", "+OK 29 octets", "Subject: two", "", ".dot", "..", ".", ".")
}

// The reply to a command is cut at every octet, and so is a whole session.
func TestCutAtEveryOctet(t *testing.T) {
	dialog := "+OK pop3test ready\r\n+OK now the password\r\n+OK 3 messages\r\n" + retr1 + "+OK message 1 deleted\r\n"
	tests := []struct {
		at   string
		want string // what is cut
	}{
		{"RETR 1", retr1},
		{"", dialog},
	}
	for _, tt := range tests {
		for after := range len(tt.want) + 1 {
			s := start(t, func(s *Server) {
				s.Log = nil
				s.Faults = []Fault{{At: tt.at, Do: Drop, After: int64(after)}}
			})
			p := dial(t, s)
			p.raw("USER alice\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\n")
			got, err := p.rest()
			if tt.at != "" {
				got = strings.TrimPrefix(got, dialog[:strings.Index(dialog, retr1)])
			}
			if got != tt.want[:after] || err != nil {
				t.Fatalf("%q after %d: got %q and %v, want %q", tt.at, after, got, err, tt.want[:after])
			}
			p.conn.Close()
			s.Wait()
			if left := uids(s.Users["alice"].Maildrop); left != "a b c" {
				t.Fatalf("%q after %d: left are %s", tt.at, after, left)
			}
		}
	}
}

func TestReset(t *testing.T) {
	s := start(t, withFaults(Fault{At: "RETR 1", Do: Reset, After: 20}))
	p := loggedIn(t, s)
	p.send("RETR 1")
	if got, err := p.rest(); !strings.HasPrefix(retr1[:20], got) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q and %v", got, err)
	}
}

// A session that is dropped unlocks the maildrop before the client can notice, even if
// the client keeps its half of the connection open.
func TestDropFreesMaildrop(t *testing.T) {
	for _, kind := range []Kind{Drop, CutTLS, Reset} {
		s := start(t, func(s *Server) {
			s.LockWait = -1
			s.Faults = []Fault{{At: "NOOP", Do: kind}}
		})
		p := loggedIn(t, s)
		p.send("NOOP")
		p.rest()
		loggedIn(t, s)
	}
}

func TestStallKeepsLock(t *testing.T) {
	s := start(t, func(s *Server) {
		s.LockWait = -1
		s.Faults = []Fault{{At: "RETR", Do: Stall, After: 17}}
	})
	p := loggedIn(t, s)
	p.send("RETR 1")
	p.octets(retr1[:17])
	other := fresh(t, s)
	other.ask("USER alice", "+OK now the password")
	other.ask("PASS secret", "-ERR [IN-USE] maildrop is in use by another session")
	p.conn.Close()
	other.conn.Close()
	s.Wait()
	loggedIn(t, s)
}

func TestEndless(t *testing.T) {
	tests := []struct {
		fault   Fault
		command string
		want    string
	}{
		{EndlessLine("greeting"), "", strings.Repeat("x", 10000)},
		{EndlessLine("STAT"), "STAT", strings.Repeat("x", 10000)},
		{EndlessListing("UIDL"), "UIDL", "+OK 3 messages\r\n1 11\r\n2 12\r\n3 13\r\n4 14\r\n"},
		{EndlessBody("RETR 1"), "RETR 1", retr1[:15] + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 500)},
	}
	for _, tt := range tests {
		s := start(t, withFaults(tt.fault))
		p := dial(t, s)
		if tt.command != "" {
			p.expect("+OK pop3test ready")
			p.login()
			p.send(tt.command)
		}
		p.octets(tt.want)
		p.conn.Close() // the only way out
		s.Wait()
	}
}

func TestGreetingFaults(t *testing.T) {
	tests := []struct {
		fault Fault
		want  string
	}{
		{Fault{At: "greeting", Do: Err, Text: "go away"}, "-ERR go away\r\n"},
		{Fault{At: "greeting", Do: Drop}, ""},
		{Fault{At: "greeting", Do: Drop, After: 5}, "+OK p"},
		{Fault{At: "connect", Do: Drop}, ""},
		{Fault{Do: Drop, After: 4}, "+OK "},
	}
	for _, tt := range tests {
		s := start(t, withFaults(tt.fault))
		dial(t, s).ends(tt.want)
	}
}

func TestChallengeFaults(t *testing.T) {
	s := start(t, withFaults(Fault{At: "challenge", Do: Raw, Text: "+ %%%\r\n"}))
	p := fresh(t, s)
	p.ask("AUTH PLAIN", "+ %%%")
	p.ask("*", "-ERR cancelled")

	s = start(t, withFaults(Fault{At: "AUTH PLAIN", Do: Err, Text: "[SYS/PERM] no"}))
	p = fresh(t, s)
	p.ask("AUTH PLAIN", "-ERR [SYS/PERM] no")
	p.ask("AUTH LOGIN", "+ "+b64("Username:"))
}

func TestFaultAtEveryReply(t *testing.T) {
	s := start(t, withFaults(Fault{At: "*", Do: Edit, Edit: func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	}}))
	p := dial(t, s)
	p.octets("+OK pop3test ready\n")
	p.send("AUTH PLAIN")
	p.octets("+ \n")
	p.send(b64("\x00alice\x00secret"), "UIDL", "QUIT")
	p.ends("+OK 3 messages\n+OK 3 messages\n1 a\n2 b\n3 c\n.\n+OK bye\n")
}

func TestTimes(t *testing.T) {
	s := start(t, withFaults(Fault{At: "NOOP", Times: 2, Do: Err, Text: "not yet"}))
	p := loggedIn(t, s)
	p.ask("NOOP", "-ERR not yet")
	p.ask("QUIT", "+OK bye")
	p = loggedIn(t, s)
	p.ask("NOOP", "-ERR not yet")
	p.ask("NOOP", "+OK done")
}

func TestSetFaults(t *testing.T) {
	s := start(t, nil)
	before := loggedIn(t, s)
	before.ask("NOOP", "+OK done")
	s.SetFaults(Fault{At: "NOOP", Do: Err})
	before.ask("NOOP", "+OK done")
	before.ask("QUIT", "+OK bye")
	loggedIn(t, s).ask("NOOP", "-ERR")
	s.SetFaults()
}

// Hook is called at the moment of the fault.
func TestHook(t *testing.T) {
	var m *Maildrop
	struck := make(chan string, 9)
	s := start(t, func(s *Server) {
		m = s.Users["alice"].Maildrop
		s.Faults = []Fault{
			{At: "RETR 1", Hook: func() { struck <- fmt.Sprintf("RETR 1, %d before", m.Retrieved("a")) }},
			{At: "RETR 2", Do: Stall, After: 20, Hook: func() { struck <- "RETR 2" }},
		}
	})
	p := loggedIn(t, s)
	p.send("RETR 1", "RETR 2")
	if got := <-struck; got != "RETR 1, 0 before" {
		t.Errorf("hook: %s", got)
	}
	if got := <-struck; got != "RETR 2" {
		t.Errorf("hook: %s", got)
	}
	p.octets(retr1 + "+OK 29 octets\r\nSubje")
}

// Close does not wait for a slow reply.
func TestCloseDuringSlowReply(t *testing.T) {
	begun := make(chan bool)
	s := start(t, withFaults(
		Fault{At: "NOOP", Do: Slow, Delay: time.Hour},
		Fault{At: "NOOP", Hook: func() { close(begun) }},
	))
	p := loggedIn(t, s)
	p.send("NOOP")
	<-begun
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	p.rest()
}

// Several faults strike one reply together.
func TestFaultsAddUp(t *testing.T) {
	s := start(t, withFaults(
		Fault{At: "STAT", Do: Extra, Text: "more\r\n"},
		Fault{At: "STAT", Do: Twice},
		Fault{At: "STAT", Do: Slow, N: 3},
		Fault{At: "STAT", Do: Drop, After: 25},
	))
	p := loggedIn(t, s)
	p.send("STAT")
	p.ends("+OK 3 50\r\nmore\r\n+OK 3 50\r\n"[:25])
}

func TestQuitFaults(t *testing.T) {
	tests := []struct {
		name   string
		faults []Fault
		reply  string
		left   string
	}{
		{"refused", []Fault{{At: "QUIT", Do: Err, Text: "some messages not removed"}}, "-ERR some messages not removed\r\n", "a b c"},
		{"done and denied", []Fault{{At: "QUIT", Do: Raw, Text: "-ERR no\r\n"}}, "-ERR no\r\n", "c"},
		{"reply lost", []Fault{{At: "QUIT", Do: Drop}}, "", "c"},
		{"lied", []Fault{{At: "QUIT", Do: SkipUpdate}}, "+OK bye\r\n", "a b c"},
		{"half done", []Fault{{Do: SkipUpdate, N: 1}}, "+OK bye\r\n", "b c"},
		{"lost before it was done", []Fault{{At: "QUIT", Do: SkipUpdate}, {At: "QUIT", Do: Reset}}, "", "a b c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, withFaults(tt.faults...))
			p := loggedIn(t, s)
			p.ask("DELE 1", "+OK message 1 deleted")
			p.ask("DELE 2", "+OK message 2 deleted")
			p.send("QUIT")
			if got, _ := p.rest(); got != tt.reply {
				t.Errorf("reply %q, want %q", got, tt.reply)
			}
			if left := uids(s.Users["alice"].Maildrop); left != tt.left {
				t.Errorf("left are %s, want %s", left, tt.left)
			}
		})
	}
}

// A write of one octet is one read for a fast reader; below TLS no write is longer than
// N.
func TestSlowWritesPieces(t *testing.T) {
	var sizes []int
	f := newFlow(writerFunc(func(p []byte) (int, error) {
		sizes = append(sizes, len(p))
		return len(p), nil
	}), []Fault{{Do: Slow, N: 4}}, nil, func(time.Duration) error { return nil })
	if _, err := io.WriteString(f, "0123456789"); err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 3 || sizes[0] != 4 || sizes[1] != 4 || sizes[2] != 2 {
		t.Errorf("writes of %v octets", sizes)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
