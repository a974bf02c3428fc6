package imap

import "fmt"

// Refusal is a NO or BAD of the server to a command. The connection can go on.
type Refusal struct {
	Command string
	Bad     bool   // BAD: the server does not understand the command
	Code    string // response code in upper case, without brackets and arguments; "" = none
	Text    string // as the server wrote it
}

func (e *Refusal) Error() string {
	word := "NO"
	if e.Bad {
		word = "BAD"
	}
	if e.Code != "" {
		word += " [" + e.Code + "]"
	}
	return fmt.Sprintf("%s: the server said %s %s", e.Command, word, quote(e.Text))
}

// Passing reports whether the refusal is about the moment: the same command may succeed
// later. RFC 5530 section 3, RFC 9208 section 4.3
func (e *Refusal) Passing() bool {
	switch e.Code {
	case "OVERQUOTA", "INUSE", "UNAVAILABLE", "LIMIT", "SERVERBUG", "CONTACTADMIN":
		return true
	}
	return false
}

// ProtocolError is something that an IMAP server must not say.
type ProtocolError struct {
	Command string
	Msg     string
}

func (e *ProtocolError) Error() string { return e.Command + ": " + e.Msg }

// maxQuote is how many octets of a text of the server an error shows.
const maxQuote = 300

// quote shows a text of the server.
func quote(s string) string {
	if len(s) > maxQuote {
		s = s[:maxQuote] + "..."
	}
	return fmt.Sprintf("%q", s)
}
