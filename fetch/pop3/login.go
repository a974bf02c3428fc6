package pop3

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
)

// Credentials are what a login needs.
type Credentials struct {
	User, Password string
	// Methods are the methods that may be used, see Methods: the first that
	// the server offers is. nil leaves the choice to the client, which never
	// takes APOP.
	Methods []string
}

// Methods returns the names of all login methods.
func Methods() []string { return []string{"plain", "user", "login", "cram-md5", "apop"} }

// automatic is the order where the user has chosen none. Where others can
// listen, what does not show the password comes first. APOP is not in it: its
// MD5 can be attacked (CVE-2007-1558).
func automatic(private bool) []string {
	if private {
		return []string{"plain", "user", "login", "cram-md5"}
	}
	return []string{"cram-md5", "plain", "user", "login"}
}

// Login enters TRANSACTION and returns the method used. It asks for the
// capabilities if they are not known, takes the first method that the server
// offers, and tries no other after a refusal, since some servers lock accounts
// after a few. Where UIDL, TOP or PIPELINING was not announced it asks again
// after the login.
//
// An *AuthError leaves the client in state AUTHORIZATION. Nothing is sent for a
// user or password that holds CR, LF or NUL.
func (c *Client) Login(cred Credentials) (method string, err error) {
	if err := c.enter("log in", Authorization); err != nil {
		return "", err
	}
	if err := cred.check(); err != nil {
		return "", err
	}
	if !c.caps.Asked {
		if _, err := c.Capa(); err != nil {
			return "", err
		}
	}
	method, err = c.choose(cred.Methods)
	if err != nil {
		return "", &AuthError{User: cred.User, Err: err}
	}
	if err := c.use(method, cred); err != nil {
		return method, err
	}
	return method, c.askAgain()
}

// use logs in by one method.
func (c *Client) use(method string, cred Credentials) error {
	var err error
	switch method {
	case "user":
		return c.UserPass(cred.User, cred.Password)
	case "apop":
		return c.Apop(cred.User, cred.Password)
	case "plain":
		err = c.auth(sasl.NewPlainClient("", cred.User, cred.Password), cred.Password)
	case "login":
		err = c.auth(sasl.NewLoginClient(cred.User, cred.Password), cred.Password)
	case "cram-md5":
		err = c.auth(&cramMD5{user: cred.User, secret: cred.Password}, cred.Password)
	}
	var refused *AuthError
	if errors.As(err, &refused) {
		refused.User = cred.User
	}
	return err
}

// askAgain asks for the capabilities after the login, where some servers first
// tell them all.
func (c *Client) askAgain() error {
	before := c.caps
	complete := before.Has("UIDL") && before.Has("TOP") && (before.Has("PIPELINING") || c.opts.Pipelining == PipelineOff)
	if complete || !before.Known {
		return nil
	}
	after, err := c.Capa()
	if err == nil && !after.Known {
		c.caps = before // asked in the wrong state, for this server
	}
	return err
}

// choose picks the method.
func (c *Client) choose(methods []string) (string, error) {
	names := automatic(c.tls != nil)
	if methods != nil {
		names = nil
		for _, m := range methods {
			names = append(names, strings.ToLower(m))
		}
	}
	for _, m := range names {
		if !slices.Contains(Methods(), m) {
			return "", fmt.Errorf("unknown login method %s", quote(m))
		}
	}
	if i := slices.IndexFunc(names, c.offers); i >= 0 {
		return names[i], nil
	}
	// Without CAPA nothing says that a mechanism is missing.
	if !c.caps.Known {
		if i := slices.IndexFunc(names, func(m string) bool { return m != "apop" }); i >= 0 {
			return names[i], nil
		}
	}
	return "", fmt.Errorf("the server offers none of the methods that may be used (%s); it offers %s",
		strings.Join(names, ", "), c.offered())
}

// offers says whether the server is known to take a method. USER and PASS are
// what every server has that says nothing.
func (c *Client) offers(method string) bool {
	switch method {
	case "user":
		return c.caps.Has("USER") || !c.caps.Has("SASL")
	case "apop":
		return c.timestamp != ""
	}
	return c.caps.sasl(method)
}

// offered lists what the server offers, for a message.
func (c *Client) offered() string {
	var list []string
	if c.caps.Has("USER") {
		list = append(list, "USER")
	}
	for _, m := range c.caps.Params("SASL") {
		list = append(list, "SASL "+m)
	}
	if c.timestamp != "" {
		list = append(list, "APOP")
	}
	if len(list) == 0 {
		return "none"
	}
	return quote(strings.Join(list, ", "))
}

// UserPass logs in with USER and PASS; errors are those of Login.
// RFC 1939 section 7 (USER, PASS)
func (c *Client) UserPass(user, password string) error {
	if err := c.enter("USER", Authorization); err != nil {
		return err
	}
	if err := (Credentials{User: user, Password: password}).check(); err != nil {
		return err
	}
	c.hide(password)
	c.queue("USER", "USER "+user, "USER "+user)
	if _, err := c.status(); err != nil {
		return refusedLogin("user", user, err)
	}
	c.queue("PASS", "PASS "+password, "PASS ***")
	if _, err := c.status(); err != nil {
		return refusedLogin("user", user, err)
	}
	c.state = Transaction
	return nil
}

// refusedLogin makes an *AuthError of a *ResponseError.
func refusedLogin(method, user string, err error) error {
	var refused *ResponseError
	if errors.As(err, &refused) {
		return &AuthError{Method: method, User: user, Err: err}
	}
	return err
}

// check refuses what would end or cut a line.
func (cred Credentials) check() error {
	switch {
	case cred.User == "":
		return &AuthError{Err: errors.New("the user name is empty")}
	case strings.ContainsAny(cred.User, "\r\n\x00"):
		return &AuthError{User: cred.User, Err: errors.New("the user name contains CR, LF or NUL")}
	case strings.ContainsAny(cred.Password, "\r\n\x00"):
		return &AuthError{User: cred.User, Err: errors.New("the password contains CR, LF or NUL")}
	}
	return nil
}

// hide keeps secrets, also in base64, out of the trace and of errors from now
// on, should the server repeat them. Very short ones are left alone: taking them
// out would only show where they are.
func (c *Client) hide(secrets ...string) {
	for _, s := range secrets {
		if len(s) >= 4 {
			c.wire.secrets = append(c.wire.secrets, s, base64.StdEncoding.EncodeToString([]byte(s)))
		}
	}
}
