package pop3test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/xdg-go/scram"
)

// maxAuthLine is the longest AUTH command with an initial response, CRLF
// included: RFC 2449 section 4, RFC 5034 section 4.
const maxAuthLine = 255

// masked returns a client's line without the secret in it.
func masked(verb, line string) string {
	words := strings.SplitN(line, " ", 3)
	switch {
	case verb == "PASS" && len(words) > 1:
		return words[0] + " ***"
	case (verb == "APOP" || verb == "AUTH") && len(words) > 2:
		return words[0] + " " + words[1] + " ***"
	}
	return line
}

func nonce() string { return rand.Text() }

// RFC 1939 section 7 (USER). Every name is accepted, whether it exists or not.
func (s *session) cmdUser(name string) reply {
	s.user = name
	return ok("now the password")
}

// RFC 1939 section 7 (PASS)
func (s *session) pass(password string) reply {
	if s.user == "" || s.server.lacks("USER") {
		return s.no("", "USER comes first")
	}
	name := s.user
	s.user = ""
	return s.login(name, func(u *User) bool { return u.Password == password })
}

// RFC 1939 section 7 (APOP)
func (s *session) apop(arg string) reply {
	if s.timestamp == "" {
		return s.no("", "unknown command")
	}
	// The name may have blanks, the digest has none.
	i := strings.LastIndexByte(arg, ' ')
	if i < 0 {
		return s.no("", "APOP takes a name and a digest")
	}
	return s.login(arg[:i], func(u *User) bool {
		sum := md5.Sum([]byte(s.timestamp + u.Password))
		return hex.EncodeToString(sum[:]) == arg[i+1:]
	})
}

// login opens the maildrop of a user if the proof is right.
func (s *session) login(name string, right func(*User) bool) reply {
	u, known := s.server.Users[name]
	if !known || !right(u) {
		return s.no("AUTH", "wrong user name or password") // RFC 3206 section 4
	}
	messages, result := u.Maildrop.acquire(s.server.lockWait(), s.server.LoginDelay)
	switch result {
	case inUse:
		return s.no("IN-USE", "maildrop is in use by another session")
	case tooEarly:
		return s.no("LOGIN-DELAY", "maildrop was visited a moment ago")
	}
	s.maildrop = u.Maildrop
	h := s.server.Habits
	s.view = newView(h.arrive(u.Maildrop, messages))
	h.show(s.view, u.Maildrop, s.num)
	s.view = renumber(distort(s.view, s.whole))
	s.state = transaction
	if h.DropBehindLogin {
		s.in.Discard(s.in.Buffered())
	}
	return ok("%d messages", len(s.view))
}

// RFC 5034 section 4 (AUTH)
func (s *session) auth(arg string) (reply, error) {
	mechanism, initial, has := strings.Cut(arg, " ")
	mechanism = strings.ToUpper(mechanism)
	if !slices.Contains(s.mechanisms(), mechanism) {
		return s.no("", "unknown mechanism"), nil
	}
	if has && len("AUTH ")+len(arg)+len("\r\n") > maxAuthLine {
		return s.no("", "initial response too long"), nil
	}
	x := &exchange{session: s, initial: initial, has: has}
	var r reply
	switch mechanism {
	case "PLAIN":
		r = x.plain()
	case "LOGIN":
		r = x.login()
	case "CRAM-MD5":
		r = x.cramMD5()
	case "XOAUTH2", "OAUTHBEARER":
		r = x.bearer(mechanism)
	case "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS":
		r = x.scram(mechanism)
	case "EXTERNAL":
		r = x.external()
	default:
		return s.no("", "unknown mechanism"), nil
	}
	if x.refusal != "" {
		r = s.no("", x.refusal)
	}
	return r, x.err
}

// exchange is one SASL exchange. It sends no challenge after refusal or err is set.
type exchange struct {
	session *session
	initial string // base64
	has     bool   // the initial response has not been used yet
	refusal string
	err     error
}

// ask sends a challenge and returns the response. With initial an initial response of
// the client answers instead, and nothing is sent.
func (x *exchange) ask(challenge string, initial bool) string {
	if x.refusal != "" || x.err != nil {
		return ""
	}
	line := x.initial
	if initial && x.has {
		x.has = false
		if line == "=" { // RFC 5034 section 4: an empty initial response
			return ""
		}
	} else if line = x.exchange(challenge); line == "*" {
		x.refusal = "cancelled"
		return ""
	}
	response, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		x.refusal = "response is not base64"
	}
	return string(response)
}

func (x *exchange) exchange(challenge string) string {
	s, command := x.session, x.session.now
	defer func() { s.now = command }()
	s.now = s.strike("challenge")
	x.err = s.send(reply{status: "+ " + base64.StdEncoding.EncodeToString([]byte(challenge))})
	if x.err != nil {
		return ""
	}
	var line string
	if line, x.err = s.readLine(); errors.Is(x.err, errLongLine) {
		x.refusal, x.err = "line too long", nil
	}
	if x.refusal != "" || x.err != nil {
		return ""
	}
	if line == "*" {
		s.server.note(s.num, line)
	} else {
		s.server.note(s.num, "***")
	}
	return line
}

// RFC 4616
func (x *exchange) plain() reply {
	parts := strings.Split(x.ask("", true), "\x00")
	if x.refusal != "" || x.err != nil {
		return reply{}
	}
	if len(parts) != 3 {
		return x.session.no("", "not a PLAIN response")
	}
	if parts[0] != "" && parts[0] != parts[1] {
		return x.session.no("AUTH", "no such authorization identity")
	}
	return x.session.login(parts[1], func(u *User) bool { return u.Password == parts[2] })
}

// login is the mechanism LOGIN. draft-murchison-sasl-login
func (x *exchange) login() reply {
	name := x.ask("Username:", true)
	password := x.ask("Password:", false)
	if x.refusal != "" || x.err != nil {
		return reply{}
	}
	return x.session.login(name, func(u *User) bool { return u.Password == password })
}

// RFC 2195
func (x *exchange) cramMD5() reply {
	if x.has {
		x.refusal = "CRAM-MD5 has no initial response"
		return reply{}
	}
	challenge := "<" + nonce() + "@pop3test.example>"
	response := x.ask(challenge, false)
	if x.refusal != "" || x.err != nil {
		return reply{}
	}
	i := strings.LastIndexByte(response, ' ')
	if i < 0 {
		return x.session.no("", "not a CRAM-MD5 response")
	}
	return x.session.login(response[:i], func(u *User) bool {
		mac := hmac.New(md5.New, []byte(u.Password))
		mac.Write([]byte(challenge))
		return hex.EncodeToString(mac.Sum(nil)) == response[i+1:]
	})
}

// bearer is XOAUTH2, or OAUTHBEARER of RFC 7628. It refuses a token with a challenge that
// says why, as Google and Dovecot do.
func (x *exchange) bearer(mechanism string) reply {
	fields := strings.Split(x.ask("", true), "\x01")
	if x.refusal != "" || x.err != nil {
		return reply{}
	}
	var name, token string
	for _, field := range fields {
		if t, ok := strings.CutPrefix(field, "auth=Bearer "); ok {
			token = t
		}
		if n, ok := strings.CutPrefix(field, "user="); ok {
			name = n
		}
		if n, ok := strings.CutPrefix(field, "n,a="); ok {
			name = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(strings.TrimSuffix(n, ","))
		}
	}
	u, known := x.session.server.Users[name]
	if !known || token == "" || u.Token != token {
		answer := x.ask(`{"status":"invalid_token","scope":"https://mail.example.com/","schemes":"bearer"}`, false)
		switch {
		case x.refusal != "" || x.err != nil:
			return reply{}
		case mechanism == "OAUTHBEARER" && answer != "\x01": // RFC 7628 section 3.2.3
			return x.session.no("", "not the response to an error challenge")
		}
		return x.session.no("AUTH", "the token is not valid")
	}
	return x.session.login(name, func(*User) bool { return true })
}

// scram is one of the mechanisms of RFC 5802 and 7677.
func (x *exchange) scram(mechanism string) reply {
	s := x.session
	hash := scram.SHA256
	if strings.HasPrefix(mechanism, "SCRAM-SHA-1") {
		hash = scram.SHA1
	}
	iterations := s.server.Iterations
	if iterations == 0 {
		iterations = 4096
	}
	var name string
	server, err := hash.NewServer(func(user string) (scram.StoredCredentials, error) {
		name = user
		u, known := s.server.Users[user]
		if !known {
			return scram.StoredCredentials{}, errors.New("unknown user")
		}
		client, err := hash.NewClient(user, u.Password, "")
		if err != nil {
			return scram.StoredCredentials{}, err
		}
		return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of " + user, Iters: iterations})
	})
	if err != nil {
		return s.no("SYS/TEMP", "SCRAM is out of order: "+err.Error())
	}
	talk := server.NewConversation()
	if s.binds() {
		binding, err := s.binding()
		if err != nil {
			return s.no("SYS/TEMP", "SCRAM is out of order: "+err.Error())
		}
		if talk = server.NewConversationWithChannelBinding(binding); strings.HasSuffix(mechanism, "-PLUS") {
			talk = server.NewConversationWithChannelBindingRequired(binding)
		}
	}
	challenge := ""
	for first := true; !talk.Done(); first = false {
		response := x.ask(challenge, first)
		if x.refusal != "" || x.err != nil {
			return reply{}
		}
		if challenge, err = talk.Step(response); err != nil {
			return s.no("AUTH", "wrong user name or password")
		}
	}
	x.ask(challenge, false) // the proof of the server, which the client answers with nothing
	if x.refusal != "" || x.err != nil {
		return reply{}
	}
	return s.login(name, func(*User) bool { return talk.Valid() })
}

// binds reports whether the server offers a mechanism that binds the login to TLS.
func (s *session) binds() bool {
	return slices.ContainsFunc(s.mechanisms(), func(m string) bool { return strings.HasSuffix(m, "-PLUS") })
}

// binding is RFC 9266 for TLS 1.3, and tls-server-end-point of RFC 5929 before that.
func (s *session) binding() (scram.ChannelBinding, error) {
	conn, ok := s.conn.(*tls.Conn)
	if !ok {
		return scram.ChannelBinding{}, errors.New("no TLS")
	}
	state := conn.ConnectionState()
	if state.Version >= tls.VersionTLS13 {
		return scram.NewTLSExporterBinding(&state)
	}
	own, err := x509.ParseCertificate(s.server.config.Certificates[0].Certificate[0])
	if err != nil {
		return scram.ChannelBinding{}, err
	}
	return scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{own}})
}

// external takes the user from the client's certificate. RFC 4422 appendix A
func (x *exchange) external() reply {
	s := x.session
	wanted := x.ask("", true)
	if x.refusal != "" || x.err != nil {
		return reply{}
	}
	conn, ok := s.conn.(*tls.Conn)
	if !ok || len(conn.ConnectionState().PeerCertificates) == 0 {
		return s.no("AUTH", "no certificate")
	}
	name := conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	if wanted != "" && wanted != name {
		return s.no("AUTH", "the certificate is for somebody else")
	}
	return s.login(name, func(*User) bool { return true })
}
