package pop3

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
)

// withFirstBuffer gives the client the buffer that NewClient gives it.
func withFirstBuffer(c *Client) *Client {
	c.lines.r = bufio.NewReaderSize(&c.lines, firstSize)
	return c
}

// A session that finds nothing new does with a small buffer: there may be hundreds at a time.
func TestShortSessionDoesNotAllocateTheWholeBuffer(t *testing.T) {
	c := withFirstBuffer(rawListing(t, "+OK\r\n1 a\r\n2 b\r\n.\r\n"))
	for _, err := range c.Uidl() {
		if err != nil {
			t.Fatal(err)
		}
	}
	if have := c.lines.r.Size(); have != firstSize {
		t.Errorf("the buffer has %d octets, not %d", have, firstSize)
	}
}

// The replies behind a listing may have come together with its first lines.
func TestBufferGrowsWithoutLosingWhatIsInIt(t *testing.T) {
	var script strings.Builder
	script.WriteString("+OK\r\n")
	const n = 5000
	for i := range n {
		fmt.Fprintf(&script, "%d id-%d\r\n", i+1, i+1)
	}
	script.WriteString(".\r\n+OK noop\r\n")
	c := withFirstBuffer(rawListing(t, script.String()))
	c.askAhead("UIDL", "NOOP")
	next := 1
	for u, err := range c.Uidl() {
		if err != nil {
			t.Fatal(err)
		}
		if u.Num != next || string(u.ID) != fmt.Sprintf("id-%d", next) {
			t.Fatalf("message %d has id %q, want message %d", u.Num, u.ID, next)
		}
		next++
	}
	if next != n+1 {
		t.Errorf("%d messages are listed, not %d", next-1, n)
	}
	if err := c.Noop(); err != nil {
		t.Error(err)
	}
	if have := c.lines.r.Size(); have != bufferSize {
		t.Errorf("the buffer has %d octets, not %d", have, bufferSize)
	}
}
