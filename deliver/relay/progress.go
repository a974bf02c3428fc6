package relay

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"slices"

	"popfetch/deliver"
	"popfetch/internal/spool"
)

// progress is which recipients have accepted a message that others have refused. It goes
// into the record of the message, as JSON, so that they do not get it again.
type progress struct {
	Text       []byte   `json:"text"` // digest of the message, see digest
	Recipients []string `json:"recipients"`
}

// have returns who has accepted the message at an earlier attempt. What is recorded counts
// only for the same octets: a server may use a unique-id again.
func (s *staged) have() []string {
	if s.meta.Progress == "" {
		return nil
	}
	var p progress
	if err := json.Unmarshal([]byte(s.meta.Progress), &p); err != nil {
		return nil // of another kind of destination
	}
	own, err := digest(s.spool)
	if err != nil || !bytes.Equal(p.Text, own) {
		return nil
	}
	return p.Recipients
}

// note returns the progress to be recorded, "" if nobody has the message.
func (s *staged) note(have []string) string {
	own, err := digest(s.spool)
	if err != nil || len(have) == 0 {
		return ""
	}
	text, _ := json.Marshal(progress{own, have}) // cannot fail: octets and strings
	return string(text)
}

// digest returns a digest of a message without the Received field of popfetch, which differs
// from one attempt to the next.
func digest(m *spool.Spool) ([]byte, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, deliver.Wire(m.Reader()))
	return sum.Sum(nil)[:16], err
}

// without returns the elements of all that are not in some.
func without(all, some []string) (rest []string) {
	for _, s := range all {
		if !slices.Contains(some, s) {
			rest = append(rest, s)
		}
	}
	return rest
}
