package imap

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"popfetch/internal/login"
)

// Credentials are what a login needs.
type Credentials = login.Credentials

// Login logs in and returns the method. After a *login.Error, unless it wraps
// login.ErrSkipped, the connection is as it was before. The end of ctx interrupts it.
func (c *Client) Login(ctx context.Context, cred Credentials) (method string, err error) {
	stop := context.AfterFunc(ctx, c.Interrupt)
	defer func() {
		if !stop() {
			err = context.Cause(ctx)
		}
	}()
	if err := cred.Check(); err != nil {
		return "", &login.Error{User: cred.User, Err: err}
	}
	server := login.Server{Host: c.host, Port: c.port, TLS: c.tls, Offers: c.offers}
	method, err = cred.Choose(server)
	if err != nil {
		return "", &login.Error{User: cred.User, Err: err}
	}
	cred.Hide(&c.secrets)
	var reply *response
	if method == "login" && !c.Has("AUTH=LOGIN") || method == "plain" && !c.Has("AUTH=PLAIN") {
		reply, err = c.loginCommand(cred)
	} else {
		reply, err = c.authenticate(cred.Mechanism(method, server))
	}
	if err != nil && (c.failed == nil || errors.Is(err, login.ErrSkipped)) {
		return "", &login.Error{Method: method, User: cred.User, Err: err}
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

// offers reports whether the server offers a method. The command LOGIN sends what PLAIN and
// LOGIN send.
func (c *Client) offers(method string) bool {
	if c.Has("AUTH=" + strings.ToUpper(method)) {
		return true
	}
	return (method == "plain" || method == "login") && !c.Has("LOGINDISABLED")
}

// loginCommand logs in with the command LOGIN. RFC 9051 section 6.2.3
func (c *Client) loginCommand(cred Credentials) (*response, error) {
	if !ascii(cred.User) || !ascii(cred.Password) {
		return nil, &Refusal{Command: "LOGIN", Text: "user and password must be ASCII: the server offers no other method that takes them"}
	}
	tag := c.send("LOGIN "+quoted(cred.User)+" "+quoted(cred.Password), "LOGIN "+quoted(cred.User)+" ***", "\r\n")
	return c.wait(tag, "LOGIN", nil)
}

// maxCommand is how many octets of a line servers take. RFC 7162 section 4
const maxCommand = 8192

// authenticate runs a SASL exchange. RFC 9051 section 6.2.2
func (c *Client) authenticate(m sasl.Client) (*response, error) {
	e, err := login.Begin(m)
	if err != nil {
		return nil, err
	}
	command := "AUTHENTICATE " + e.Name
	line, shown := command, command
	if c.Has("SASL-IR") { // RFC 4959
		if initial, ok := e.Initial(maxCommand - len("p1 ") - len(line) - len(" \r\n")); ok {
			line += " " + initial
			shown += " ***"
		}
	}
	tag := c.send(line, shown, "\r\n")
	for {
		if err := c.flush(); err != nil {
			return nil, err
		}
		r, err := c.untilContinuation(tag)
		if err != nil {
			return nil, err
		}
		if r.tag != tag {
			answer, err := e.Answer(r.text)
			if err != nil {
				return nil, c.fail(&ProtocolError{command, err.Error()})
			}
			c.out.WriteString(answer + "\r\n")
			continue
		}
		if err := r.refusal(command); errors.As(err, new(*Refusal)) {
			return nil, e.Refused(err)
		} else if err != nil {
			return nil, c.fail(err)
		}
		if err := e.Accepted(); err != nil {
			return nil, c.fail(err)
		}
		return r, nil
	}
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
