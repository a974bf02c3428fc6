package pop3

// Quit ends the session and closes the connection, in every case. From state
// TRANSACTION it enters UPDATE: nil means that the server has confirmed the
// deletions, a *ResponseError that it kept some of the messages, every other
// error that nobody knows. On a broken client, and inside a loop over replies,
// nothing is sent. It waits for Options.Timeout, or 10 s if that is less and
// nothing is marked as deleted.
//
// RFC 1939 sections 5 and 6 (QUIT)
func (c *Client) Quit() error {
	defer c.Close()
	if err := c.sendQuit(); err != nil {
		return err
	}
	_, err := c.status()
	return err
}

// Bye is Quit that does not wait for the reply: for a session that has marked nothing
// as deleted, so that there is nothing to confirm. The server may hold its lock on the
// maildrop a little longer than the connection.
func (c *Client) Bye() error {
	defer c.Close()
	if err := c.sendQuit(); err != nil {
		return err
	}
	return c.flush()
}

func (c *Client) sendQuit() error {
	if err := c.enter("QUIT", Authorization, Transaction); err != nil {
		return err
	}
	// A server that deletes takes its time for that. One that does not has
	// nothing to say that would be worth a long wait.
	if !c.deleting {
		c.timeout = min(c.timeout, idleQuit)
	}
	if c.state == Transaction {
		c.state = Update
	}
	c.queue("QUIT", "QUIT", "QUIT")
	return nil
}
