package pop3

import "math"

// Stat asks how many messages the maildrop has and how many octets they have
// together, as the server says. RFC 1939 section 5 (STAT)
func (c *Client) Stat() (n int, octets int64, err error) {
	text, err := c.simple("STAT", Transaction)
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
		return 0, 0, c.protocol("STAT", []byte("+OK "+text), "no number of messages and octets")
	}
	return int(messages), octets, nil
}
