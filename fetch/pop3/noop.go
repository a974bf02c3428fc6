package pop3

// Noop asks for nothing, which keeps the session alive. RFC 1939 section 5 (NOOP)
func (c *Client) Noop() error {
	_, err := c.simple("NOOP", Transaction)
	return err
}
