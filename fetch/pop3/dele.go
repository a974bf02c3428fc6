package pop3

import (
	"iter"
	"strconv"
)

// Dele marks messages as deleted; the server removes them when Quit enters
// UPDATE. It yields each number with nil or a *ResponseError, and the iteration
// goes on; every other error is the last thing yielded.
//
// RFC 1939 section 5 (DELE)
func (c *Client) Dele(nums []int) iter.Seq2[int, error] { return c.dele(nums, false) }

// DeleThenQuit is Dele where Quit is the next call, and the only one. If the server
// announces PIPELINING, QUIT goes out with the last DELE. By then every reply that came
// belonged to its command. If the server refuses a DELE while QUIT is on its way, it
// enters UPDATE all the same and removes the other messages. Without Quit nobody learns
// whether it has.
//
// RFC 1939 sections 5 and 6 (DELE, QUIT)
func (c *Client) DeleThenQuit(nums []int) iter.Seq2[int, error] { return c.dele(nums, true) }

func (c *Client) dele(nums []int, quit bool) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		if err := c.enterNumbers("DELE", nums); err != nil {
			yield(0, err)
			return
		}
		line := func(num int) string { return "DELE " + strconv.Itoa(num) }
		c.iterate("DELE", func() bool {
			return c.each(batch{nums: nums, line: line, octets: always(statusOctets), quit: quit}, func(num int, _ string, err error) bool {
				c.deleting = c.deleting || err == nil
				return yield(num, err)
			})
		})
	}
}
