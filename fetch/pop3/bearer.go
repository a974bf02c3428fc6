package pop3

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// bearerMethods are the methods that send an OAuth 2.0 access token, the preferred one
// first. They send nothing else, and no other method sends a token.
func bearerMethods() []string { return []string{"xoauth2", "oauthbearer"} }

// bearer is one of the mechanisms that send an access token: XOAUTH2, as Google has
// published it, or OAUTHBEARER, RFC 7628. The client of go-sasl for the latter gives up
// at the server's error challenge, so that the reason would stay unknown.
type bearer struct {
	method     string // of bearerMethods
	user       string
	token      string
	host       string // of the server, for OAUTHBEARER
	port       string // "" = not known
	challenged bool
	refusal    *TokenError // what the challenge said, nil = there was none
}

func (b *bearer) Start() (string, []byte, error) {
	if strings.Contains(b.user, "\x01") {
		return strings.ToUpper(b.method), nil, errors.New("the user name contains the control character U+0001")
	}
	if err := checkToken(b.token); err != nil {
		return strings.ToUpper(b.method), nil, err
	}
	if b.method == "xoauth2" {
		return "XOAUTH2", []byte("user=" + b.user + "\x01auth=Bearer " + b.token + "\x01\x01"), nil
	}
	// RFC 7628 section 3.1; the user is a saslname, RFC 5801 section 4.
	var s strings.Builder
	s.WriteString("n,a=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(b.user) + ",\x01")
	if b.port != "" {
		s.WriteString("host=" + b.host + "\x01port=" + b.port + "\x01")
	}
	s.WriteString("auth=Bearer " + b.token + "\x01\x01")
	return "OAUTHBEARER", []byte(s.String()), nil
}

// Next answers the one challenge that either mechanism has: a refusal with its reason
// as JSON. The server says -ERR once it has the answer.
func (b *bearer) Next(challenge []byte) ([]byte, error) {
	if b.challenged {
		return nil, errors.New("the server has refused the token and goes on asking")
	}
	b.challenged = true
	b.refusal = parseRefusal(challenge)
	if b.method == "xoauth2" {
		return []byte{}, nil
	}
	return []byte{0x01}, nil // RFC 7628 section 3.2.3
}

// Done reports whether an acceptance can be believed: the server has not refused the
// token before.
func (b *bearer) Done() bool { return !b.challenged }

// checkToken refuses what cannot be a token. RFC 6750 section 2.1 allows visible ASCII
// alone; anything else would end the field early.
func checkToken(token string) error {
	if i := strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }); i >= 0 {
		return errors.New("the access token contains a blank, a control character or a character that is not ASCII")
	}
	return nil
}

// TokenError is a refused access token. It comes wrapped in an AuthError.
type TokenError struct {
	Status string // "invalid_token", "401", …; "" = the server did not say
	Scope  string // what the token would have to be for, "" = the server did not say
	Err    error  // the final refusal, a *ResponseError
}

// refusalOctets bounds what a TokenError keeps of each field.
const refusalOctets = 200

// parseRefusal reads the error challenge of RFC 7628 section 3.2.2, which XOAUTH2 has
// too. It returns an empty TokenError for one that it cannot read.
func parseRefusal(challenge []byte) *TokenError {
	var fields struct {
		Status any    `json:"status"` // Microsoft and some others send a number
		Scope  string `json:"scope"`
	}
	json.Unmarshal(challenge, &fields) // what it could read before an error counts
	e := &TokenError{Scope: shorten(fields.Scope)}
	switch status := fields.Status.(type) {
	case string:
		e.Status = shorten(status)
	case float64:
		e.Status = strconv.FormatFloat(status, 'g', -1, 64)
	}
	return e
}

func shorten(s string) string {
	if len(s) > refusalOctets {
		return strings.ToValidUTF8(s[:refusalOctets], "")
	}
	return s
}

func (e *TokenError) Error() string {
	var said []string
	if e.Status != "" {
		said = append(said, "status "+quote(e.Status))
	}
	if e.Scope != "" {
		said = append(said, "scope "+quote(e.Scope))
	}
	what := "the server refused the access token"
	if len(said) > 0 {
		what += " (" + strings.Join(said, ", ") + ")"
	}
	return fmt.Sprintf("%s: %v", what, e.Err)
}

// Unwrap returns the final refusal.
func (e *TokenError) Unwrap() error { return e.Err }

// refused makes a TokenError of the server's refusal. A response code that is about the
// moment and not about the token leaves err as it is.
func (b *bearer) refused(c *Client, err error) error {
	if !plainRefusal(err) {
		return err
	}
	return b.tokenError(c, err)
}

func (b *bearer) tokenError(c *Client, err error) *TokenError {
	e := &TokenError{Err: err}
	if b.refusal != nil {
		e.Status, e.Scope = c.lines.secrets.conceal(b.refusal.Status), c.lines.secrets.conceal(b.refusal.Scope)
	}
	return e
}

// newBearer returns the dialog of a bearer method. It leaves the initial response out of
// the command: Exchange Online closes the connection over one, and few tokens fit.
func (c *Client) newBearer(method string, cred Credentials) *exchange {
	m := &bearer{method: method, user: cred.User, token: cred.Token, host: c.host, port: c.port}
	return &exchange{m: m, user: cred.User, single: true, apart: true}
}
