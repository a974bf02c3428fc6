package pop3

import (
	"testing"
)

// noListing checks that both listings are empty and the session goes on.
func noListing(t *testing.T, c *Client) {
	t.Helper()
	for range 2 {
		for u, err := range c.Uidl() {
			t.Errorf("%+v, %v", u, err)
		}
		for l, err := range c.List() {
			t.Errorf("%+v, %v", l, err)
		}
	}
	if err := c.Noop(); err != nil {
		t.Error(err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}

// A server may refuse UIDL and LIST of an empty maildrop, so that neither is sent.
func TestNoListingIsAskedOfAnEmptyMaildrop(t *testing.T) {
	c := transaction(t, "C: STAT\nS: +OK 0 0\nC: NOOP\nS: +OK\nC: QUIT\nS: +OK\n")
	if n, octets, err := c.Stat(); n != 0 || octets != 0 || err != nil {
		t.Fatal(n, octets, err)
	}
	noListing(t, c)
}

// If the listings were sent with STAT, the server may have refused them, or left out
// the dot, for an empty maildrop.
func TestListingsOfAnEmptyMaildropThatWereSentAhead(t *testing.T) {
	for _, uidl := range []string{"+OK", "-ERR no messages", "+OK\nS: ."} {
		for _, list := range []string{"+OK", "-ERR no messages", "+OK\nS: ."} {
			t.Run(uidl+", "+list, func(t *testing.T) {
				c := pipelined(t, "C: STAT\nC: UIDL\nC: LIST\nS: +OK 0 0\nS: "+uidl+"\nS: "+list+
					"\nC: NOOP\nS: +OK\nC: QUIT\nS: +OK\n")
				c.askAhead("STAT", "UIDL", "LIST")
				if n, _, err := c.Stat(); n != 0 || err != nil {
					t.Fatal(n, err)
				}
				noListing(t, c)
			})
		}
	}
}

// The dot may come after the next command has gone out.
func TestLateDotOfAnEmptyListing(t *testing.T) {
	c := pipelined(t, "C: STAT\nC: UIDL\nS: +OK 0 0\nS: +OK\nC: NOOP\nS: .\nS: +OK\nC: QUIT\nS: +OK\n")
	c.askAhead("STAT", "UIDL")
	if _, _, err := c.Stat(); err != nil {
		t.Fatal(err)
	}
	noListing(t, c)
}

// The replies to UIDL and LIST are drained even if List and Uidl are never called.
func TestListingsOfAnEmptyMaildropThatNobodyReads(t *testing.T) {
	c := pipelined(t, "C: STAT\nC: UIDL\nC: LIST\nS: +OK 0 0\nS: +OK\nS: +OK\nC: QUIT\nS: +OK\n")
	c.askAhead("STAT", "UIDL", "LIST")
	if _, _, err := c.Stat(); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}

// If STAT was not sent, or counts messages, a refused listing is an error.
func TestListingThatIsRefused(t *testing.T) {
	for _, stat := range []string{"", "C: STAT\nS: +OK 1 5\n"} {
		c := transaction(t, stat+"C: UIDL\nS: -ERR no messages\nC: QUIT\nS: +OK\n")
		if stat != "" {
			if _, _, err := c.Stat(); err != nil {
				t.Fatal(err)
			}
		}
		refused := false
		for _, err := range c.Uidl() {
			refused = isResponseError(err)
		}
		if !refused {
			t.Error("not refused")
		}
		c.Quit()
	}
}

// A stray dot is skipped only after the listing of an empty maildrop, and only once.
func TestDotWhereNoListingWas(t *testing.T) {
	c := transaction(t, "C: STAT\nS: +OK 0 0\nC: NOOP\nS: .\n")
	if _, _, err := c.Stat(); err != nil {
		t.Fatal(err)
	}
	if err := c.Noop(); !isProtocolError(err) {
		t.Errorf("got %v", err)
	}
}
