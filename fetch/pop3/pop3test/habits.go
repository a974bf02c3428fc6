package pop3test

// Habits are what some real servers do at every visit, without anything being
// wrong from their point of view. The zero value is a server that keeps to the
// letter of RFC 1939.
type Habits struct {
	// DropBehindLogin loses what has arrived behind a command that logs in by
	// the time that it is accepted: the process that checks the password has
	// read it, and another one serves the maildrop (Courier, Cyrus).
	DropBehindLogin bool
}
