package pop3

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strings"
)

// Apop logs in with APOP. If the greeting has no proper timestamp, or if it came in
// clear text before STLS, Apop sends nothing and returns an *AuthError. Its errors
// are those of Login. RFC 1939 section 7 (APOP)
func (c *Client) Apop(user, secret string) error {
	if err := c.enter("APOP", Authorization); err != nil {
		return err
	}
	if err := (Credentials{User: user, Password: secret}).check(); err != nil {
		return err
	}
	c.lines.secrets.Add(secret)
	return c.converse(&apop{user: user, secret: secret}, false, nil, nil)
}

// apop is the login with APOP.
type apop struct{ user, secret string }

func (d *apop) begin(c *Client, _ bool) (all bool, err error) {
	if strings.ContainsAny(d.user, " \t") {
		return false, &AuthError{Method: "apop", User: d.user, Err: errors.New("APOP cannot send a user name with blanks")}
	}
	if c.timestamp == "" {
		return false, &AuthError{Method: "apop", User: d.user, Err: errors.New("the greeting has no timestamp that may be used for APOP")}
	}
	sum := md5.Sum([]byte(c.timestamp + d.secret))
	digest := hex.EncodeToString(sum[:])
	c.queue("APOP", "APOP "+d.user+" "+digest, "APOP "+d.user+" ***")
	c.lines.secrets.Add(digest)
	return true, nil
}

func (d *apop) end(c *Client, _ func()) error {
	_, err := c.status()
	return refusedLogin("apop", d.user, err)
}

// timestamp returns the timestamp in a greeting, with its angle brackets, or "". It
// has to be a msg-id of printable ASCII: the attack on APOP's MD5 needs other octets
// (CVE-2007-1558).
func timestamp(greeting string) string {
	start := strings.IndexByte(greeting, '<')
	if start < 0 {
		return ""
	}
	length := strings.IndexByte(greeting[start:], '>')
	if length < 0 {
		return ""
	}
	id := greeting[start : start+length+1]
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' || i > 0 && id[i] == '<' {
			return ""
		}
	}
	local, domain, ok := strings.Cut(id[1:len(id)-1], "@")
	if !ok || local == "" || domain == "" || strings.Contains(domain, "@") {
		return ""
	}
	return id
}
