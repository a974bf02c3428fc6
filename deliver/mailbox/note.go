package mailbox

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"popfetch/deliver"
)

// note is what an intent records, as JSON.
type note struct {
	Server      string `json:"server"`
	User        string `json:"user"`
	Folder      string `json:"folder"` // as the server writes it
	UIDValidity uint32 `json:"validity"`
	UIDNext     uint32 `json:"next"` // the message has this UID or a higher one if it is there

	// What the message is recognised by, the first that is not "".
	ID     string `json:"id,omitempty"`   // delivery id, in its Received field
	Header string `json:"header"`         // digest of its header block
	Like   string `json:"like,omitempty"` // fingerprint, if the server has changed the header block
	Size   int64  `json:"size"`           // in octets, with Header
	Order  int    `json:"order"`          // among the messages of the group for this folder, from 1
	Copy   int    `json:"copy"`           // which one of those with this Header, from 1

	MessageID string `json:"message_id,omitempty"` // to find it after UIDVALIDITY has changed
	Group     string `json:"group"`                // the same for all messages of a group
	Time      int64  `json:"time"`                 // Unix seconds
}

// noteOf returns what is known before the folder is.
func (m *Mailbox) noteOf(head []byte, size int64, id string) note {
	block := headerBlock(head)
	n := note{Server: m.Server, User: m.User, Size: size, MessageID: messageID(head)}
	n.Header = digest(block)
	if slices.Contains(deliveryIDs(block), id) {
		n.ID = id
	}
	if fingerprint, ok := m.identify(block); ok {
		n.Like = hex.EncodeToString(fingerprint[:])
	}
	return n
}

func (m *Mailbox) identify(block []byte) ([16]byte, bool) {
	if m.Identify == nil {
		return [16]byte{}, false
	}
	return m.Identify(append(bytes.Clone(block), "\r\n\r\n"...))
}

func (n note) intent() deliver.Intent { return deliver.NewIntent(Kind, n) }

// newToken returns a name that nothing else has.
func newToken() string { return rand.Text() }

// digest is a short digest of a header block.
func digest(block []byte) string {
	sum := sha256.Sum256(block)
	return hex.EncodeToString(sum[:16])
}

// headerBlock returns the header block at the beginning of a message, without the empty
// line behind it.
func headerBlock(head []byte) []byte {
	if bytes.HasPrefix(head, []byte("\r\n")) {
		return nil
	}
	block, _, _ := bytes.Cut(head, []byte("\r\n\r\n"))
	return bytes.TrimRight(block, "\r\n")
}

// deliveryIDs returns the delivery ids in the Received fields of popfetch.
func deliveryIDs(block []byte) []string {
	var ids []string
	for name, value := range deliver.Fields(append(bytes.Clone(block), "\r\n\r\n"...)) {
		if !strings.EqualFold(name, "received") || !strings.Contains(value, "(popfetch ") {
			continue
		}
		words := strings.Fields(value)
		for i, w := range words {
			if w == "id" && i+1 < len(words) {
				ids = append(ids, strings.TrimSuffix(words[i+1], ";"))
				break
			}
		}
	}
	return ids
}

// messageID returns the Message-ID of a message, "" if there is none that a search could
// name.
func messageID(head []byte) string {
	for name, value := range deliver.Fields(head) {
		if strings.EqualFold(name, "message-id") {
			if value == "" || len(value) > 250 || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				return ""
			}
			return value
		}
	}
	return ""
}
