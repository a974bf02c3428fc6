package pop3

import "math"

// Stat asks how many messages the maildrop has and how many octets they have
// together, as the server says. A reply without these numbers is a *LineError; the
// client is not broken then.
//
// If it says that there are none, List and Uidl yield nothing, whatever the
// server answers to them, and are not sent: some servers refuse both for an empty
// maildrop, or leave out the dot that ends their reply. If they have been sent
// already (Credentials.Next), their replies are read accordingly.
//
// Of a session that has Begun, see Options, a refusal is an *AuthError: the server wants a
// login.
//
// RFC 1939 section 5 (STAT)
func (c *Client) Stat() (n int, octets int64, err error) {
	text, err := c.simple("STAT", Transaction)
	if c.opts.Begun {
		err = refusedLogin("none", "", err)
	}
	if err != nil {
		return 0, 0, err
	}
	count, rest := cutBlank([]byte(text))
	size, _ := cutBlank(rest)
	messages, ok := parseNumber(count, math.MaxInt32)
	if ok {
		octets, ok = parseNumber(size, math.MaxInt64)
	}
	if !ok {
		return 0, 0, c.lineError("STAT", 0, []byte("+OK "+text), "no number of messages and octets")
	}
	c.empty = messages == 0
	return int(messages), octets, nil
}
