// Package login is what the logins at the servers of destinations have in common: the
// credentials, the choice of a method, and its SASL mechanism.
package login

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"

	"popfetch/internal/mask"
)

// Credentials are what a login needs.
type Credentials struct {
	User, Password string
	Token          string   // OAuth 2.0 access token, "" = none
	Methods        []string // in order of preference; nil = the best that the server offers
}

// Hide adds the secrets to those that nothing may show.
func (cred Credentials) Hide(in *mask.Secrets) {
	in.Add(cred.Password)
	in.Add(cred.Token)
}

// MaxChallenges is how many challenges of one login are answered.
const MaxChallenges = 16

// Methods returns the names of the methods.
func Methods() []string { return []string{"plain", "login", "external", "xoauth2", "oauthbearer"} }

// Bearer reports whether a method sends an access token.
func Bearer(method string) bool { return method == "xoauth2" || method == "oauthbearer" }

// Check refuses what a command or a mechanism would take for something else.
func (cred Credentials) Check() error {
	for _, s := range []string{cred.User, cred.Password, cred.Token} {
		if strings.ContainsAny(s, "\x00\x01\r\n") {
			return errors.New("user or secret holds a control character")
		}
	}
	return nil
}

// Choose returns the first method that the server offers and the credentials are fit for.
func (cred Credentials) Choose(offers func(method string) bool) (string, error) {
	methods := cred.Methods
	switch {
	case methods != nil:
	case cred.Token != "":
		methods = []string{"oauthbearer", "xoauth2"}
	default:
		methods = []string{"plain", "login"}
	}
	for _, m := range methods {
		if offers(m) && (cred.Token != "" || !Bearer(m)) {
			return m, nil
		}
	}
	return "", fmt.Errorf("the server offers none of %s", strings.Join(methods, ", "))
}

// Mechanism returns the mechanism of a method. server is the name of the server that TLS has
// verified, "" for the address of the connection.
func (cred Credentials) Mechanism(method string, conn net.Conn, server string) sasl.Client {
	switch method {
	case "login":
		return sasl.NewLoginClient(cred.User, cred.Password)
	case "external":
		return sasl.NewExternalClient("")
	case "xoauth2":
		return &xoauth2{cred.User, cred.Token}
	case "oauthbearer":
		host, port, _ := net.SplitHostPort(conn.RemoteAddr().String())
		if server != "" {
			host = server
		}
		number, _ := strconv.Atoi(port)
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: cred.User, Token: cred.Token, Host: host, Port: number})
	}
	return sasl.NewPlainClient("", cred.User, cred.Password)
}

// Initial encodes an initial response. An empty one is not none. RFC 4954 section 4, RFC
// 4959 section 3
func Initial(response []byte) string {
	if len(response) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(response)
}

// Answer returns the response of m to a challenge, both in base 64.
func Answer(m sasl.Client, challenge string) (string, error) {
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
	if err != nil {
		return "", err
	}
	answer, err := m.Next(decoded)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(answer), nil
}

// xoauth2 is the mechanism XOAUTH2 of Google and Microsoft.
type xoauth2 struct{ user, token string }

func (x *xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next answers the challenge with the reasons of a refusal, which the server then sends.
func (x *xoauth2) Next([]byte) ([]byte, error) { return nil, nil }
