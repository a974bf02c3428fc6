// Package login is what the logins at the servers of destinations have in common: the
// credentials, the choice of a method, its SASL mechanism, and the error.
package login

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"popfetch/internal/mask"
	"popfetch/internal/mechanism"
)

// Credentials are what a login needs.
type Credentials struct {
	User, Password string
	Token          string      // OAuth 2.0 access token, "" = none
	Ticket         sasl.Client // mechanism GSSAPI for one login, nil = gssapi is not possible
	Methods        []string    // in order of preference, in lower case; nil = the best that the server offers
}

// Hide adds the secrets to those that nothing may show.
func (cred Credentials) Hide(in *mask.Secrets) {
	in.Add(cred.Password)
	in.Add(cred.Token)
}

// Check refuses what a command or a mechanism would take for something else.
func (cred Credentials) Check() error {
	for _, s := range []string{cred.User, cred.Password, cred.Token} {
		if strings.ContainsAny(s, "\x00\x01\r\n") {
			return errors.New("user or secret holds a control character")
		}
	}
	return nil
}

// Server is what a login has to know of a server.
type Server struct {
	Host, Port string
	TLS        *tls.ConnectionState     // nil = clear text
	Offers     func(method string) bool // method is in lower case
	// Discreet sends no password in clear text unless a method is named.
	Discreet bool
}

// In the chain of an *Error: a method has to be named for a secret to cross in clear text.
var (
	ErrClearToken    = errors.New("an access token is not sent in clear text") // RFC 6750 section 5.3
	ErrClearPassword = errors.New("a secret is not sent in clear text unless auth names the method")
)

// Choose returns the first method that the server offers and the credentials are fit for. It
// is named by the user, or one of automatic.
func (cred Credentials) Choose(s Server) (string, error) {
	methods := cred.Methods
	if methods == nil {
		if cred.Token != "" && s.TLS == nil {
			return "", ErrClearToken
		}
		methods = cred.automatic(s.TLS != nil)
	}
	for _, m := range methods {
		switch {
		case !cred.possible(m, s.TLS) || !s.Offers(m):
		case cred.Methods == nil && s.TLS == nil && s.Discreet && ShowsSecret(m):
			return "", ErrClearPassword
		default:
			return m, nil
		}
	}
	return "", fmt.Errorf("the server offers none of %s", strings.Join(methods, ", "))
}

// automatic returns the methods to try if the user has named none. SCRAM comes first: a server
// that poses as the right one does not get the password. It is without a channel binding, see
// mechanism.UnboundScrams.
func (cred Credentials) automatic(private bool) []string {
	switch {
	case cred.Token != "":
		return mechanism.Bearers()
	case private:
		return append(mechanism.UnboundScrams(), "plain", "login", "cram-md5")
	}
	return append(mechanism.UnboundScrams(), "cram-md5", "plain", "login")
}

// possible reports whether there is what a method sends or proves.
func (cred Credentials) possible(method string, state *tls.ConnectionState) bool {
	switch {
	case Bearer(method):
		return cred.Token != ""
	case method == "gssapi":
		return cred.Ticket != nil
	case method == mechanism.Bound(method):
		return mechanism.CanBind(state)
	}
	return true
}

// Bearer reports whether a method sends an access token.
func Bearer(method string) bool { return slices.Contains(mechanism.Bearers(), method) }

// ShowsSecret reports whether a method sends the password or the token itself.
func ShowsSecret(method string) bool {
	return Bearer(method) || method == "plain" || method == "login"
}

// Mechanism returns the mechanism of a method that Choose has returned.
func (cred Credentials) Mechanism(method string, s Server) sasl.Client {
	switch {
	case method == "login":
		return mechanism.NewLogin(cred.User, cred.Password)
	case method == "cram-md5":
		return mechanism.NewCramMD5(cred.User, cred.Password)
	case method == "external":
		return sasl.NewExternalClient(cred.User)
	case method == "gssapi":
		return cred.Ticket
	case Bearer(method):
		return mechanism.NewBearer(method, cred.User, cred.Token, s.Host, s.Port)
	case slices.Contains(mechanism.Scrams(), method):
		return mechanism.NewScram(method, cred.User, cred.Password, s.TLS, !s.Offers(mechanism.Bound(method)))
	}
	return sasl.NewPlainClient("", cred.User, cred.Password)
}

// Error is a login that did not succeed. It wraps the refusal of the server, if there is one.
type Error struct {
	Method string // "" = none was possible
	User   string
	Err    error
}

func (e *Error) Error() string {
	if e.Method == "" {
		return fmt.Sprintf("log in as %q: %v", e.User, e.Err)
	}
	return fmt.Sprintf("log in as %q with %s: %v", e.User, e.Method, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refusal is an answer of a server.
type refusal interface {
	error
	Passing() bool
}

// Passing reports whether the server has said that the same login may succeed later.
func (e *Error) Passing() bool {
	var r refusal
	return errors.As(e.Err, &r) && r.Passing()
}

// Lasting reports whether the server has refused the login, and not for now alone.
func (e *Error) Lasting() bool {
	var r refusal
	return errors.As(e.Err, &r) && !r.Passing()
}
