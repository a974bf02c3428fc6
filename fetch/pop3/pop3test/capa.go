package pop3test

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// RFC 2449 section 5 (CAPA)
func (s *session) capa(string) reply {
	lines := s.capabilities()
	r := ok("capabilities follow")
	r.body = func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(lines, ""))
		return err
	}
	return r
}

func (s *session) capabilities() []string {
	var lines []string
	add := func(name, params string) {
		late := s.state == authorization && slices.Contains(s.server.LateCapa, name)
		if !late && !s.server.lacks(name) {
			lines = append(lines, strings.TrimSpace(name+" "+params)+"\r\n")
		}
	}
	add("TOP", "")
	add("UIDL", "")
	add("RESP-CODES", "")
	add("AUTH-RESP-CODE", "")
	add("PIPELINING", "")
	add("USER", "")
	if m := s.mechanisms(); len(m) > 0 {
		add("SASL", strings.Join(m, " "))
	}
	if s.state == authorization && s.stlsOffered() {
		add("STLS", "")
	}
	if d := s.server.LoginDelay; d > 0 {
		add("LOGIN-DELAY", fmt.Sprint(int64(d.Seconds())))
	}
	switch own := s.server.Expire; {
	case own == "":
		add("EXPIRE", "NEVER")
	case s.state == authorization:
		add("EXPIRE", "0 USER") // RFC 2449 section 6.7: after the login comes that of the user
	default:
		add("EXPIRE", own)
	}
	add("IMPLEMENTATION", "pop3test")
	return lines
}

// mechanisms are those that AUTH serves.
func (s *session) mechanisms() []string {
	switch {
	case s.server.lacks("SASL") || s.server.lacks("AUTH"):
		return nil
	case s.server.SASL == nil:
		return []string{"PLAIN", "LOGIN", "CRAM-MD5"}
	}
	return s.server.SASL
}

func (s *session) stlsOffered() bool {
	return s.server.Security == StartTLS && !s.secure
}

// RFC 2595 section 4 (STLS)
func (s *session) stls(string) reply {
	if !s.stlsOffered() {
		return s.no("", "TLS is not available here")
	}
	r := ok("begin TLS now")
	r.secure = true
	return r
}
