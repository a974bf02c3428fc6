package fetch

import (
	"iter"

	"popfetch/fetch/pop3"
)

// Session is a maildrop in the TRANSACTION state, as a poll uses it. Its
// methods behave as those of *pop3.Client.
type Session interface {
	Capabilities() pop3.Capabilities
	List() iter.Seq2[pop3.ScanListing, error]
	Uidl() iter.Seq2[pop3.UniqueID, error]
	Top(nums []int, lines int) iter.Seq2[*pop3.Message, error]
	Retr(nums []int) iter.Seq2[*pop3.Message, error]
	Dele(nums []int) iter.Seq2[int, error]
	Pipelined() bool
	Drain()
	Owed() int
	Confirmed() int
	Noop() error
	Quit() error
	Close() error
	RoundTrips() int
}

var _ Session = (*pop3.Client)(nil)
