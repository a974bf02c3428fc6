package pop3

import "errors"

// askAhead sends commands without arguments now whose replies later calls read,
// in this order: those of Capa, Stat, List, Uidl and Noop.
func (c *Client) askAhead(commands ...string) {
	for _, command := range commands {
		c.queue(command, command, command)
	}
	c.unclaimed = append(c.unclaimed, commands...)
}

// ask sends a command without arguments, unless askAhead has sent it.
func (c *Client) ask(command string) {
	if len(c.unclaimed) > 0 && c.unclaimed[0] == command {
		c.unclaimed = c.unclaimed[1:]
		return
	}
	c.queue(command, command, command)
}

// dropAhead reads and drops the replies that no call has come for, up to that to
// the command.
func (c *Client) dropAhead(command string) error {
	for len(c.unclaimed) > 0 && c.unclaimed[0] != command {
		dropped := c.unclaimed[0]
		c.unclaimed = c.unclaimed[1:]
		_, err := c.status()
		var refused *ResponseError
		if errors.As(err, &refused) {
			continue
		}
		if err == nil && (dropped == "CAPA" || dropped == "LIST" || dropped == "UIDL") {
			_, err = c.listing(dropped, maxListingLines, func([]byte, *LineError) bool { return true })
		}
		if err != nil {
			return err
		}
	}
	return nil
}
