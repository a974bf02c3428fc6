package pop3

// Quit ends the session and closes the connection, in every case. From state
// TRANSACTION it enters UPDATE: nil means that the server has confirmed the
// deletions, a *ResponseError that it kept some of the messages, every other
// error that nobody knows. Where no DELE was sent there is nothing to confirm, and
// the reply is not waited for. On a broken client, and inside a loop over replies,
// nothing is sent.
//
// RFC 1939 sections 5 and 6 (QUIT)
func (c *Client) Quit() error {
	defer c.Close()
	if err := c.enter("QUIT", Authorization, Transaction); err != nil {
		return err
	}
	c.timeout = min(c.timeout, quitTimeout)
	if c.state == Transaction {
		c.state = Update
	}
	c.queue("QUIT", "QUIT", "QUIT")
	if !c.deletes {
		return c.flush()
	}
	_, err := c.status()
	return err
}
