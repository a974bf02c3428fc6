package pop3

import (
	"iter"
	"strconv"
)

// Top asks for the header block and the first lines of the body of messages. It
// behaves as Retr does, and Message.Octets is -1, because servers do not agree on what
// they announce here. RFC 1939 section 7 (TOP)
func (c *Client) Top(nums []int, lines int) iter.Seq2[*Message, error] {
	suffix, octets := " "+strconv.Itoa(max(lines, 0)), always(unknownOctets)
	if lines <= 0 {
		octets = always(headerOctets)
	}
	line := func(num int) string { return "TOP " + strconv.Itoa(num) + suffix }
	return c.messages("TOP", batch{nums: nums, line: line, octets: octets}, func(string) int64 { return -1 })
}
