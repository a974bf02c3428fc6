package pop3

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// How servers in the field answer logins. After the last line of a dialog the client sends
// nothing more: after a refusal, a cancelled exchange or nonsense it tries no other method,
// although each server here offers all of them and the client may use them.
func TestLoginDialogs(t *testing.T) {
	const (
		user, password, token = "bob", loginSecret, "ya29.A0x"
		stamp                 = "<1972.987654321@pop.example.org>"
	)
	name, pass := b64(user), b64(password)
	plain := "C: AUTH PLAIN " + b64("\x00"+user+"\x00"+password) + "\n"
	cram := "C: " + b64(user+" "+cramDigest(password, stamp)) + "\n"
	xoauth := "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2(user, token) + "\n"
	bearer := "C: AUTH OAUTHBEARER\nS: +\nC: " + oauthBearer(user, token) + "\n"
	prompts := func(first, second string) string {
		return "C: AUTH LOGIN\nS: +" + first + "\nC: " + name + "\nS: +" + second + "\nC: " + pass + "\n"
	}
	const (
		accepted = "accepted"
		refused  = "refused by the server" // an AuthError that wraps what the server said
		given    = "given up"              // an AuthError of the client's own
		nonsense = "nonsense"              // a ProtocolError
	)
	for _, tt := range []struct {
		name, method string
		greeting     string // "" = with a good timestamp
		dialog       string
		want         string
	}{
		{"the name and the password", "user", "", "C: USER bob\nS: +OK\nC: PASS tanstaaf\nS: +OK", accepted},
		{"the name is refused", "user", "", "C: USER bob\nS: -ERR no such user", refused},
		{"the password is refused", "user", "", "C: USER bob\nS: +OK\nC: PASS tanstaaf\nS: -ERR wrong", refused},

		{"a good timestamp", "apop", "", "C: APOP bob " + apopDigest(password, stamp) + "\nS: +OK", accepted},
		{"the digest is refused", "apop", "", "C: APOP bob " + apopDigest(password, stamp) + "\nS: -ERR wrong", refused},
		{"a timestamp without @", "apop", "+OK ready <1972.987654321>", "", given},
		{"a timestamp without an end", "apop", "+OK ready <1972.987654321@pop.example.org", "", given},
		{"no timestamp", "apop", "+OK ready", "", given},

		{"all at once", "plain", "", plain + "S: +OK", accepted},
		{"refused", "plain", "", plain + "S: -ERR wrong", refused},
		{"asked once more", "plain", "", plain + "S: +\nC: *\nS: -ERR cancelled", given},

		{"the prompts of the draft", "login", "", prompts(" "+b64("Username:"), " "+b64("Password:")) + "S: +OK", accepted},
		{"other words", "login", "", prompts(" "+b64("User Name\x00"), " "+b64("Password\x00")) + "S: +OK", accepted},
		{"another language", "login", "", prompts(" "+b64("Benutzername:"), " "+b64("Kennwort:")) + "S: +OK", accepted},
		{"the words exchanged", "login", "", prompts(" "+b64("Password:"), " "+b64("Username:")) + "S: +OK", accepted},
		{"no words", "login", "", prompts("", "") + "S: +OK", accepted},
		{"words that are not base64", "login", "", "C: AUTH LOGIN\nS: + Username:\nC: *\nS: -ERR cancelled", given},
		{"the name is refused", "login", "", "C: AUTH LOGIN\nS: + " + b64("Username:") + "\nC: " + name + "\nS: -ERR no such user", refused},
		{"the password is refused", "login", "", prompts(" "+b64("Username:"), " "+b64("Password:")) + "S: -ERR wrong", refused},
		{"a third prompt", "login", "", prompts(" "+b64("Username:"), " "+b64("Password:")) + "S: + " + b64("Domain:") + "\nC: *\nS: -ERR cancelled", given},
		{"accepted without the password", "login", "", "C: AUTH LOGIN\nS: + " + b64("Username:") + "\nC: " + name + "\nS: +OK", nonsense},

		{"a challenge", "cram-md5", "", "C: AUTH CRAM-MD5\nS: + " + b64(stamp) + "\n" + cram + "S: +OK", accepted},
		{"the digest is refused", "cram-md5", "", "C: AUTH CRAM-MD5\nS: + " + b64(stamp) + "\n" + cram + "S: -ERR wrong", refused},
		{"announced and not there", "cram-md5", "", "C: AUTH CRAM-MD5\nS: -ERR what", refused},
		{"a challenge that is not base64", "cram-md5", "", "C: AUTH CRAM-MD5\nS: + Rubbish!\nC: *\nS: -ERR AUTH exchange cancelled", given},
		{"cancelled and accepted all the same", "cram-md5", "", "C: AUTH CRAM-MD5\nS: + Rubbish!\nC: *\nS: +OK", nonsense},

		{"a token", "xoauth2", "", xoauth + "S: +OK", accepted},
		{"the token is refused", "xoauth2", "", xoauth + "S: -ERR wrong", refused},
		{"the token is refused with a reason", "xoauth2", "", xoauth + "S: + " + b64(bearerChallenge) + "\nC: \nS: -ERR wrong", refused},
		{"a token", "oauthbearer", "", bearer + "S: +OK", accepted},
		{"the token is refused", "oauthbearer", "", bearer + "S: -ERR wrong", refused},
		{"the token is refused with a reason", "oauthbearer", "", bearer + "S: + " + b64(bearerChallenge) + "\nC: " + dummyResponse + "\nS: -ERR wrong", refused},

		{"a certificate", "external", "", "C: AUTH EXTERNAL " + name + "\nS: +OK", accepted},
		{"the certificate is refused", "external", "", "C: AUTH EXTERNAL " + name + "\nS: -ERR no", refused},
		{"the certificate is not enough", "external", "", "C: AUTH EXTERNAL " + name + "\nS: + " + b64("Password:") + "\nC: *\nS: -ERR cancelled", given},
	} {
		t.Run(tt.method+": "+tt.name, func(t *testing.T) {
			greeting := tt.greeting
			if greeting == "" {
				greeting = "+OK ready " + stamp
			}
			o := &Options{Security: ClearText, Pipelining: PipelineOff, TLS: &tls.Config{Certificates: make([]tls.Certificate, 1)}}
			c, err := peer{script: "S: " + greeting + "\nC: CAPA\nS: +OK\nS: USER\nS: SASL PLAIN LOGIN CRAM-MD5 XOAUTH2 OAUTHBEARER EXTERNAL\nS: TOP\nS: UIDL\nS: PIPELINING\nS: .\n" + tt.dialog}.dial(t, o)
			if err != nil {
				t.Fatal(err)
			}
			if tt.method == "external" {
				c.tls = new(tls.Conn)
			}
			methods := []string{tt.method, "plain", "user", "login"}
			if tt.greeting != "" {
				methods = methods[:1] // without a timestamp the server does not offer APOP, and the next method is in order
			}
			_, err = c.Login(Credentials{User: user, Password: password, Token: token, Methods: methods})
			got := fmt.Sprint(err)
			switch {
			case err == nil && c.State() == Transaction:
				got = accepted
			case isAuthError(err) && errors.As(err, new(*ResponseError)):
				got = refused
			case isAuthError(err):
				got = given
			case isProtocolError(err):
				got = nonsense
			}
			if got != tt.want {
				t.Errorf("%s, want %s: %v", got, tt.want, err)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("the password is in %q", err)
			}
			if c.State() == Transaction != (err == nil) || got != nonsense && c.Broken() != nil {
				t.Errorf("%v, %v", c.State(), c.Broken())
			}
		})
	}
}
