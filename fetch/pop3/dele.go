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
func (c *Client) Dele(nums []int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		if err := c.enterNumbers("DELE", nums); err != nil {
			yield(0, err)
			return
		}
		line := func(num int) string { return "DELE " + strconv.Itoa(num) }
		c.iterate("DELE", func() bool {
			return c.each(nums, line, false, func(num int, _ string, err error) bool {
				c.deleting = c.deleting || err == nil
				return yield(num, err)
			})
		})
	}
}
