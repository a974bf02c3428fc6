package pop3test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Habits are what some real servers do at every visit, without anything being
// wrong from their point of view. The zero value is a server that keeps to the
// letter of RFC 1939. A test itself does what happens between two sessions:
// Maildrop.Remove is another client that deletes, Maildrop.Snapshot and
// Maildrop.Restore are a restore from a backup.
//
// Habits that change messages leave those with Generate alone.
type Habits struct {
	// DropBehindLogin loses what has arrived behind a command that logs in by
	// the time that it is accepted: the process that checks the password has
	// read it, and another one serves the maildrop (Courier, Cyrus).
	DropBehindLogin bool

	// IDs says what UIDL shows.
	IDs IDs
	// NewIDsFrom is the session, counted from 1, from which on every message has
	// another unique-id than before, as after a move to another server; 0 = none.
	NewIDsFrom int

	// StampStatus changes messages at QUIT: those that were there get the field
	// "Status: O", those that were retrieved "Status: OR", and LIST counts that
	// from the next session on (GNU Mailutils, other servers on mbox files).
	StampStatus bool
	// Restamp gives every message that was there before another X-Scanned field
	// at each session after the first: a filter has looked at it once more.
	Restamp bool
	// TopField has TOP show one field more than RETR.
	TopField bool

	// Batch, when above 0, is how many messages a session shows: the oldest that no
	// earlier session has retrieved (Gmail).
	Batch int

	// EstimateOctets has LIST and STAT round the octets of a message up to full
	// 1024 until it was retrieved in an earlier session (Exchange).
	EstimateOctets bool
	// CountLF has LIST, STAT and the reply to RETR count each CRLF as one octet.
	CountLF bool
	// NoOctets has LIST show "?" in place of the octets.
	NoOctets bool

	// Empty is what UIDL and LIST answer if there are no messages.
	Empty EmptyListing
	// CloseAfterRefusedRetr ends the session, without UPDATE, behind the -ERR to
	// a RETR (Exchange). Fault{At: "RETR 2", Do: Err} is such a refusal.
	CloseAfterRefusedRetr bool
}

// IDs is where unique-ids come from.
type IDs uint8

const (
	// MessageIDs: they belong to the message (Message.UID).
	MessageIDs IDs = iota
	// NumberIDs: they are the message numbers, "1", "2", ….
	NumberIDs
	// PlaceIDs: they look like unique-ids and belong to the places of the
	// maildrop: if a message goes, each one behind it takes the id of the
	// one before.
	PlaceIDs
)

// EmptyListing is a reply to UIDL or LIST of an empty maildrop.
type EmptyListing uint8

const (
	EmptyWithDot EmptyListing = iota // +OK and the dot. RFC 1939 section 5
	EmptyRefused                     // -ERR no messages
	EmptyDotless                     // +OK without the dot
)

// arrive changes the maildrop at a login as its server does, and returns what the
// session sees of the messages that are there. The caller holds the lock.
func (h Habits) arrive(m *Maildrop, messages []*Message) []*Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.Restamp {
		for _, msg := range messages {
			if m.listed[msg] {
				msg.setField("X-Scanned", "in session "+strconv.Itoa(m.logins))
			}
		}
	}
	if h.Batch > 0 {
		messages = slices.DeleteFunc(messages, func(msg *Message) bool { return m.read[msg] })
		messages = messages[:min(len(messages), h.Batch)]
	}
	for _, msg := range messages {
		m.listed[msg] = true
	}
	return messages
}

// show gives the entries of a session's view the ids and octets that the server
// shows.
func (h Habits) show(view []entry, m *Maildrop, session int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range view {
		e := &view[i]
		switch h.IDs {
		case NumberIDs:
			e.uid = strconv.Itoa(i + 1)
		case PlaceIDs:
			e.uid = fmt.Sprintf("place%08x", i+1)
		}
		if h.NewIDsFrom > 0 && session >= h.NewIDsFrom {
			e.uid = fmt.Sprintf("%d.%s", h.NewIDsFrom, e.uid)
		}
		if h.CountLF {
			e.octets -= e.msg.lines()
		}
		e.announced = e.octets
		if h.EstimateOctets && !m.read[e.msg] {
			e.octets = (e.octets + 1023) &^ 1023
		}
	}
}

// depart changes the messages of a view at QUIT.
func (h Habits) depart(view []entry, m *Maildrop) {
	if !h.StampStatus {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range view {
		switch {
		case e.msg == nil:
		case m.read[e.msg]:
			e.msg.setField("Status", "OR")
		default:
			e.msg.setField("Status", "O")
		}
	}
}

// listing is the reply to UIDL and LIST if there are no messages.
func (e EmptyListing) listing(r reply) reply {
	switch e {
	case EmptyRefused:
		return reply{status: "-ERR no messages"}
	case EmptyDotless:
		r.body = nil
	}
	return r
}

// setField puts a field at the end of the header block, in place of the one of that
// name if there is one.
func (m *Message) setField(name, value string) {
	if m.Generate != nil {
		return
	}
	header, body, _ := bytes.Cut(m.Raw, []byte("\r\n\r\n"))
	var lines []string
	for line := range strings.SplitSeq(string(header), "\r\n") {
		if line != "" && !strings.HasPrefix(line, name+": ") {
			lines = append(lines, line)
		}
	}
	lines = append(lines, name+": "+value)
	m.Raw = append([]byte(strings.Join(lines, "\r\n")+"\r\n\r\n"), body...)
}

// lines counts the CRLF of a message as the client gets it; none of one with Generate.
func (m *Message) lines() int64 {
	n := int64(bytes.Count(m.Raw, []byte("\r\n")))
	if m.Generate == nil && m.size() > int64(len(m.Raw)) {
		n++
	}
	return n
}

// topReader is what TOP shows of a message.
func (h Habits) topReader(m *Message) io.Reader {
	if !h.TopField {
		return m.reader()
	}
	return io.MultiReader(strings.NewReader("X-Top: shown by TOP alone\r\n"), m.reader())
}

// Snapshot is what a maildrop held at one time.
type Snapshot struct {
	messages             []Message
	hidden, listed, read []bool
	made                 int
}

// Snapshot returns what the maildrop holds now, a backup of it.
func (m *Maildrop) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Snapshot{made: m.made}
	for _, msg := range m.messages {
		s.messages = append(s.messages, *msg)
		s.hidden = append(s.hidden, m.hidden[msg])
		s.listed = append(s.listed, m.listed[msg])
		s.read = append(s.read, m.read[msg])
	}
	return s
}

// Restore has the maildrop hold what it held then, from the next login on. Messages
// added since are gone, those removed since are back, and Add gives the unique-ids that
// it has given since once more, to other messages. The counts of Retrieved and Deleted
// go on.
func (m *Maildrop) Restore(s Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages, m.made = nil, s.made
	clear(m.hidden)
	clear(m.listed)
	clear(m.read)
	for i := range s.messages {
		msg := s.messages[i]
		m.messages = append(m.messages, &msg)
		m.hidden[&msg], m.listed[&msg], m.read[&msg] = s.hidden[i], s.listed[i], s.read[i]
	}
}

// Remove removes the messages with these unique-ids (Message.UID), as another client
// does between two sessions: they are gone from the next login on. It returns how many
// there were; Deleted does not count them.
func (m *Maildrop) Remove(uids ...string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := make(map[*Message]bool)
	m.messages = slices.DeleteFunc(m.messages, func(msg *Message) bool {
		if slices.Contains(uids, msg.UID) {
			gone[msg] = true
		}
		return gone[msg]
	})
	m.forget(gone)
	return len(gone)
}

// forget drops what is known of messages that have gone. The caller holds m.mu.
func (m *Maildrop) forget(gone map[*Message]bool) {
	for _, known := range []map[*Message]bool{m.hidden, m.listed, m.read} {
		maps.DeleteFunc(known, func(msg *Message, _ bool) bool { return gone[msg] })
	}
}
