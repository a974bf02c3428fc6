package maildir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"sync"

	"popfetch/internal/durable"
	"popfetch/internal/durable/model"
	"popfetch/state"
)

// logPath is the state file on a model disk.
const logPath = "/state/log"

// logStore is a state.Maildrop on a model disk: a log to which each change is appended and
// synced. Like the real one it keeps a change whole or not at all in a power cut. Its
// operations are in one sequence with those of the mail.
type logStore struct {
	log     durable.File
	mu      sync.Mutex // of the maps
	records map[string]state.Record
	intents map[string]state.Intent
	unsure  bool // Intents may return what is not durable
}

var _ state.Maildrop = (*logStore)(nil)

// logged is a state.Change as written to the log.
type logged struct {
	Done, Forget []string
	Put          []loggedEntry
}

// loggedEntry has the digest in a form that JSON reads fast.
type loggedEntry struct {
	ID string
	state.Record
	Digest []byte
	Intent *state.Intent
}

// openLog reads the log of a disk.
func openLog(disk *model.Disk) (*logStore, error) {
	text, err := disk.ReadFile(logPath)
	if err != nil {
		return nil, err
	}
	file, err := disk.Append(logPath)
	if err != nil {
		return nil, err
	}
	s := &logStore{log: file, records: make(map[string]state.Record), intents: make(map[string]state.Intent)}
	for len(text) > 0 {
		payload, rest, ok := unframe(text)
		if !ok {
			text = text[1:] // a part of a change, left by a power cut: search the next one
			continue
		}
		var c logged
		if err := json.Unmarshal(payload, &c); err != nil {
			return nil, err
		}
		s.apply(c)
		text = rest
	}
	return s, nil
}

// A frame is the length of a change, its checksum, and the change.
const frameHead = 4 + 8

// Get implements state.Maildrop.
func (s *logStore) Get(id string) (state.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[id], nil
}

// frame returns a change as it is written to the log.
func frame(payload []byte) []byte {
	sum := sha256.Sum256(payload)
	return slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), sum[:8], payload)
}

// unframe splits the first change from text, ok if it is whole.
func unframe(text []byte) (payload, rest []byte, ok bool) {
	if len(text) < frameHead {
		return nil, nil, false
	}
	size := uint64(binary.BigEndian.Uint32(text))
	if size == 0 || size > uint64(len(text)-frameHead) {
		return nil, nil, false
	}
	payload, rest = text[frameHead:][:size], text[frameHead:][size:]
	sum := sha256.Sum256(payload)
	return payload, rest, bytes.Equal(sum[:8], text[4:frameHead])
}

func (s *logStore) apply(c logged) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range c.Done {
		delete(s.intents, id)
	}
	for _, id := range c.Forget {
		delete(s.records, id)
		delete(s.intents, id)
	}
	for _, e := range c.Put {
		copy(e.Record.Digest[:], e.Digest)
		s.records[e.ID] = e.Record
		if e.Intent != nil {
			s.intents[e.ID] = *e.Intent
		}
	}
}

func (s *logStore) Commit(c state.Change) error {
	if c.Empty() {
		return nil
	}
	l := logged{Done: c.Done, Forget: c.Forget}
	for _, e := range c.Put {
		l.Put = append(l.Put, loggedEntry{e.ID, e.Record, e.Record.Digest[:], e.Intent})
	}
	payload, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := s.log.Write(frame(payload)); err != nil {
		return err
	}
	if err := s.log.Sync(); err != nil {
		return err
	}
	s.apply(l)
	return nil
}

func (s *logStore) Scan(fn func(iter.Seq2[[]byte, state.Record]) error) error {
	return fn(func(yield func([]byte, state.Record) bool) {
		for _, id := range slices.Sorted(maps.Keys(s.records)) {
			if !yield([]byte(id), s.records[id]) {
				return
			}
		}
	})
}

func (s *logStore) Facts() (state.Facts, error) { return state.Facts{}, nil }

// Intents makes durable what it returns. After a kill the log may have an intent that was not
// synced. Recover would publish its message, and if a power cut then removed the intent,
// the message would be fetched again.
func (s *logStore) Intents() ([]state.OpenIntent, error) {
	if len(s.intents) > 0 && !s.unsure {
		if err := s.log.Sync(); err != nil {
			return nil, err
		}
	}
	var open []state.OpenIntent
	for _, id := range slices.Sorted(maps.Keys(s.intents)) {
		open = append(open, state.OpenIntent{ID: id, Intent: s.intents[id], Record: s.records[id]})
	}
	return open, nil
}
