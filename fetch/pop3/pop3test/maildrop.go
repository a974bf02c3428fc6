package pop3test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Message is one message of a maildrop.
type Message struct {
	// UID is its unique-id. Add fills it in if it is empty.
	UID string
	// Raw holds exactly the octets that a client gets: line ends are sent as they
	// are, only dots are stuffed. A CRLF is added if the last line has none,
	// because POP3 cannot end a message otherwise; an empty message stays empty.
	Raw []byte
	// Generate, if not nil, takes the place of Raw: each call returns a reader of
	// the same octets, which end with CRLF. A message of any size needs no memory
	// then.
	Generate func() io.Reader
	// Octets is the length of what Generate returns.
	Octets int64
}

// Text returns a message that is written with LF line ends with CRLF line ends.
func Text(s string) []byte {
	return []byte(strings.ReplaceAll(s, "\n", "\r\n"))
}

// size returns how many octets the client gets, without byte-stuffing.
func (m *Message) size() int64 {
	switch {
	case m.Generate != nil:
		return m.Octets
	case len(m.Raw) > 0 && !bytes.HasSuffix(m.Raw, []byte("\r\n")):
		return int64(len(m.Raw)) + 2
	}
	return int64(len(m.Raw))
}

func (m *Message) reader() io.Reader {
	if m.Generate != nil {
		return m.Generate()
	}
	return bytes.NewReader(m.Raw)
}

// Maildrop holds the messages of one user. It may be used from several goroutines,
// and while sessions are open: a session sees what was there at its login.
type Maildrop struct {
	mu        sync.Mutex
	messages  []*Message        // one address for each message, even if all else is equal
	hidden    map[*Message]bool // from later sessions, by HideAfterRetr
	listed    map[*Message]bool // some session has seen it
	read      map[*Message]bool // some session has retrieved it
	made      int
	retrieved map[string]int
	deleted   map[string]int
	logins    int
	lastLogin time.Time
	holder    chan struct{} // closed when the session that holds the lock ends, nil = no session does
}

// NewMaildrop returns a maildrop with the messages in this order.
func NewMaildrop(messages ...Message) *Maildrop {
	m := &Maildrop{
		hidden:    make(map[*Message]bool),
		listed:    make(map[*Message]bool),
		read:      make(map[*Message]bool),
		retrieved: make(map[string]int),
		deleted:   make(map[string]int),
	}
	m.Add(messages...)
	return m
}

// Add appends messages.
func (m *Maildrop) Add(messages ...Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, msg := range messages {
		m.made++
		if msg.UID == "" {
			msg.UID = fmt.Sprintf("uid%06d", m.made)
		}
		m.messages = append(m.messages, &msg)
	}
}

// Messages returns what is there now. The octets in Raw are shared, not copied.
func (m *Maildrop) Messages() []Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Message, len(m.messages))
	for i, msg := range m.messages {
		all[i] = *msg
	}
	return all
}

// Retrieved returns how often the server has answered a RETR of this unique-id with a
// message, even if the connection was cut inside it.
func (m *Maildrop) Retrieved(uid string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.retrieved[uid]
}

// Deleted returns how many messages with this unique-id an UPDATE has removed.
func (m *Maildrop) Deleted(uid string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deleted[uid]
}

// Sessions returns how many logins there were.
func (m *Maildrop) Sessions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.logins
}

// lockResult is the outcome of acquire.
type lockResult uint8

const (
	locked lockResult = iota
	inUse
	tooEarly
)

// acquire takes the exclusive lock for a session and returns the messages that the
// session sees. It waits for the lock for at most wait. RFC 1939 section 4
func (m *Maildrop) acquire(wait, delay time.Duration) ([]*Message, lockResult) {
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		m.mu.Lock()
		held := m.holder
		if held == nil {
			break
		}
		m.mu.Unlock()
		select {
		case <-held:
		case <-limit.C:
			return nil, inUse
		}
	}
	defer m.mu.Unlock()
	now := time.Now()
	if delay > 0 && m.logins > 0 && now.Sub(m.lastLogin) < delay {
		return nil, tooEarly
	}
	m.holder = make(chan struct{})
	m.logins++
	m.lastLogin = now
	seen := make([]*Message, 0, len(m.messages))
	for _, msg := range m.messages {
		if !m.hidden[msg] {
			seen = append(seen, msg)
		}
	}
	return seen, locked
}

// release removes the messages in gone and unlocks the maildrop.
func (m *Maildrop) release(gone map[*Message]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages = slices.DeleteFunc(m.messages, func(msg *Message) bool {
		if gone[msg] {
			m.deleted[msg.UID]++
		}
		return gone[msg]
	})
	m.forget(gone)
	close(m.holder)
	m.holder = nil
}

// retrieve counts a RETR.
func (m *Maildrop) retrieve(msg *Message, hide bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retrieved[msg.UID]++
	m.read[msg] = true
	if hide {
		m.hidden[msg] = true
	}
}
