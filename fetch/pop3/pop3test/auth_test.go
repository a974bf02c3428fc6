package pop3test

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// fresh is a peer that has read the greeting.
func fresh(t *testing.T, s *Server) *peer {
	t.Helper()
	p := dial(t, s)
	if line := p.line(); !strings.HasPrefix(line, "+OK pop3test ready") {
		t.Fatalf("greeting %q", line)
	}
	return p
}

const (
	in    = "+OK 3 messages"
	wrong = "-ERR [AUTH] wrong user name or password"
)

func TestAuthDialogs(t *testing.T) {
	type exchange struct{ send, want string }
	tests := []struct {
		name   string
		dialog []exchange
	}{
		{"USER and PASS", []exchange{{"USER alice", "+OK now the password"}, {"PASS secret", in}}},
		{"wrong password", []exchange{{"USER alice", "+OK now the password"}, {"PASS secre", wrong}}},
		{"unknown user", []exchange{{"USER bob", "+OK now the password"}, {"PASS secret", wrong}}},
		{"blanks are part of names", []exchange{{"USER a  b ", "+OK now the password"}, {"PASS  p p ", "+OK 0 messages"}}},
		{"PASS without USER", []exchange{{"PASS secret", "-ERR USER comes first"}}},
		{"PASS again", []exchange{{"USER alice", "+OK now the password"}, {"PASS x", wrong}, {"PASS secret", "-ERR USER comes first"}}},
		{"again after a refusal", []exchange{
			{"USER alice", "+OK now the password"}, {"PASS x", wrong},
			{"USER alice", "+OK now the password"}, {"PASS secret", in}}},
		{"PLAIN at once", []exchange{{"AUTH PLAIN " + b64("\x00alice\x00secret"), in}}},
		{"PLAIN for oneself", []exchange{{"AUTH PLAIN " + b64("alice\x00alice\x00secret"), in}}},
		{"PLAIN for another", []exchange{{"AUTH PLAIN " + b64("bob\x00alice\x00secret"), "-ERR [AUTH] no such authorization identity"}}},
		{"plain asked", []exchange{{"auth plain", "+ "}, {b64("\x00alice\x00secret"), in}}},
		{"PLAIN wrong", []exchange{{"AUTH PLAIN " + b64("\x00alice\x00x"), wrong}}},
		{"PLAIN of nothing", []exchange{{"AUTH PLAIN =", "-ERR not a PLAIN response"}}},
		{"PLAIN cancelled", []exchange{{"AUTH PLAIN", "+ "}, {"*", "-ERR cancelled"}, {"NOOP", "-ERR not in this state"}}},
		{"PLAIN not base64", []exchange{{"AUTH PLAIN %", "-ERR response is not base64"}}},
		{"PLAIN too long at once", []exchange{{"AUTH PLAIN " + strings.Repeat("A", 244), "-ERR initial response too long"}}},
		{"PLAIN just short enough", []exchange{{"AUTH PLAIN " + b64("\x00alice\x00"+strings.Repeat("x", 171)), wrong}}},
		{"LOGIN asked", []exchange{{"AUTH LOGIN", "+ " + b64("Username:")}, {b64("alice"), "+ " + b64("Password:")}, {b64("secret"), in}}},
		{"LOGIN at once", []exchange{{"AUTH LOGIN " + b64("alice"), "+ " + b64("Password:")}, {b64("secret"), in}}},
		{"LOGIN wrong", []exchange{{"AUTH LOGIN " + b64("alice"), "+ " + b64("Password:")}, {b64("x"), wrong}}},
		{"LOGIN cancelled", []exchange{{"AUTH LOGIN", "+ " + b64("Username:")}, {"*", "-ERR cancelled"}}},
		{"CRAM-MD5 at once", []exchange{{"AUTH CRAM-MD5 =", "-ERR CRAM-MD5 has no initial response"}}},
		{"response too long", []exchange{{"AUTH PLAIN", "+ "}, {strings.Repeat("A", maxLine), "-ERR line too long"}, {"USER alice", "+OK now the password"}}},
		{"unknown mechanism", []exchange{{"AUTH GSSAPI", "-ERR unknown mechanism"}}},
		{"no mechanism", []exchange{{"AUTH", "-ERR unknown mechanism"}}},
		{"no APOP", []exchange{{"APOP alice 00", "-ERR unknown command"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := fresh(t, start(t, func(s *Server) { s.Users["a  b "] = &User{Password: " p p "} }))
			for _, e := range tt.dialog {
				p.ask(e.send, e.want)
			}
		})
	}
}

func TestCramMD5(t *testing.T) {
	for password, want := range map[string]string{"secret": in, "other": wrong} {
		s := start(t, nil)
		p := fresh(t, s)
		p.send("AUTH CRAM-MD5")
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.line(), "+ "))
		if err != nil || !regexp.MustCompile(`^<\S+@\S+>$`).Match(challenge) {
			t.Fatalf("challenge %q, %v", challenge, err)
		}
		mac := hmac.New(md5.New, []byte(password))
		mac.Write(challenge)
		p.ask(b64(fmt.Sprintf("alice %x", mac.Sum(nil))), want)
		if got := s.Commands(); !slices.Equal(got, []string{"AUTH CRAM-MD5", "***"}) {
			t.Errorf("transcript %q", got)
		}
	}
}

func TestApop(t *testing.T) {
	s := start(t, func(s *Server) { s.Timestamp = true })
	p := dial(t, s)
	timestamp, ok := strings.CutPrefix(p.line(), "+OK pop3test ready ")
	if !ok || !regexp.MustCompile(`^<\S+@\S+>$`).MatchString(timestamp) {
		t.Fatalf("timestamp %q", timestamp)
	}
	p.ask("APOP alice", "-ERR APOP takes a name and a digest")
	p.ask("APOP alice 00", wrong)
	sum := md5.Sum([]byte(timestamp + "secret"))
	p.ask("APOP alice "+hex.EncodeToString(sum[:]), in)
	if got := s.Commands(); got[2] != "APOP alice ***" {
		t.Errorf("transcript %q", got)
	}
}

func TestWithout(t *testing.T) {
	all := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "USER",
		"SASL PLAIN LOGIN CRAM-MD5", "EXPIRE NEVER", "IMPLEMENTATION pop3test"}
	asked := map[string]string{ // what shows that it is not served either
		"TOP": "TOP 1 0", "UIDL": "UIDL", "USER": "USER alice", "SASL": "AUTH PLAIN", "CAPA": "CAPA", "LIST": "LIST",
	}
	for _, name := range []string{"", "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "USER", "SASL", "EXPIRE", "IMPLEMENTATION", "CAPA", "LIST"} {
		t.Run("without "+name, func(t *testing.T) {
			p := fresh(t, start(t, func(s *Server) { s.Without = []string{name} }))
			if name != "CAPA" {
				want := slices.DeleteFunc(slices.Clone(all), func(c string) bool {
					return name != "" && strings.Fields(c)[0] == name
				})
				p.ask("CAPA", append(append([]string{"+OK capabilities follow"}, want...), ".")...)
			}
			if command := asked[name]; command != "" {
				p.send(command)
				if got := p.line(); !strings.HasPrefix(got, "-ERR unknown ") {
					t.Errorf("%s: %q", command, got)
				}
			}
			if name == "RESP-CODES" || name == "AUTH-RESP-CODE" {
				p.ask("AUTH PLAIN "+b64("\x00x\x00y"), "-ERR wrong user name or password")
			}
		})
	}
}

func TestMechanisms(t *testing.T) {
	p := fresh(t, start(t, func(s *Server) { s.SASL = []string{"LOGIN"} }))
	p.ask("AUTH PLAIN", "-ERR unknown mechanism")
	p.ask("AUTH LOGIN "+b64("alice"), "+ "+b64("Password:"))
	p = fresh(t, start(t, func(s *Server) { s.SASL = []string{} }))
	p.ask("AUTH LOGIN", "-ERR unknown mechanism")
}

func TestLateCapa(t *testing.T) {
	p := fresh(t, start(t, func(s *Server) { s.LateCapa = []string{"UIDL", "PIPELINING"} }))
	capa := func() string {
		p.send("CAPA")
		var lines []string
		for line := p.line(); line != "."; line = p.line() {
			lines = append(lines, line)
		}
		return strings.Join(lines, ";") + ";"
	}
	if got := capa(); strings.Contains(got, "UIDL") || strings.Contains(got, "PIPELINING") || !strings.Contains(got, ";TOP;") {
		t.Errorf("before login: %s", got)
	}
	p.login()
	if got := capa(); !strings.Contains(got, ";UIDL;") || !strings.Contains(got, ";PIPELINING;") {
		t.Errorf("after login: %s", got)
	}
}
