package cli_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"popfetch/fetch/pop3/pop3test"
)

// secret is the password of every user of a popserver.
const secret = "correct horse"

// popServer is a server of a script, and what was said there.
type popServer struct {
	*pop3test.Server
	made map[string]int // messages made for a user so far: unique-ids are never used again

	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed with the next line
}

func serverCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"popserver": startServer,
		"faults":    setFaults,
		"addmail":   addMail,
		"maildrop":  maildrop,
		"awaits":    awaits,
		"anew":      anew,
		"commands":  commands,
	}
}

// startServer starts a server that ends with the script, and sets $NAME to its
// address, $NAME_PORT to its port, $NAME_CA to a file with its certificate and $NAME_PIN to the
// fingerprint of that. TLS begins at once unless there is -starttls or
// -clear; -without CAPA,... leaves capabilities out, -at ADDRESS listens there.
// Each user has the password of secret, and MAIL: how many messages to make up,
// or a directory with one file for each, whose name is the unique-id.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 0, "popserver NAME [-flag...] USER=MAIL...")
	name, args := args[0], args[1:]
	s := &popServer{Server: &pop3test.Server{Users: make(map[string]*pop3test.User)}, made: make(map[string]int), changed: make(chan struct{})}
	s.Log = s.note
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch arg {
		case "-starttls":
			s.Security = pop3test.StartTLS
		case "-clear":
			s.Security = pop3test.ClearText
		case "-timestamp":
			s.Timestamp = true
		case "-without":
			s.Without, args = strings.Split(args[0], ","), args[1:]
		case "-at":
			s.Listen, args = args[0], args[1:]
		default:
			user, mail, ok := strings.Cut(arg, "=")
			if !ok {
				ts.Fatalf("%q is no user", arg)
			}
			s.Users[user] = &pop3test.User{Password: secret, Maildrop: pop3test.NewMaildrop(s.messages(ts, user, mail)...)}
		}
	}
	ts.Check(s.Start())
	ts.Defer(func() { s.Close() })
	worldOf(ts).servers[name] = s
	ts.Setenv(name, s.Addr())
	ts.Setenv(name+"_PORT", strconv.Itoa(s.Port()))
	if s.Security != pop3test.ClearText {
		ca := filepath.Join(ts.Getenv("WORK"), name+".pem")
		ts.Check(os.WriteFile(ca, s.CertPEM(), 0o600))
		block, _ := pem.Decode(s.CertPEM())
		ts.Setenv(name+"_CA", ca)
		ts.Setenv(name+"_PIN", fmt.Sprintf("%x", sha256.Sum256(block.Bytes)))
		cert, err := x509.ParseCertificate(block.Bytes)
		ts.Check(err)
		key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
		ts.Setenv(name+"_KEY", "pin-sha256:"+base64.StdEncoding.EncodeToString(key[:]))
	}
}

// messages makes up messages, or reads them from a directory.
func (s *popServer) messages(ts *testscript.TestScript, user, mail string) []pop3test.Message {
	var all []pop3test.Message
	if n, err := strconv.Atoi(mail); err == nil {
		for range n {
			s.made[user]++
			i := s.made[user]
			text := fmt.Sprintf("From: bob@example.org\nSubject: message %d\n\nThis is message %d for %s.\n", i, i, user)
			all = append(all, pop3test.Message{UID: fmt.Sprintf("%s-%d", user, i), Raw: pop3test.Text(text)})
		}
		return all
	}
	for _, name := range names(ts, mail) {
		all = append(all, pop3test.Message{UID: name, Raw: pop3test.Text(ts.ReadFile(filepath.Join(mail, name)))})
	}
	return all
}

func serverOf(ts *testscript.TestScript, name string) *popServer {
	s := worldOf(ts).servers[name]
	if s == nil {
		ts.Fatalf("there is no server %q", name)
	}
	return s
}

func dropOf(ts *testscript.TestScript, name, user string) *pop3test.Maildrop {
	u := serverOf(ts, name).Users[user]
	if u == nil {
		ts.Fatalf("server %q has no user %q", name, user)
	}
	return u.Maildrop
}

func addMail(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 3, 3, "addmail NAME USER MAIL")
	dropOf(ts, args[0], args[1]).Add(serverOf(ts, args[0]).messages(ts, args[1], args[2])...)
}

func maildrop(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 3, 3, "maildrop NAME USER N")
	serverOf(ts, args[0]).Wait()
	if n := len(dropOf(ts, args[0], args[1]).Messages()); n != number(ts, args[2]) {
		ts.Fatalf("the maildrop of %s holds %d messages, want %s", args[1], n, args[2])
	}
}

func commands(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 1, 1, "commands NAME")
	s := serverOf(ts, args[0])
	s.Wait()
	for _, line := range s.Commands() {
		fmt.Fprintln(ts.Stdout(), line)
	}
}

func awaits(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 3, 3, "awaits NAME N PATTERN")
	ts.Check(serverOf(ts, args[0]).await(number(ts, args[1]), pattern(ts, args[2])))
}

// anew waits for the sessions that run and makes awaits count from here.
func anew(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 1, 1, "anew NAME")
	s := serverOf(ts, args[0])
	s.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = nil
}

// note is the server's Log.
func (s *popServer) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
	close(s.changed)
	s.changed = make(chan struct{})
}

// await returns when n lines match.
func (s *popServer) await(n int, re *regexp.Regexp) error {
	limit := time.After(patience)
	for {
		s.mu.Lock()
		seen, changed := 0, s.changed
		for _, line := range s.lines {
			if re.MatchString(line) {
				seen++
			}
		}
		s.mu.Unlock()
		if seen >= n {
			return nil
		}
		select {
		case <-changed:
		case <-limit:
			return fmt.Errorf("%d lines match %q, want %d", seen, re, n)
		}
	}
}

func setFaults(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 1, 0, "faults NAME FAULT...")
	var faults []pop3test.Fault
	for _, arg := range args[1:] {
		f, err := parseFault(arg)
		ts.Check(err)
		faults = append(faults, f)
	}
	serverOf(ts, args[0]).SetFaults(faults...)
}

// parseFault reads "POINT: KIND [ARGUMENT]", for example
//
//	RETR 2: drop 40         after 40 octets; reset, stall and cut likewise
//	AUTH: err [IN-USE] no   -ERR and the text, in which \n and the like are as in Go
//	LIST: raw garbage       octets in place of the reply
//	RETR: slow 20 50ms      20 octets at a time
//	STAT: once err later    the first time only
func parseFault(s string) (f pop3test.Fault, err error) {
	at, rest, ok := strings.Cut(s, ": ")
	if !ok {
		return f, fmt.Errorf("fault %q: no colon", s)
	}
	f.At = at
	if after, ok := strings.CutPrefix(rest, "once "); ok {
		f.Times, rest = 1, after
	}
	kind, arg, _ := strings.Cut(rest, " ")
	text, err := strconv.Unquote(`"` + arg + `"`)
	if err != nil {
		return f, fmt.Errorf("fault %q: %w", s, err)
	}
	cuts := map[string]pop3test.Kind{"drop": pop3test.Drop, "cut": pop3test.CutTLS, "reset": pop3test.Reset, "stall": pop3test.Stall}
	says := map[string]pop3test.Kind{"err": pop3test.Err, "raw": pop3test.Raw, "extra": pop3test.Extra, "endless": pop3test.Endless}
	switch {
	case cuts[kind] != 0 && arg == "":
		f.Do = cuts[kind]
	case cuts[kind] != 0:
		f.Do = cuts[kind]
		f.After, err = strconv.ParseInt(arg, 10, 64)
	case says[kind] != 0:
		f.Do, f.Text = says[kind], text
	case kind == "slow":
		var delay string
		f.Do = pop3test.Slow
		if _, err = fmt.Sscanf(arg, "%d %s", &f.N, &delay); err == nil {
			f.Delay, err = time.ParseDuration(delay)
		}
	default:
		err = fmt.Errorf("unknown kind %q", kind)
	}
	if err != nil {
		return f, fmt.Errorf("fault %q: %w", s, err)
	}
	return f, nil
}
