package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"popfetch/internal/login"
)

// Credentials are what a login needs.
type Credentials = login.Credentials

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
	if err := cred.Check(); err != nil {
		return "", &AuthError{User: cred.User, Err: err}
	}
	method, err = c.choose(cred)
	if err != nil {
		return "", &AuthError{User: cred.User, Err: err}
	}
	cred.Hide(&c.secrets)
	var reply *response
	if method == "login" && !c.Has("AUTH=LOGIN") || method == "plain" && !c.Has("AUTH=PLAIN") {
		reply, err = c.loginCommand(cred)
	} else {
		reply, err = c.authenticate(cred.Mechanism(method, c.conn, c.serverName()))
	}
	var refused *Refusal
	if errors.As(err, &refused) {
		return "", &AuthError{Method: method, User: cred.User, Token: login.Bearer(method), Err: err}
	}
	if err != nil {
		return "", err
	}
	c.secrets.Accepted()
	if reply.code != "CAPABILITY" { // they may be others now. RFC 9051 section 6.2.2
		if err := c.capability(); err != nil {
			return "", err
		}
	}
	return method, nil
}

// choose returns the method.
func (c *Client) choose(cred Credentials) (string, error) {
	if cred.Methods == nil && cred.Token != "" && c.tls == nil {
		return "", ErrClearToken
	}
	return cred.Choose(c.offers)
}

// offers reports whether the server offers a method. The command LOGIN sends what PLAIN and
// LOGIN send.
func (c *Client) offers(method string) bool {
	if c.Has("AUTH=" + strings.ToUpper(method)) {
		return true
	}
	return (method == "plain" || method == "login") && !c.Has("LOGINDISABLED")
}

// serverName is the name that TLS has verified, "" in clear text.
func (c *Client) serverName() string {
	if c.tls == nil {
		return ""
	}
	return c.tls.ServerName
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
		line += " " + login.Initial(initial)
		shown += " ***"
		initial = nil
	}
	tag := c.send(line, shown, "\r\n")
	pending := initial != nil
	for range login.MaxChallenges {
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
		answer := "*" // RFC 9051 section 6.2.2: gives up
		if pending {
			answer = base64.StdEncoding.EncodeToString(initial)
		} else if text, err := login.Answer(m, r.text); err == nil {
			answer = text
		}
		pending = false
		c.out.WriteString(answer + "\r\n")
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
			return nil, c.fail(r.unexpected("AUTHENTICATE"))
		}
	}
}

func ascii(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(ch byte) bool { return ch > '~' })
}

// quoted writes a quoted string. s holds no line end and no NUL.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
