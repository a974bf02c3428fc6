package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
)

// Credentials are what a login needs.
type Credentials struct {
	User, Password string
	Token          string   // OAuth 2.0 access token, "" = none
	Methods        []string // in order of preference; nil = the best that the server offers
}

// Methods returns the names of the login methods.
func Methods() []string { return []string{"plain", "login", "external", "xoauth2", "oauthbearer"} }

// maxChallenges is how many challenges of one login are answered.
const maxChallenges = 16

// ErrClearToken is in the chain of an *AuthError: a token is not sent in clear text unless a
// method is named. RFC 6750 section 5.3
var ErrClearToken = errors.New("an access token is not sent in clear text")

// Login logs in and returns the method. An *AuthError leaves the connection as it was. The
// end of ctx interrupts it.
func (c *Client) Login(ctx context.Context, cred Credentials) (method string, err error) {
	stop := context.AfterFunc(ctx, c.Interrupt)
	defer func() {
		if !stop() {
			err = context.Cause(ctx)
		}
	}()
	for _, s := range []string{cred.User, cred.Password, cred.Token} {
		if strings.ContainsAny(s, "\x00\r\n") {
			return "", &AuthError{User: cred.User, Err: errors.New("user or secret holds a line end or a NUL")}
		}
	}
	method, err = c.choose(cred)
	if err != nil {
		return "", &AuthError{User: cred.User, Err: err}
	}
	var reply *response
	if method == "login" && !c.Has("AUTH=LOGIN") || method == "plain" && !c.Has("AUTH=PLAIN") {
		reply, err = c.loginCommand(cred)
	} else {
		reply, err = c.authenticate(c.mechanism(method, cred))
	}
	var refused *Refusal
	if errors.As(err, &refused) {
		return "", &AuthError{Method: method, User: cred.User, Token: bearer(method), Err: err}
	}
	if err != nil {
		return "", err
	}
	if reply.code != "CAPABILITY" { // they may be others now. RFC 9051 section 6.2.2
		if err := c.capability(); err != nil {
			return "", err
		}
	}
	return method, nil
}

func bearer(method string) bool { return method == "xoauth2" || method == "oauthbearer" }

// choose returns the method.
func (c *Client) choose(cred Credentials) (string, error) {
	methods := cred.Methods
	if methods == nil {
		switch {
		case cred.Token != "" && c.tls == nil:
			return "", ErrClearToken
		case cred.Token != "":
			methods = []string{"oauthbearer", "xoauth2"}
		default:
			methods = []string{"plain", "login"}
		}
	}
	for _, m := range methods {
		if c.offers(m) && (cred.Token != "" || !bearer(m)) {
			return m, nil
		}
	}
	return "", fmt.Errorf("the server offers none of %s", strings.Join(methods, ", "))
}

// offers reports whether the server offers a method. The command LOGIN sends what PLAIN and
// LOGIN send.
func (c *Client) offers(method string) bool {
	if c.Has("AUTH=" + strings.ToUpper(method)) {
		return true
	}
	return (method == "plain" || method == "login") && !c.Has("LOGINDISABLED")
}

func (c *Client) mechanism(method string, cred Credentials) sasl.Client {
	switch method {
	case "login":
		return sasl.NewLoginClient(cred.User, cred.Password)
	case "external":
		return sasl.NewExternalClient("")
	case "xoauth2":
		return &xoauth2{cred.User, cred.Token}
	case "oauthbearer":
		host, port, _ := net.SplitHostPort(c.conn.RemoteAddr().String())
		if c.tls != nil && c.tls.ServerName != "" {
			host = c.tls.ServerName
		}
		number, _ := strconv.Atoi(port)
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: cred.User, Token: cred.Token, Host: host, Port: number})
	}
	return sasl.NewPlainClient("", cred.User, cred.Password)
}

// loginCommand logs in with the command LOGIN. RFC 9051 section 6.2.3
func (c *Client) loginCommand(cred Credentials) (*response, error) {
	if !ascii(cred.User) || !ascii(cred.Password) {
		return nil, &Refusal{Command: "LOGIN", Text: "user and password must be ASCII: the server offers no other method that takes them"}
	}
	tag := c.send("LOGIN "+quoted(cred.User)+" "+quoted(cred.Password), "LOGIN "+quoted(cred.User)+" ***", "\r\n")
	return c.wait(tag, "LOGIN", nil)
}

// authenticate runs a SASL exchange. RFC 9051 section 6.2.2
func (c *Client) authenticate(m sasl.Client) (*response, error) {
	mech, initial, err := m.Start()
	if err != nil {
		return nil, c.fail(err)
	}
	line := "AUTHENTICATE " + mech
	shown := line
	if initial != nil && c.Has("SASL-IR") { // RFC 4959
		line += " " + encodeInitial(initial)
		shown += " ***"
		initial = nil
	}
	tag := c.send(line, shown, "\r\n")
	pending := initial
	for range maxChallenges {
		if err := c.flush(); err != nil {
			return nil, err
		}
		r, err := c.untilContinuation(tag)
		if err != nil {
			return nil, err
		}
		if r.tag == tag {
			return r, r.refusal("AUTHENTICATE " + mech)
		}
		answer := pending
		if pending == nil {
			answer, err = answerTo(m, r.text)
		}
		pending = nil
		if err != nil {
			c.out.WriteString("*\r\n") // RFC 9051 section 6.2.2: gives up
			continue
		}
		c.out.WriteString(base64.StdEncoding.EncodeToString(answer) + "\r\n")
	}
	return nil, c.fail(&ProtocolError{"AUTHENTICATE", "too many challenges"})
}

// untilContinuation reads up to a continuation, or the response of tag.
func (c *Client) untilContinuation(tag string) (*response, error) {
	for {
		r, err := c.response()
		if err != nil || r.tag == "+" || r.tag == tag {
			return r, err
		}
		if r.tag != "*" {
			return nil, c.fail(&ProtocolError{"response", "the server said " + quote(r.line())})
		}
	}
}

func answerTo(m sasl.Client, encoded string) ([]byte, error) {
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return nil, err
	}
	return m.Next(challenge)
}

// encodeInitial encodes an initial response. An empty one is not none. RFC 4959 section 3
func encodeInitial(initial []byte) string {
	if len(initial) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(initial)
}

// xoauth2 is the mechanism XOAUTH2 of Google and Microsoft.
type xoauth2 struct{ user, token string }

func (x *xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next answers the challenge with the reasons of a refusal, which the server follows with NO.
func (x *xoauth2) Next([]byte) ([]byte, error) { return nil, nil }

func ascii(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(ch byte) bool { return ch > '~' })
}

// quoted writes a quoted string. s holds no line end and no NUL.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
