package relay

import (
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

// maxChallenges is how many challenges of one login are answered.
const maxChallenges = 16

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
		return "", &AuthError{Method: method, User: cred.User, Token: isBearer(method), Err: err}
	}
	for _, s := range []string{cred.User, cred.Password, cred.Token} {
		if strings.ContainsAny(s, "\x00\x01\r\n") {
			return fail(errors.New("user or secret holds a control character"))
		}
	}
	if method, err = c.choose(cred); err != nil {
		return fail(err)
	}
	err = c.authenticate(c.mechanism(method, cred))
	if errors.As(err, new(*Refusal)) {
		return fail(err)
	}
	return method, err
}

func isBearer(method string) bool { return method == "xoauth2" || method == "oauthbearer" }

// choose returns the method.
func (c *Client) choose(cred Credentials) (string, error) {
	methods := cred.Methods
	if methods == nil {
		if c.secured == nil {
			return "", ErrClear
		}
		methods = []string{"plain", "login"}
		if cred.Token != "" {
			methods = []string{"oauthbearer", "xoauth2"}
		}
	}
	text, ok := c.Extension("AUTH")
	if !ok {
		return "", errors.New("the server offers no login here")
	}
	offered := strings.Fields(strings.ToLower(text))
	for _, m := range methods {
		if slices.Contains(offered, m) && (cred.Token != "" || !isBearer(m)) {
			return m, nil
		}
	}
	return "", fmt.Errorf("the server offers none of %s", strings.Join(methods, ", "))
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
		if c.secured != nil && c.secured.ServerName != "" {
			host = c.secured.ServerName
		}
		number, _ := strconv.Atoi(port)
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: cred.User, Token: cred.Token, Host: host, Port: number})
	}
	return sasl.NewPlainClient("", cred.User, cred.Password)
}

// authenticate runs a SASL exchange. The log shows none of it.
func (c *Client) authenticate(m sasl.Client) error {
	mech, initial, err := m.Start()
	if err != nil {
		return err
	}
	step := "AUTH " + mech
	line := step
	if initial != nil {
		line += " " + encodeResponse(initial)
	}
	for range maxChallenges {
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
			return r.refusal(step)
		}
		line = "*" // RFC 4954 section 4: gives up
		challenge, err := base64.StdEncoding.DecodeString(r.lines[0])
		if err == nil {
			var answer []byte
			if answer, err = m.Next(challenge); err == nil {
				line = base64.StdEncoding.EncodeToString(answer)
			}
		}
	}
	return fmt.Errorf("%s: too many challenges", step)
}

// encodeResponse encodes an initial response. An empty one is not none. RFC 4954 section 4
func encodeResponse(initial []byte) string {
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

// Next answers the challenge with the reasons of a refusal, which the server then sends.
func (x *xoauth2) Next([]byte) ([]byte, error) { return nil, nil }
