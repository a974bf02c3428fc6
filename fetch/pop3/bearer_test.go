package pop3

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"popfetch/internal/mechanism"
)

const (
	bearerChallenge = `{"status":"invalid_token","scope":"https://mail.example.com/","schemes":"bearer"}`
	dummyResponse   = "AQ==" // RFC 7628 section 3.2.3
)

func xoauth2(user, token string) string {
	return b64("user=" + user + "\x01auth=Bearer " + token + "\x01\x01")
}

func oauthBearer(saslName, token string) string {
	return b64("n,a=" + saslName + ",\x01auth=Bearer " + token + "\x01\x01")
}

// The dialogs of a login with an access token, each against a server that offers this
// method.
func TestTokenDialogs(t *testing.T) {
	long := strings.Repeat("eyJ0", 1500) // 6,000 octets
	for _, tt := range []struct {
		name, method, user, token string
		dialog                    string
		want                      string // part of the error, "" = accepted
	}{
		{"xoauth2", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: +OK", ""},
		{"oauthbearer", "oauthbearer", "me", "ya29.A0x", "C: AUTH OAUTHBEARER\nS: +\nC: " + oauthBearer("me", "ya29.A0x") + "\nS: +OK", ""},
		{"a challenge that is not empty", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: + " + b64("go on") + "\nC: " + xoauth2("me", "ya29.A0x") + "\nS: +OK", ""},
		{"6,000 octets", "xoauth2", "me", long, "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", long) + "\nS: +OK", ""},
		{"6,000 octets, oauthbearer", "oauthbearer", "me", long, "C: AUTH OAUTHBEARER\nS: +\nC: " + oauthBearer("me", long) + "\nS: +OK", ""},
		{"comma and equals sign in the user", "oauthbearer", "a,b=c", "ya29.A0x", "C: AUTH OAUTHBEARER\nS: +\nC: " + oauthBearer("a=2Cb=3Dc", "ya29.A0x") + "\nS: +OK", ""},

		// A server that wants the response with the command.
		{"one line demanded", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: -ERR missing initial response\nC: AUTH XOAUTH2 " + xoauth2("me", "ya29.A0x") + "\nS: +OK", ""},
		{"one line demanded, refused", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: -ERR what\nC: AUTH XOAUTH2 " + xoauth2("me", "ya29.A0x") + "\nS: -ERR no", "the server refused the access token: AUTH XOAUTH2: server said \"-ERR no\""},

		{"refused at once, as Exchange Online does", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: -ERR Authentication failure",
			"the server refused the access token: AUTH XOAUTH2: server said \"-ERR Authentication failure\""},
		{"refused with a reason", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: + " + b64(bearerChallenge) + "\nC: \nS: -ERR no",
			`refused the access token (status "invalid_token", scope "https://mail.example.com/"): AUTH XOAUTH2: server said "-ERR no"`},
		{"refused with a number, as Google does", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: + " + b64(`{"status":"400","schemes":"Bearer","scope":"s"}`) + "\nC: \nS: -ERR no",
			`(status "400", scope "s")`},
		{"refused with a JSON number", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: + " + b64(`{"status":401}`) + "\nC: \nS: -ERR no", `(status "401")`},
		{"refused with a reason that is not JSON", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: + " + b64("<html>") + "\nC: \nS: -ERR no", "refused the access token: AUTH"},
		{"oauthbearer refused with a reason", "oauthbearer", "me", "ya29.A0x", "C: AUTH OAUTHBEARER\nS: +\nC: " + oauthBearer("me", "ya29.A0x") + "\nS: + " + b64(bearerChallenge) + "\nC: " + dummyResponse + "\nS: -ERR no",
			`(status "invalid_token", scope "https://mail.example.com/")`},
		{"busy", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: -ERR [IN-USE] busy", `with method xoauth2: AUTH XOAUTH2: server said`},
		{"busy before the token", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: -ERR [SYS/TEMP] later", `with method xoauth2: AUTH XOAUTH2: server said`},
		{"accepted after a refusal", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: + " + b64(bearerChallenge) + "\nC: \nS: +OK", "accepted before the exchange was complete"},
		{"refused for ever", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nS: + " + b64(bearerChallenge) + "\nC: \nS: + " + b64(bearerChallenge) + "\nC: *\nS: -ERR no", "goes on asking"},
		{"accepted without the token", "xoauth2", "me", "ya29.A0x", "C: AUTH XOAUTH2\nS: +OK", "accepted before the exchange was complete"},

		{"a token with a blank", "xoauth2", "me", "to k", "", "the access token contains a blank"},
		{"a token with the separator", "xoauth2", "me", "ya29\x01auth=x", "", "the access token contains"},
		{"a user with the separator", "oauthbearer", "me\x01x", "ya29.A0x", "", "the user name contains the control character U+0001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, "S: +OK\nC: CAPA\nS: +OK\nS: SASL PLAIN "+strings.ToUpper(tt.method)+"\nS: UIDL\nS: TOP\nS: PIPELINING\nS: .\n"+tt.dialog)
			method, err := c.Login(Credentials{User: tt.user, Token: tt.token, Methods: []string{tt.method}})
			if tt.want == "" {
				if err != nil || method != tt.method || c.State() != Transaction {
					t.Errorf("%s, %v", method, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || c.State() == Transaction {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if errors.As(err, new(*TokenError)) != strings.Contains(err.Error(), "refused the access token") {
				t.Errorf("the type does not say what the text says: %v", err)
			}
		})
	}
}

// A token and a password are for different methods, whatever the server offers.
func TestNoTokenByPasswordMethodsAndNoPasswordAsToken(t *testing.T) {
	const offer = "S: +OK <1.2@x>\nC: CAPA\nS: +OK\nS: USER\nS: SASL %s\nS: UIDL\nS: TOP\nS: PIPELINING\nS: .\n"
	token, password := Credentials{User: "me", Token: "ya29.A0x"}, Credentials{User: "me", Password: "pw"}
	for _, tt := range []struct {
		name, sasl string
		cred       Credentials
		methods    []string
	}{
		{"token, automatic", "PLAIN LOGIN CRAM-MD5", token, mechanism.Bearers()},
		{"token, every other method named", "PLAIN LOGIN CRAM-MD5", token, []string{"plain", "user", "login", "cram-md5", "apop"}},
		{"password, automatic", "XOAUTH2 OAUTHBEARER", password, []string{"plain", "login", "cram-md5"}},
		{"password, methods named", "XOAUTH2 OAUTHBEARER", password, mechanism.Bearers()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, fmt.Sprintf(offer, tt.sasl))
			tt.cred.Methods = tt.methods
			method, err := c.Login(tt.cred)
			if !errors.As(err, new(*MethodError)) {
				t.Errorf("%s, %v", method, err)
			}
		})
	}
	t.Run("token in clear text", func(t *testing.T) {
		c := connect(t, fmt.Sprintf(offer, "XOAUTH2"))
		if _, err := c.Login(token); !errors.Is(err, ErrClearToken) || !isAuthError(err) {
			t.Errorf("got %v", err)
		}
	})
}

// A server that was visited before gets the next commands together with the token. If it
// refuses the token with a challenge, the first of them is its answer: the session is
// over, and the reason is the token.
func TestRefusedTokenWithCommandsBehindIt(t *testing.T) {
	known := Offer{Before: ParseCapabilities([]string{"UIDL", "TOP", "PIPELINING", "SASL XOAUTH2"})}
	capa := "+OK\nS: UIDL\nS: TOP\nS: PIPELINING\nS: SASL XOAUTH2\nS: .\n"
	cred := Credentials{User: "me", Token: "ya29.A0x", Methods: []string{"xoauth2"}, Expected: known, Next: []string{"STAT", "UIDL"}}
	begin := "S: +OK\nC: CAPA\nS: " + capa + "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2("me", "ya29.A0x") + "\nC: STAT\nC: UIDL\n"
	login := func(script string) (*Client, error) {
		c, err := peer{script: script}.dialTCP(t, &Options{Security: ClearText})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Login(cred)
		return c, err
	}
	c, err := login(begin + "S: +OK\nS: +OK 0 0\nS: +OK\nS: .\n")
	if err != nil || c.RoundTrips() != 3 {
		t.Errorf("accepted: %v, %d round trips", err, c.RoundTrips())
	}
	c, err = login(begin + "S: + " + b64(bearerChallenge) + "\nS: -ERR no\nS: -ERR what\n")
	var refused *TokenError
	if !errors.As(err, &refused) || refused.Status != "invalid_token" || errors.As(err, new(*AheadError)) || c.Broken() == nil {
		t.Errorf("refused: %v, %v", err, c.Broken())
	}
}
