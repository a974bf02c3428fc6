package pop3

import "fmt"

// State is a session state. RFC 1939 section 3
type State uint8

const (
	Authorization State = iota // the server waits for a login
	Transaction                // logged in, with the exclusive lock on the maildrop
	Update                     // QUIT was sent; the session is over
)

func (s State) String() string {
	switch s {
	case Authorization:
		return "AUTHORIZATION"
	case Transaction:
		return "TRANSACTION"
	case Update:
		return "UPDATE"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}
