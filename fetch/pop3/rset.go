package pop3

// Rset undoes every Dele of this session. RFC 1939 section 5 (RSET)
func (c *Client) Rset() error {
	_, err := c.simple("RSET", Transaction)
	c.deleting = c.deleting && err != nil
	return err
}
