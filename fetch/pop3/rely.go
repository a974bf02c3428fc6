package pop3

import (
	"errors"
	"fmt"
)

// errUnexpected: what is known of earlier sessions is no help.
var errUnexpected = errors.New("the server has to be asked what it offers")

// rely logs in on the word of an earlier session. CAPA, the login and what comes
// next share a flight where the server took several commands at once before the
// login; where it did so only after it, CAPA follows the login. After errUnexpected
// the client can log in as if nothing had been known.
func (c *Client) rely(cred Credentials) (method string, err error) {
	known := cred.Expected
	early := known.Before.Has("PIPELINING")
	if c.opts.Pipelining == PipelineOff || c.patient || c.caps.Asked || !early && !known.After.Has("PIPELINING") {
		return "", errUnexpected
	}
	c.caps = known.Before
	if method, err = c.choose(cred.Methods); err != nil {
		c.caps = Capabilities{}
		return "", errUnexpected
	}
	next := c.afterLogin(cred.Next)
	c.offer.Before = known.Before
	c.hasty = true
	d := c.dialogOf(method, cred)
	if early {
		c.askAhead("CAPA")
	}
	if err := c.begin(d, next); err != nil {
		return method, err
	}
	if early {
		if _, err := c.Capa(); err != nil {
			return method, err
		}
	}
	offered := c.offers(method)
	if err := c.finish(d); err != nil {
		var refused *AuthError
		if !offered && errors.As(err, &refused) {
			if err := c.dropAhead(""); err != nil {
				return method, err
			}
			return "", errUnexpected
		}
		return method, err
	}
	if !early {
		c.askAhead(next...) // with CAPA, for PIPELINING was not offered before
	}
	return method, c.settle(cred.Next)
}

// AheadError is a session that broke while commands were on their way that a login
// has no need to hurry with. A patient one may do.
type AheadError struct{ Err error }

func (e *AheadError) Error() string { return fmt.Sprintf("commands sent ahead: %v", e.Err) }

// Unwrap returns the cause.
func (e *AheadError) Unwrap() error { return e.Err }
