package fetch

import (
	"crypto/tls"
	"iter"
	"time"

	"popfetch/fetch/pop3"
)

// Opening is how a session is to begin.
type Opening struct {
	Serial bool // send one command at a time
	// The others are those of pop3.Credentials.
	Expected pop3.Offer
	Next     []string
	Patient  bool
	// Trusted is what an earlier session has passed to Trust, "" for nothing.
	Trusted string
	// Trust remembers the fingerprint of the server for later sessions. Open calls it for
	// an account that trusts the server on first use, if Trusted is "", before it sends
	// any secret. If Trust fails, so does Open.
	Trust func(fingerprint string) error
	// Connected is called when the connection is made and secured, before the login.
	Connected func()
	// Waited is that of pop3.Options.
	Waited func(octets int, d time.Duration)
}

// Session is a maildrop in the TRANSACTION state, as a poll uses it. Its
// methods behave as those of *pop3.Client.
type Session interface {
	Capabilities() pop3.Capabilities
	Offer() pop3.Offer
	TLS() (tls.ConnectionState, bool)
	Stat() (messages int, octets int64, err error)
	List() iter.Seq2[pop3.ScanListing, error]
	Uidl() iter.Seq2[pop3.UniqueID, error]
	Top(nums []int, lines int) iter.Seq2[*pop3.Message, error]
	Retr(nums []int, octets func(k int) int64) iter.Seq2[*pop3.Message, error]
	DeleThenQuit(nums []int) iter.Seq2[int, error]
	Pipelined() bool
	Drain()
	Owed() int
	Confirmed() int
	Broken() error
	SurplusReply(num int, head []byte) error
	Quit() error
	Bye() error
	Close() error
	RoundTrips() int
}

var _ Session = (*pop3.Client)(nil)
