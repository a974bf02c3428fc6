package mechanism

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// Bearers are the methods that send an OAuth 2.0 access token, the preferred one first. They
// send nothing else, and no other method sends a token.
func Bearers() []string { return []string{"xoauth2", "oauthbearer"} }

// Bearer is one of the mechanisms that send an access token: XOAUTH2, as Google has
// published it, or OAUTHBEARER, RFC 7628. The client of go-sasl for the latter gives up
// at the server's error challenge, so that the reason would stay unknown.
type Bearer struct {
	method     string // of Bearers
	user       string
	token      string
	host       string // of the server, for OAUTHBEARER
	port       string // "" = not known
	challenged bool
	refusal    *Refusal // what the challenge said, nil = there was none
}

// NewBearer returns the mechanism of one of Bearers. host and port are those of the server, for
// OAUTHBEARER.
func NewBearer(method, user, token, host, port string) *Bearer {
	return &Bearer{method: method, user: user, token: token, host: host, port: port}
}

// Start implements sasl.Client.
func (b *Bearer) Start() (string, []byte, error) {
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
func (b *Bearer) Next(challenge []byte) ([]byte, error) {
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
func (b *Bearer) Done() bool { return !b.challenged }

// Refusal returns why the server has refused the token, nil if it has not said so.
func (b *Bearer) Refusal() *Refusal { return b.refusal }

// checkToken refuses what cannot be a token. RFC 6750 section 2.1 allows visible ASCII
// alone; anything else would end the field early.
func checkToken(token string) error {
	if i := strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }); i >= 0 {
		return errors.New("the access token contains a blank, a control character or a character that is not ASCII")
	}
	return nil
}

// Refusal is what a server says of a token that it does not take. Each field may be empty.
type Refusal struct {
	Status string // "invalid_token", "401", …
	Scope  string // what the token would have to be for
}

// refusalOctets bounds what a Refusal keeps of each field.
const refusalOctets = 200

// parseRefusal reads the error challenge of RFC 7628 section 3.2.2, which XOAUTH2 has
// too. It returns an empty one for one that it cannot read.
func parseRefusal(challenge []byte) *Refusal {
	var fields struct {
		Status any    `json:"status"` // Microsoft and some others send a number
		Scope  string `json:"scope"`
	}
	json.Unmarshal(challenge, &fields) // what it could read before an error counts
	e := &Refusal{Scope: shorten(fields.Scope)}
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
