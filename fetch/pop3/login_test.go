package pop3

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"popfetch/internal/mechanism"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func cramDigest(secret, challenge string) string {
	mac := hmac.New(md5.New, []byte(secret))
	mac.Write([]byte(challenge))
	return fmt.Sprintf("%x", mac.Sum(nil))
}

func apopDigest(secret, challenge string) string {
	return fmt.Sprintf("%x", md5.Sum([]byte(challenge+secret)))
}

const loginSecret = "tanstaaf"

// loginAs returns the credentials of bob for a method, loginSecret as its secret.
func loginAs(method string) Credentials {
	cred := Credentials{User: "bob", Password: loginSecret, Methods: []string{method}}
	if slices.Contains(mechanism.Bearers(), strings.ToLower(method)) {
		cred.Password, cred.Token = "", loginSecret
	}
	return cred
}

// The examples of RFC 1939 section 7 (APOP) and RFC 2195 section 2.
func TestDigestsOfTheStandards(t *testing.T) {
	c := connect(t, `
		S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>
		C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
		S: +OK maildrop has 1 message (369 octets)
	`)
	if err := c.Apop("mrose", loginSecret); err != nil || c.State() != Transaction {
		t.Errorf("APOP: %v", err)
	}
	m := mechanism.NewCramMD5("tim", "tanstaaftanstaaf")
	got, err := m.Next([]byte("<1896.697170952@postoffice.reston.mci.net>"))
	if err != nil || string(got) != "tim b913a602c7eda7a495b4e6e7334d3890" {
		t.Errorf("CRAM-MD5: %q, %v", got, err)
	}
}

// scripted returns the methods whose dialogs are the same each time.
func scripted() []string {
	return slices.DeleteFunc(Methods(), func(m string) bool { return strings.HasPrefix(m, "scram-") || m == "external" || m == "gssapi" })
}

// loginScript returns the server's side of a login, with the client's secrets.
func loginScript(method, verdict string) string {
	const challenge = "<1.2@x>"
	scripts := map[string]string{
		"user":        "C: USER bob\nS: +OK\nC: PASS " + loginSecret + "\n",
		"plain":       "C: AUTH PLAIN " + b64("\x00bob\x00"+loginSecret) + "\n",
		"login":       "C: AUTH LOGIN\nS: + " + b64("Username:") + "\nC: " + b64("bob") + "\nS: + " + b64("Password:") + "\nC: " + b64(loginSecret) + "\n",
		"cram-md5":    "C: AUTH CRAM-MD5\nS: + " + b64(challenge) + "\nC: " + b64("bob "+cramDigest(loginSecret, challenge)) + "\n",
		"apop":        "C: APOP bob " + apopDigest(loginSecret, challenge) + "\n",
		"xoauth2":     "C: AUTH XOAUTH2\nS: +\nC: " + b64("user=bob\x01auth=Bearer "+loginSecret+"\x01\x01") + "\n",
		"oauthbearer": "C: AUTH OAUTHBEARER\nS: +\nC: " + b64("n,a=bob,\x01auth=Bearer "+loginSecret+"\x01\x01") + "\n",
	}
	return "S: +OK hi <1.2@x>\nC: CAPA\nS: +OK\nS: USER\nS: SASL PLAIN LOGIN CRAM-MD5 XOAUTH2 OAUTHBEARER\nS: TOP\nS: UIDL\nS: PIPELINING\nS: .\n" +
		scripts[method] + "S: " + verdict + "\n"
}

func TestLoginMethods(t *testing.T) {
	for _, method := range scripted() {
		t.Run(method, func(t *testing.T) {
			c := connect(t, loginScript(method, "+OK"))
			got, err := c.Login(loginAs(strings.ToUpper(method)))
			if got != method || err != nil || c.State() != Transaction {
				t.Errorf("%s, %v, %v", got, err, c.State())
			}
		})
		t.Run(method+" refused", func(t *testing.T) {
			c := connect(t, loginScript(method, "-ERR [AUTH] wrong"))
			_, err := c.Login(loginAs(method))
			var login *AuthError
			var refused *ResponseError
			if !errors.As(err, &login) || login.Method != method || login.User != "bob" ||
				!errors.As(err, &refused) || refused.Code != AuthCode {
				t.Errorf("got %v", err)
			}
			if c.State() != Authorization || c.Broken() != nil {
				t.Errorf("%v, %v", c.State(), c.Broken())
			}
		})
	}
}

// Neither the trace nor an error has a secret in any form, even if the server repeats
// it.
func TestTraceHasNoSecrets(t *testing.T) {
	const challenge = "<1.2@x>"
	secrets := []string{
		loginSecret, b64(loginSecret), b64("\x00bob\x00" + loginSecret),
		cramDigest(loginSecret, challenge), b64("bob " + cramDigest(loginSecret, challenge)),
		apopDigest(loginSecret, challenge), b64(challenge), b64("Password:"),
		b64("user=bob\x01auth=Bearer " + loginSecret + "\x01\x01"),
	}
	for _, method := range scripted() {
		for _, verdict := range []string{"+OK", "-ERR no", "nonsense", "-ERR you sent " + loginSecret + " as " + b64(loginSecret)} {
			var trace bytes.Buffer
			log := slog.New(slog.NewTextHandler(&trace, &slog.HandlerOptions{Level: LevelTrace}))
			c, err := peer{script: loginScript(method, verdict)}.dial(t, &Options{Security: ClearText, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Login(loginAs(method))
			shown := trace.String()
			if err != nil {
				shown += err.Error()
			}
			for _, s := range secrets {
				if strings.Contains(shown, s) {
					t.Errorf("%s: %q in %s", method, s, shown)
				}
			}
			if !strings.Contains(shown, "C: ") || !strings.Contains(shown, "S: ") {
				t.Errorf("%s: no trace: %s", method, shown)
			}
		}
	}
}

func TestTraceIsOneSafeLine(t *testing.T) {
	var trace bytes.Buffer
	log := slog.New(slog.NewTextHandler(&trace, &slog.HandlerOptions{Level: LevelTrace}))
	_, err := peer{script: "S= \"-ERR \\x1b]0;x\\a \\u202e \\xff \\r " + strings.Repeat("y", 1500) + "\\r\\n\""}.
		dial(t, &Options{Security: ClearText, Log: log})
	for _, s := range []string{trace.String(), err.Error() + "\n"} {
		if strings.ContainsAny(s, "\x1b\a\r\u202e") || strings.Contains(s, "\xff") || strings.Count(s, "\n") != 1 || len(s) > 1300 {
			t.Errorf("%q", s)
		}
	}
}

func TestChoice(t *testing.T) {
	sasl := "+OK\nS: USER\nS: SASL PLAIN LOGIN CRAM-MD5\nS: ."
	for _, tt := range []struct {
		name    string
		private bool
		capa    string
		methods []string
		want    string // "" = none
	}{
		{"inside TLS", true, sasl, nil, "plain"},
		{"clear text", false, sasl, nil, "cram-md5"},
		{"clear text without CRAM-MD5", false, "+OK\nS: SASL LOGIN PLAIN\nS: .", nil, "plain"},
		{"USER before LOGIN", true, "+OK\nS: SASL LOGIN\nS: USER\nS: .", nil, "user"},
		{"LOGIN only", true, "+OK\nS: SASL LOGIN\nS: .", nil, "login"},
		{"lower case", true, "+OK\nS: sasl cram-md5\nS: .", nil, "cram-md5"},
		{"no CAPA", true, "-ERR what", nil, "user"},
		{"no CAPA, clear text", false, "-ERR what", nil, "user"},
		{"no hint", true, "+OK\nS: TOP\nS: .", nil, "user"},
		{"unknown mechanisms", true, "+OK\nS: SASL GSSAPI\nS: .", nil, ""},
		{"APOP is never automatic", true, "+OK\nS: SASL GSSAPI\nS: .", nil, ""},
		{"listed order", true, sasl, []string{"login", "plain"}, "login"},
		{"passed over", true, "+OK\nS: SASL PLAIN\nS: .", []string{"cram-md5", "plain"}, "plain"},
		{"no fall-back outside the list", true, "+OK\nS: USER\nS: SASL PLAIN\nS: .", []string{"cram-md5"}, ""},
		{"no CAPA, a list", true, "-ERR what", []string{"cram-md5"}, "cram-md5"},
		{"no CAPA, a list with user", true, "-ERR what", []string{"cram-md5", "user"}, "user"},
		{"listed APOP", true, sasl, []string{"apop"}, "apop"},
		{"unknown name", true, sasl, []string{"plain", "ntlm"}, ""},
		{"empty list", true, sasl, []string{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, "S: +OK <1@x>\nC: CAPA\nS: "+tt.capa)
			if tt.private {
				c.tls = new(tls.Conn)
			}
			if _, err := c.Capa(); err != nil {
				t.Fatal(err)
			}
			got, err := c.choose(Credentials{User: "u", Password: loginSecret, Methods: tt.methods}, c.caps)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestNothingFits(t *testing.T) {
	c := connect(t, "S: +OK\nC: CAPA\nS: +OK\nS: USER\nS: SASL PLAIN\nS: .")
	_, err := c.Login(Credentials{User: "bob", Password: loginSecret, Methods: []string{"cram-md5"}})
	var login *AuthError
	if !errors.As(err, &login) || !strings.Contains(err.Error(), "(cram-md5)") || !strings.Contains(err.Error(), "SASL PLAIN") {
		t.Errorf("got %v", err)
	}
}

// A user or password that would end a command line early is refused before anything is sent.
func TestUnsendableCredentials(t *testing.T) {
	for _, bad := range []string{"a\r", "a\nDELE 1", "a\x00b"} {
		for _, cred := range []Credentials{{User: bad, Password: "x"}, {User: "x", Password: bad}} {
			c := connect(t, "S: +OK <1@x>")
			_, err := c.Login(cred)
			for _, err := range []error{err, c.UserPass(cred.User, cred.Password), c.Apop(cred.User, cred.Password)} {
				var login *AuthError
				if !errors.As(err, &login) || strings.Contains(err.Error(), "DELE 1") && bad == cred.Password {
					t.Errorf("got %v", err)
				}
			}
		}
	}
}

func TestCredentialsVerbatim(t *testing.T) {
	user, password := "john doe+x@host \xfc", " p%s \"w\" \xff\t"+strings.Repeat("x", 4096)
	client, server := tcpPair(t)
	done := make(chan string)
	go func() {
		server.Write([]byte("+OK\r\n"))
		var all []byte
		buf := make([]byte, 8192)
		for range 2 {
			for {
				n, err := server.Read(buf)
				all = append(all, buf[:n]...)
				if err != nil || bytes.HasSuffix(all, []byte("\r\n")) {
					break
				}
			}
			server.Write([]byte("+OK\r\n"))
		}
		server.Close()
		done <- string(all)
	}()
	c, err := NewClient(t.Context(), client, "h", &Options{Security: ClearText})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.UserPass(user, password); err != nil {
		t.Error(err)
	}
	if got := <-done; got != "USER "+user+"\r\nPASS "+password+"\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestInitialResponseLength(t *testing.T) {
	for _, tt := range []struct {
		name   string
		octets int // of the whole AUTH line
		inline bool
	}{{"255", 255, true}, {"more", 256, false}} {
		// "AUTH PLAIN " + base64 + CRLF; base64 comes in fours.
		password := strings.Repeat("p", 180-3)
		if !tt.inline {
			password += "p"
		}
		encoded := b64("\x00u\x00" + password)
		script := "S: +OK\nC: AUTH PLAIN " + encoded + "\nS: +OK"
		if !tt.inline {
			script = "S: +OK\nC: AUTH PLAIN\nS: +\nC: " + encoded + "\nS: +OK"
		}
		c := connect(t, script)
		if err := c.converse(c.dialogOf("plain", Credentials{User: "u", Password: password}, c.caps), false, nil, nil); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// steps is a mechanism that answers with its own challenges.
type steps struct {
	ir   []byte
	fail error
}

func (s steps) Start() (string, []byte, error) { return "X", s.ir, nil }
func (s steps) Next(ch []byte) ([]byte, error) { return ch, s.fail }

func TestExchange(t *testing.T) {
	bad := errors.New("wrong signature")
	for _, tt := range []struct {
		name   string
		m      steps
		script string
		check  func(error) bool
	}{
		{"echo", steps{}, "C: AUTH X\nS: + YQ==\nC: YQ==\nS: +\nC: \nS: +OK", func(err error) bool { return err == nil }},
		{"empty initial response", steps{ir: []byte{}}, "C: AUTH X =\nS: +OK", func(err error) bool { return err == nil }},
		{"not base64", steps{}, "C: AUTH X\nS: + ???\nC: *\nS: -ERR", isAuthError},
		{"refused by us", steps{fail: bad}, "C: AUTH X\nS: + YQ==\nC: *\nS: -ERR",
			func(err error) bool { return isAuthError(err) && errors.Is(err, bad) }},
		{"accepted though cancelled", steps{fail: bad}, "C: AUTH X\nS: + YQ==\nC: *\nS: +OK", isProtocolError},
		{"never ends", steps{}, "C: AUTH X\n" + strings.Repeat("S: +\nC: \n", maxChallenges-1) + "S: +", isProtocolError},
		{"plus without blank", steps{}, "C: AUTH X\nS: +YQ==", isProtocolError},
		{"accepted before it was sent", steps{ir: bytes.Repeat([]byte("x"), 300)}, "C: AUTH X\nS: +OK", isProtocolError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, "S: +OK\n"+tt.script)
			if err := c.Auth(tt.m); !tt.check(err) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("CRAM-MD5 without a challenge", func(t *testing.T) {
		c := connect(t, "S: +OK\nC: AUTH CRAM-MD5\nS: +OK")
		if err := c.Auth(mechanism.NewCramMD5("u", "s")); !isProtocolError(err) || c.State() != Authorization {
			t.Errorf("got %v", err)
		}
	})
	t.Run("CRAM-MD5 with two", func(t *testing.T) {
		c := connect(t, "S: +OK\nC: AUTH CRAM-MD5\nS: + YQ==\nC: "+b64("u "+cramDigest("s", "a"))+"\nS: + YQ==\nC: *\nS: -ERR")
		if err := c.Auth(mechanism.NewCramMD5("u", "s")); !isAuthError(err) {
			t.Errorf("got %v", err)
		}
	})
}

func isAuthError(err error) bool     { return errors.As(err, new(*AuthError)) }
func isResponseError(err error) bool { return errors.As(err, new(*ResponseError)) }
func isProtocolError(err error) bool { return errors.As(err, new(*ProtocolError)) }

func TestTimestamp(t *testing.T) {
	for _, tt := range []struct{ greeting, want string }{
		{"ready <1@x>", "<1@x>"},
		{"<1.2@[127.0.0.1]> ready", "<1.2@[127.0.0.1]>"},
		{"ready", ""}, {"<1@x", ""}, {"1@x>", ""}, {"<>", ""}, {"<1>", ""}, {"<@>", ""}, {"<1@>", ""}, {"<@x>", ""},
		{"<1 2@x>", ""}, {"<1@x\x80>", ""}, {"<1@\x00x>", ""}, {"<a<1@x>", ""}, {"<1@x@y>", ""}, {"<1\t@x>", ""}, {"<1\x7f@x>", ""},
	} {
		if got := timestamp(tt.greeting); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.greeting, got, tt.want)
		}
	}
}

func TestCapabilitiesAfterLogin(t *testing.T) {
	login := "C: USER u\nS: +OK\nC: PASS x\nS: +OK\n"
	for _, tt := range []struct {
		name, script, want string
		pipelining         Pipelining
	}{
		{"late", "C: CAPA\nS: +OK\nS: USER\nS: .\n" + login + "C: CAPA\nS: +OK\nS: UIDL\nS: TOP\nS: .", "UIDL TOP", PipelineAuto},
		{"complete", "C: CAPA\nS: +OK\nS: USER\nS: TOP\nS: UIDL\nS: PIPELINING\nS: .\n" + login, "USER TOP UIDL PIPELINING", PipelineAuto},
		{"no pipelining wanted", "C: CAPA\nS: +OK\nS: USER\nS: TOP\nS: UIDL\nS: .\n" + login, "USER TOP UIDL", PipelineOff},
		{"refused now", "C: CAPA\nS: +OK\nS: USER\nS: .\n" + login + "C: CAPA\nS: -ERR", "USER", PipelineAuto},
		{"none at all", "C: CAPA\nS: -ERR\n" + login, "", PipelineAuto},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := peer{script: "S: +OK\n" + tt.script}.dial(t, &Options{Security: ClearText, Pipelining: tt.pipelining})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Login(Credentials{User: "u", Password: "x"}); err != nil {
				t.Fatal(err)
			}
			caps := c.Capabilities()
			if got := strings.Join(caps.Names(), " "); got != tt.want || !caps.Asked || caps.Known != (tt.want != "") {
				t.Errorf("%q, %v", got, caps)
			}
		})
	}
}

func TestServerThatClosesTheConnectionBehindCapaIsNotAsked(t *testing.T) {
	cred := Credentials{User: "u", Password: "x"}
	_, err := connect(t, "S: +OK\nC: CAPA\nS: -ERR\nC: USER u\nCLOSE").Login(cred)
	if !errors.As(err, new(*CapaError)) {
		t.Errorf("got %v", err)
	}
	_, err = connect(t, "S: +OK\nC: CAPA\nS: -ERR\nC: USER u\nS: +OK\nC: PASS x\nCLOSE").Login(cred)
	if err == nil || errors.As(err, new(*CapaError)) { // the password may be the reason
		t.Errorf("behind PASS: %v", err)
	}
	cred.WithoutCapa = true
	cred.Expected.Before = ParseCapabilities([]string{"USER", "PIPELINING"})
	if _, err := connect(t, "S: +OK\nC: USER u\nS: +OK\nC: PASS x\nS: +OK").Login(cred); err != nil {
		t.Error(err)
	}
}

// Login asks for the capabilities again inside TLS.
func TestLoginInsideTLS(t *testing.T) {
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{issueFor(t, ca, "pop.example.org")}}
	c, err := secure(t, &Options{Security: StartTLS, TLS: &tls.Config{RootCAs: ca.Pool()}, Pipelining: PipelineOff}, server, "+OK\r\n",
		"C: CAPA\nS: +OK\nS: SASL CRAM-MD5 PLAIN\nS: UIDL\nS: TOP\nS: .\nC: AUTH PLAIN "+b64("\x00bob\x00"+loginSecret)+"\nS: +OK")
	if err != nil {
		t.Fatal(err)
	}
	if method, err := c.Login(Credentials{User: "bob", Password: loginSecret}); method != "plain" || err != nil {
		t.Errorf("%s, %v", method, err)
	}
	if in, out := c.Octets(); in == 0 || out == 0 {
		t.Errorf("%d in, %d out", in, out)
	}
}

// A password that the server repeats after the login is not shown either.
func TestErrorsAfterLoginHaveNoSecrets(t *testing.T) {
	for _, method := range []string{"user", "plain"} {
		script := loginScript(method, "+OK") + "C: NOOP\nS: -ERR [SYS/TEMP] " + loginSecret + " or " + b64(loginSecret) + "\n"
		c, err := peer{script: script}.dial(t, &Options{Security: ClearText})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Login(loginAs(method)); err != nil {
			t.Fatal(err)
		}
		err = c.Noop()
		if err == nil || strings.Contains(err.Error(), loginSecret) || strings.Contains(err.Error(), b64(loginSecret)) {
			t.Errorf("%s: %v", method, err)
		}
	}
}
