package deliver

import (
	"net/mail"
	"strings"
	"testing"
	"time"
)

func example() (Stamp, Meta) {
	return Stamp{Host: "desk.example.net", Version: "1.2"}, Meta{
		ID: "00ff", Account: "work", User: "me@example.org", Host: "pop.example.org", Protocol: "POP3S",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 2*60*60)),
	}
}

func TestReceived(t *testing.T) {
	s, m := example()
	for _, test := range []struct {
		name   string
		change func(*Stamp, *Meta)
		want   string
	}{
		{"plain", func(*Stamp, *Meta) {}, `Received: from pop.example.org (account work)
	by desk.example.net (popfetch 1.2) with POP3S id 00ff
	for <me@example.org>; Fri, 02 Jan 2026 03:04:05 +0200
`},
		{"user that is no mailbox, nothing else known", func(s *Stamp, m *Meta) {
			*s, m.User, m.Host, m.ID, m.Protocol = Stamp{}, "me", "", "", ""
		}, `Received: from unknown (account work)
	by unknown (popfetch ) with POP3;
	Fri, 02 Jan 2026 03:04:05 +0200
`},
		{"address literals", func(s *Stamp, m *Meta) { m.Host, s.Host = "fe80::1%eth0", "192.0.2.1" },
			`Received: from [IPv6:fe80::1] (account work)
	by [192.0.2.1] (popfetch 1.2) with POP3S id 00ff
	for <me@example.org>; Fri, 02 Jan 2026 03:04:05 +0200
`},
		{"comment characters", func(_ *Stamp, m *Meta) { m.Account = "a(b)\\c\r\nd\xff" },
			`Received: from pop.example.org (account a\(b\)\\c??d?)
	by desk.example.net (popfetch 1.2) with POP3S id 00ff
	for <me@example.org>; Fri, 02 Jan 2026 03:04:05 +0200
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, m := s, m
			test.change(&s, &m)
			if got := s.Received(m); got != strings.ReplaceAll(test.want, "\n", "\r\n") {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// FuzzReceived: whatever the values are, the field is one field of short lines in ASCII.
func FuzzReceived(f *testing.F) {
	f.Add("work", "me@example.org", "pop.example.org", "POP3", "00ff")
	f.Add("a\r\nBcc: x", "x>\n\n<y@z", "h\nX: y", "P OP3;", "id\n")
	f.Fuzz(func(t *testing.T, account, user, host, protocol, id string) {
		s, m := example()
		m.Account, m.User, m.Host, m.Protocol, m.ID, s.Version = account, user, host, protocol, id, account
		s.Host = host
		field := s.Received(m)
		lines := strings.Split(strings.TrimSuffix(field, "\r\n"), "\r\n")
		if len(lines) != 3 || !strings.HasPrefix(lines[1], "\t") || !strings.HasPrefix(lines[2], "\t") {
			t.Fatalf("not three folded lines: %q", field)
		}
		for _, line := range lines {
			if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && r < ' ' || r > '~' }) {
				t.Fatalf("line %q", line)
			}
		}
		msg, err := mail.ReadMessage(strings.NewReader(field + "Subject: x\r\n\r\n"))
		if err != nil || len(msg.Header) != 2 {
			t.Fatalf("header %v, %v", msg, err)
		}
		_, date, _ := strings.Cut(lines[2], ";")
		if date == "" {
			date = lines[2]
		}
		if _, err := mail.ParseDate(strings.TrimSpace(date)); err != nil {
			t.Fatalf("date of %q: %v", field, err)
		}
	})
}
