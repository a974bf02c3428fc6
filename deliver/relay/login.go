package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"popfetch/internal/login"
)

// Credentials are what a login needs.
type Credentials = login.Credentials

// AuthError is a login that did not succeed. It wraps the *Refusal of the server, if there is
// one.
type AuthError struct {
	Method string // "" = none was chosen
	User   string
	Token  bool // an access token was sent
	Err    error
}

func (e *AuthError) Error() string { return fmt.Sprintf("log in as %q: %v", e.User, e.Err) }

// Unwrap returns the cause.
func (e *AuthError) Unwrap() error { return e.Err }

// ErrClear is in the chain of an *AuthError: nothing is sent in clear text unless a method is
// named.
var ErrClear = errors.New("a secret is not sent in clear text unless auth names the method")

// Login logs in (RFC 4954) and returns the method. A login that fails is an *AuthError.
func (c *Client) Login(cred Credentials) (method string, err error) {
	fail := func(err error) (string, error) {
		return "", &AuthError{Method: method, User: cred.User, Token: login.Bearer(method), Err: err}
	}
	if err := cred.Check(); err != nil {
		return fail(err)
	}
	if method, err = c.choose(cred); err != nil {
		return fail(err)
	}
	cred.Hide(&c.secrets)
	err = c.authenticate(cred.Mechanism(method, c.conn, c.serverName()))
	if errors.As(err, new(*Refusal)) {
		return fail(err)
	}
	if err == nil {
		c.secrets.Accepted()
	}
	return method, err
}

// choose returns the method.
func (c *Client) choose(cred Credentials) (string, error) {
	if cred.Methods == nil && c.secured == nil {
		return "", ErrClear
	}
	text, ok := c.Extension("AUTH")
	if !ok {
		return "", errors.New("the server offers no login here")
	}
	offered := strings.Fields(strings.ToLower(text))
	return cred.Choose(func(m string) bool { return slices.Contains(offered, m) })
}

// serverName is the name that TLS has verified, "" in clear text.
func (c *Client) serverName() string {
	if c.secured == nil {
		return ""
	}
	return c.secured.ServerName
}

// authenticate runs a SASL exchange. The log shows nothing of what is sent.
func (c *Client) authenticate(m sasl.Client) error {
	mech, initial, err := m.Start()
	if err != nil {
		return err
	}
	step := "AUTH " + mech
	line := step
	if initial != nil {
		line += " " + login.Initial(initial)
	}
	for range login.MaxChallenges {
		c.opts.Log.Debug("client", "line", step+" ***")
		c.out.WriteString(line + "\r\n")
		if err := c.flush(); err != nil {
			return err
		}
		r, err := c.reply(c.command)
		if err != nil {
			return err
		}
		switch {
		case r.code == 235:
			return nil
		case r.code != 334:
			return c.refusal(r, step)
		}
		line = "*" // RFC 4954 section 4: gives up
		if answer, err := login.Answer(m, r.lines[0]); err == nil {
			line = answer
		}
	}
	return fmt.Errorf("%s: too many challenges", step)
}
