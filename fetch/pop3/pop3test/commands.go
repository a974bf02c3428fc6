package pop3test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// command says where a command is allowed and what it does.
type command struct {
	states state
	run    func(s *session, arg string) (reply, error)
}

// lookup returns the command of an upper-case verb.
func (s *session) lookup(verb string) (command, bool) {
	simple := func(f func(*session, string) reply) func(*session, string) (reply, error) {
		return func(s *session, arg string) (reply, error) { return f(s, arg), nil }
	}
	anywhere := authorization | transaction
	known := map[string]command{
		"CAPA": {anywhere, simple((*session).capa)},
		"STLS": {authorization, simple((*session).stls)},
		"USER": {authorization, simple((*session).cmdUser)},
		"PASS": {authorization, simple((*session).pass)},
		"APOP": {authorization, simple((*session).apop)},
		"AUTH": {authorization, (*session).auth},
		"STAT": {transaction, simple((*session).stat)},
		"LIST": {transaction, simple((*session).list)},
		"UIDL": {transaction, simple((*session).uidl)},
		"RETR": {transaction, simple((*session).retr)},
		"TOP":  {transaction, simple((*session).top)},
		"DELE": {transaction, simple((*session).dele)},
		"RSET": {transaction, simple((*session).rset)},
		"NOOP": {transaction, simple((*session).noop)},
		"QUIT": {anywhere, simple((*session).quit)},
	}
	c, ok := known[verb]
	return c, ok && !s.server.lacks(verb)
}

// serve executes and answers one command line.
func (s *session) serve(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	s.server.note(s.num, masked(verb, line))
	s.now = s.strike(strings.TrimSpace(verb + " " + arg))
	if f, ok := find(s.now, Err); ok {
		return s.send(s.refusal(f, verb == "QUIT" || verb == "RETR" && s.server.Habits.CloseAfterRefusedRetr))
	}
	c, ok := s.lookup(verb)
	switch {
	case !ok:
		return s.send(s.no("", "unknown command"))
	case c.states&s.state == 0:
		return s.send(s.no("", "not in this state"))
	}
	r, err := c.run(s, arg)
	if err != nil {
		return err
	}
	return s.send(r)
}

func ok(format string, args ...any) reply {
	return reply{status: "+OK " + fmt.Sprintf(format, args...)}
}

// no is a refusal, with the response code unless that is "" or Without has it.
// RFC 2449 section 8
func (s *session) no(code, text string) reply {
	if code == "" || s.server.lacks("RESP-CODES") || code == "AUTH" && s.server.lacks("AUTH-RESP-CODE") {
		return reply{status: "-ERR " + text}
	}
	return reply{status: "-ERR [" + code + "] " + text}
}

func (s *session) refusal(f Fault, end bool) reply {
	return reply{status: strings.TrimSpace("-ERR " + f.Text), end: end}
}

// listed returns what a listing shows.
func (s *session) listed() []entry {
	var left []entry
	for _, e := range s.view {
		if !e.deleted {
			left = append(left, e)
		}
	}
	return distort(left, s.now)
}

// listing answers LIST and UIDL; show returns what follows the number.
func (s *session) listing(arg string, show func(entry) string) reply {
	entries := s.listed()
	if arg != "" {
		for _, e := range entries {
			if strconv.Itoa(e.num) == arg {
				return ok("%d %s", e.num, show(e))
			}
		}
		return s.no("", "no such message")
	}
	if len(entries) == 0 && s.server.Habits.Empty != EmptyWithDot {
		return s.server.Habits.Empty.listing(ok("no messages"))
	}
	r := ok("%d messages", len(entries))
	r.body = func(w io.Writer) error {
		for _, e := range entries {
			if _, err := fmt.Fprintf(w, "%d %s\r\n", e.num, show(e)); err != nil {
				return err
			}
		}
		return nil
	}
	return r
}

// RFC 1939 section 5 (STAT)
func (s *session) stat(string) reply {
	var octets int64
	entries := s.listed()
	for _, e := range entries {
		octets += e.octets
	}
	return ok("%d %d", len(entries), octets)
}

// RFC 1939 section 5 (LIST)
func (s *session) list(arg string) reply {
	return s.listing(arg, func(e entry) string {
		if s.server.Habits.NoOctets {
			return "?"
		}
		return strconv.FormatInt(e.octets, 10)
	})
}

// RFC 1939 section 7 (UIDL)
func (s *session) uidl(arg string) reply {
	return s.listing(arg, func(e entry) string { return e.uid })
}

// message returns the message with the number in arg, nil if there is none.
func (s *session) message(arg string) *entry {
	num, err := strconv.Atoi(arg)
	if err != nil || num < 1 || num > len(s.view) {
		return nil
	}
	if e := &s.view[num-1]; e.msg != nil && !e.deleted {
		return e
	}
	return nil
}

// RFC 1939 section 5 (RETR)
func (s *session) retr(arg string) reply {
	e := s.message(arg)
	if e == nil {
		r := s.no("", "no such message")
		r.end = s.server.Habits.CloseAfterRefusedRetr
		return r
	}
	_, hide := s.has(HideAfterRetr)
	s.maildrop.retrieve(e.msg, hide)
	octets := e.announced
	if f, ok := find(s.now, WrongOctets); ok {
		octets = f.N
	}
	r := ok("%d octets", octets)
	r.body = func(w io.Writer) error {
		_, err := io.Copy(w, e.msg.reader())
		return err
	}
	return r
}

// RFC 1939 section 7 (TOP)
func (s *session) top(arg string) reply {
	num, count, _ := strings.Cut(arg, " ")
	lines, err := strconv.Atoi(count)
	if err != nil || lines < 0 {
		return s.no("", "not a number of lines")
	}
	e := s.message(num)
	if e == nil {
		return s.no("", "no such message")
	}
	r := ok("top of message follows")
	r.body = func(w io.Writer) error { return copyTop(w, s.server.Habits.topReader(e.msg), lines) }
	return r
}

// RFC 1939 section 5 (DELE)
func (s *session) dele(arg string) reply {
	e := s.message(arg)
	if e == nil {
		return s.no("", "no such message")
	}
	e.deleted = true
	return ok("message %d deleted", e.num)
}

// RFC 1939 section 5 (RSET)
func (s *session) rset(string) reply {
	for i := range s.view {
		s.view[i].deleted = false
	}
	return ok("nothing is deleted")
}

// RFC 1939 section 5 (NOOP)
func (s *session) noop(string) reply { return ok("done") }

// quit enters UPDATE. It unlocks the maildrop before the reply is sent. RFC 1939
// section 6
func (s *session) quit(string) reply {
	gone := make(map[*Message]bool)
	most := len(s.view)
	if f, ok := s.has(SkipUpdate); ok {
		most = int(f.N)
	}
	for _, e := range s.view {
		if e.deleted && len(gone) < most {
			gone[e.msg] = true
		}
	}
	if s.maildrop != nil {
		s.server.Habits.depart(s.view, s.maildrop)
	}
	s.leave(gone)
	r := ok("bye")
	r.end = true
	return r
}
