package pop3

import (
	"fmt"
	"strings"

	"popfetch/internal/mechanism"
)

// TokenError is a refused access token. It comes wrapped in an AuthError.
type TokenError struct {
	Status string // "invalid_token", "401", …; "" = the server did not say
	Scope  string // what the token would have to be for, "" = the server did not say
	Err    error  // the final refusal, a *ResponseError
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

// tokenRefused makes a TokenError of the server's refusal. A response code that is about the
// moment and not about the token leaves err as it is.
func (c *Client) tokenRefused(b *mechanism.Bearer, err error) error {
	if !plainRefusal(err) {
		return err
	}
	return c.tokenError(b, err)
}

func (c *Client) tokenError(b *mechanism.Bearer, err error) *TokenError {
	e := &TokenError{Err: err}
	if said := b.Refusal(); said != nil {
		e.Status, e.Scope = c.lines.secrets.conceal(said.Status), c.lines.secrets.conceal(said.Scope)
	}
	return e
}

// newBearer returns the dialog of a bearer method. It leaves the initial response out of
// the command: Exchange Online closes the connection over one, and few tokens fit.
func (c *Client) newBearer(method string, cred Credentials) *exchange {
	m := mechanism.NewBearer(method, cred.User, cred.Token, c.host, c.port)
	return &exchange{m: m, user: cred.User, single: true, apart: true}
}
