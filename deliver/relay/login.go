package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"popfetch/internal/login"
)

// Credentials are what a login needs.
type Credentials = login.Credentials

// Login logs in (RFC 4954) and returns the method. After a *login.Error, unless it wraps
// login.ErrSkipped, the connection is as it was before. Nothing is sent in clear text unless a
// method is named for that, or shows no secret.
func (c *Client) Login(cred Credentials) (method string, err error) {
	fail := func(err error) (string, error) {
		return "", &login.Error{Method: method, User: cred.User, Err: err}
	}
	if err := cred.Check(); err != nil {
		return fail(err)
	}
	server := login.Server{Host: c.host, Port: c.port, TLS: c.secured, Offers: c.offers, Discreet: true}
	if method, err = c.choose(cred, server); err != nil {
		return fail(err)
	}
	cred.Hide(&c.secrets)
	e, err := login.Begin(cred.Mechanism(method, server))
	if err != nil {
		return fail(err)
	}
	refused, err := c.authenticate(e, login.Bearer(method))
	switch {
	case refused != nil:
		return fail(refused)
	case err != nil:
		return method, err
	}
	c.secrets.Accepted()
	c.loggedIn = true
	return method, nil
}

// offersLogin reports whether there is a login that has not been made.
func (c *Client) offersLogin() bool {
	_, offered := c.Extension("AUTH")
	return c.opts.SMTP && offered && !c.loggedIn
}

// choose returns the method.
func (c *Client) choose(cred Credentials, server login.Server) (string, error) {
	if _, ok := c.Extension("AUTH"); ok {
		return cred.Choose(server)
	}
	if cred.Methods == nil && c.secured == nil { // it may offer it inside TLS
		return "", login.ErrClearPassword
	}
	return "", errors.New("the server offers no login here")
}

// offers reports whether the server offers a method.
func (c *Client) offers(method string) bool {
	list, _ := c.Extension("AUTH")
	return slices.Contains(strings.Fields(strings.ToLower(list)), method)
}

const (
	// maxCommand is the length in octets of the longest AUTH command that every server takes.
	// RFC 5321 section 4.5.3.1.4
	maxCommand = 510
	// maxBearer is the same with an access token: Google and Microsoft want it on the line.
	maxBearer = 12288
)

// authenticate runs a SASL exchange. refused is why the login did not succeed, err an error of
// the connection. The log shows nothing of what is sent.
func (c *Client) authenticate(e *login.Exchange, bearer bool) (refused, err error) {
	step := "AUTH " + e.Name
	line, most := step, maxCommand
	if bearer {
		most = maxBearer
	}
	if initial, ok := e.Initial(most - len(step) - 1); ok {
		line += " " + initial
	}
	for {
		c.opts.Log.Debug("client", "line", step+" ***")
		c.out.WriteString(line + "\r\n")
		if err := c.flush(); err != nil {
			return nil, err
		}
		r, err := c.reply(c.command)
		if err != nil {
			return nil, err
		}
		switch r.code {
		case 235:
			return e.Accepted(), nil
		case 334:
			if line, err = e.Answer(r.lines[0]); err != nil {
				return nil, fmt.Errorf("%s: %w", step, err)
			}
		default:
			return e.Refused(c.refusal(r, step)), nil
		}
	}
}
