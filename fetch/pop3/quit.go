package pop3

// Quit ends the session and always closes the connection. From state TRANSACTION it
// enters UPDATE: nil means that the server has confirmed the deletions, a
// *ResponseError that it has kept some of the messages, and every other error that the
// outcome is unknown. On a broken client, and inside a loop over replies, it sends nothing.
// It waits for Options.Timeout, or for 10 s if that is less and nothing is marked as
// deleted.
//
// RFC 1939 sections 5 and 6 (QUIT)
func (c *Client) Quit() error {
	defer c.Close()
	if err := c.sendQuit(); err != nil {
		return err
	}
	_, err := c.status()
	if err == nil && c.lines.r.Buffered() > 0 {
		// A reply too many. If the server has repeated one to a DELE, then this is the one
		// to QUIT.
		head := []byte(c.lines.head())
		if _, ok := indicator(head, "+OK"); !ok {
			return c.protocol("QUIT", head, "the server sent more replies than it was asked for")
		}
	}
	return err
}

// Bye is Quit without waiting for the reply, for a session that has marked nothing as
// deleted. The server may hold its lock on the maildrop a little longer than the
// connection lasts.
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
	// Deleting many messages takes time. Without any, the reply says nothing
	// that would be worth a long wait.
	if !c.deleting {
		c.timeout = min(c.timeout, idleQuit)
	}
	if c.state == Transaction {
		c.state = Update
	}
	c.ask("QUIT")
	return nil
}
