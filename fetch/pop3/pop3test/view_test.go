package pop3test

import (
	"slices"
	"strings"
	"testing"
)

// What STAT, LIST and UIDL show of three messages.
func TestViews(t *testing.T) {
	tests := []struct {
		name             string
		fault            Fault
		stat, list, uidl string
	}{
		{"none", Fault{At: "NOOP", Do: Partial}, "3 50", "1 21;2 29;3 0", "1 a;2 b;3 c"},
		{"empty", Fault{Do: Partial}, "0 0", "", ""},
		{"empty UIDL", Fault{At: "UIDL", Do: Partial}, "3 50", "1 21;2 29;3 0", ""},
		{"two of three", Fault{Do: Partial, N: 2}, "2 50", "1 21;2 29", "1 a;2 b"},
		{"more than there are", Fault{Do: Partial, N: 9}, "3 50", "1 21;2 29;3 0", "1 a;2 b;3 c"},
		{"two in LIST", Fault{At: "LIST", Do: Partial, N: 2}, "3 50", "1 21;2 29", "1 a;2 b;3 c"},
		{"lies in STAT", Fault{At: "STAT", Do: Ghosts}, "4 1050", "1 21;2 29;3 0", "1 a;2 b;3 c"},
		{"beyond STAT", Fault{At: "UIDL", Do: Ghosts, N: 2}, "3 50", "1 21;2 29;3 0", "1 a;2 b;3 c;4 ghost4;5 ghost5"},
		{"ghosts", Fault{Do: Ghosts}, "4 1050", "1 21;2 29;3 0;4 1000", "1 a;2 b;3 c;4 ghost4"},
		{"octets", Fault{Do: WrongOctets, N: 1 << 62}, "3 -4611686018427387904", "1 4611686018427387904;2 4611686018427387904;3 4611686018427387904", "1 a;2 b;3 c"},
		{"octets in LIST", Fault{At: "LIST", Do: WrongOctets, N: -1}, "3 50", "1 -1;2 -1;3 -1", "1 a;2 b;3 c"},
		{"duplicate", Fault{Do: DuplicateUID}, "3 50", "1 21;2 29;3 0", "1 a;2 a;3 c"},
		{"other duplicate", Fault{Do: DuplicateUID, N: 3}, "3 50", "1 21;2 29;3 0", "1 a;2 b;3 a"},
		{"renumbered", Fault{Do: RenumberUID}, "3 50", "1 21;2 29;3 0", "1 new-a;2 new-b;3 new-c"},
		{"renamed in UIDL", Fault{At: "UIDL", Do: RenumberUID, Text: "x y"}, "3 50", "1 21;2 29;3 0", "1 x ya;2 x yb;3 x yc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := fresh(t, start(t, withFaults(tt.fault)))
			p.login()
			p.ask("STAT", "+OK "+tt.stat)
			if got := p.listing("LIST"); got != tt.list {
				t.Errorf("LIST: %s, want %s", got, tt.list)
			}
			if got := p.listing("UIDL"); got != tt.uidl {
				t.Errorf("UIDL: %s, want %s", got, tt.uidl)
			}
		})
	}
}

// listing returns the lines of a listing in one.
func (p *peer) listing(command string) string {
	p.t.Helper()
	p.send(command)
	p.line()
	var lines []string
	for line := p.line(); line != "."; line = p.line() {
		lines = append(lines, line)
	}
	return strings.Join(lines, ";")
}

func TestShuffle(t *testing.T) {
	// In one reply only the order of the lines differs.
	p := loggedIn(t, start(t, withFaults(Fault{At: "UIDL", Do: Shuffle, N: 1})))
	lines := strings.Split(p.listing("UIDL"), ";")
	if slices.IsSorted(lines) {
		t.Errorf("still in order: %q", lines)
	}
	slices.Sort(lines)
	if !slices.Equal(lines, []string{"1 a", "2 b", "3 c"}) {
		t.Errorf("other lines: %q", lines)
	}
	// In a session the messages are numbered in another order.
	s := start(t, withFaults(Fault{Session: 2, Do: Shuffle, N: 1}))
	p = loggedIn(t, s)
	if got := p.listing("UIDL"); got != "1 a;2 b;3 c" {
		t.Errorf("session 1: %s", got)
	}
	p.ask("QUIT", "+OK bye")
	p = loggedIn(t, s)
	uidl := strings.Split(p.listing("UIDL"), ";")
	if uidl[0] == "1 a" && uidl[1] == "2 b" {
		t.Errorf("session 2: %q", uidl)
	}
	at := slices.IndexFunc(uidl, func(l string) bool { return strings.HasSuffix(l, " a") })
	num := uidl[at][:1]
	p.ask("LIST "+num, "+OK "+num+" 21")
	p.ask("DELE "+num, "+OK message "+num+" deleted")
	p.ask("QUIT", "+OK bye")
	if got := uids(s.Users["alice"].Maildrop); got != "b c" {
		t.Errorf("left are %s", got)
	}
}

func TestGhostCannotBeRetrieved(t *testing.T) {
	p := loggedIn(t, start(t, withFaults(Fault{Do: Ghosts})))
	p.ask("RETR 4", "-ERR no such message")
	p.ask("DELE 4", "-ERR no such message")
}

func TestHideAfterRetr(t *testing.T) {
	s := start(t, withFaults(Fault{Do: HideAfterRetr}))
	p := loggedIn(t, s)
	p.ask("RETR 1", "+OK 21 octets", "Subject: one", "", "hi.", ".")
	p.ask("TOP 2 0", "+OK top of message follows", "Subject: two", "", ".")
	p.ask("STAT", "+OK 3 50")
	p.ask("QUIT", "+OK bye")
	p = loggedIn(t, s)
	if got := p.listing("UIDL"); got != "1 b;2 c" {
		t.Errorf("later: %s", got)
	}
	if got := uids(s.Users["alice"].Maildrop); got != "a b c" {
		t.Errorf("left are %s", got)
	}
}

// Two messages with one unique-id are two messages.
func TestSameUIDTwice(t *testing.T) {
	m := NewMaildrop(Message{UID: "x", Raw: Text("1\n")}, Message{UID: "x", Raw: Text("1\n")})
	s := start(t, func(s *Server) { s.Users["alice"].Maildrop = m })
	p := loggedIn(t, s)
	p.ask("DELE 2", "+OK message 2 deleted")
	p.ask("QUIT", "+OK bye")
	if got := uids(m); got != "x" || m.Deleted("x") != 1 {
		t.Errorf("left are %q, deleted %d", got, m.Deleted("x"))
	}
}
