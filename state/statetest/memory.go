package statetest

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"popfetch/state"
)

// Memory is what a Store in memory has in place of a file: it outlives the Store that
// Open returns. The zero value is empty. One Store at a time may be open.
type Memory struct {
	Name      string // what Store.ID returns
	drops     map[string]*drop
	incidents map[string]state.Incident
}

// Open returns a Store that keeps the contract of state.Store, and nothing on a disk.
func (m *Memory) Open() state.Store {
	if m.drops == nil {
		m.drops, m.incidents = make(map[string]*drop), make(map[string]state.Incident)
	}
	return &memory{disk: m}
}

type drop struct {
	ids     []string // of records, in byte order
	records map[string]state.Record
	intents map[string]state.Intent
	facts   state.Facts
}

// memory is a Store in memory. Its lock is held for reading during each call that
// reads, and for writing by Commit and Close.
type memory struct {
	mu     sync.RWMutex
	closed bool
	disk   *Memory
}

func (s *memory) ID() string                         { return s.disk.Name }
func (s *memory) Maildrop(key string) state.Maildrop { return &maildrop{s, key} }

func (s *memory) Keys() ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, state.ErrClosed
	}
	return slices.Sorted(maps.Keys(s.disk.drops)), nil
}

func (s *memory) Incidents() (map[string]state.Incident, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, state.ErrClosed
	}
	return maps.Clone(s.disk.incidents), nil
}

func (s *memory) PutIncident(key string, i *state.Incident) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return state.ErrClosed
	case key == "" || len(key) > state.MaxKey:
		return state.ErrInvalid
	case i == nil:
		delete(s.disk.incidents, key)
		return nil
	}
	kept := *i
	kept.Since, kept.Last, kept.Said, kept.Next = wholeSeconds(i.Since), wholeSeconds(i.Last), i.Said.UTC().Round(0), wholeSeconds(i.Next)
	kept.Changed = i.Changed.UTC().Round(0)
	kept.Error = strings.ToValidUTF8(i.Error, "\ufffd") // as JSON does
	kept.Messages = slices.Clone(i.Messages)
	s.disk.incidents[key] = kept
	return nil
}

// wholeSeconds is a time of an incident as a Store keeps it.
func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func (s *memory) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

type maildrop struct {
	store *memory
	key   string
}

// view calls fn with what is known of the maildrop.
func (m *maildrop) view(fn func(*drop) error) error {
	m.store.mu.RLock()
	defer m.store.mu.RUnlock()
	if m.store.closed {
		return state.ErrClosed
	}
	return fn(cmp.Or(m.store.disk.drops[m.key], &drop{}))
}

func (m *maildrop) Scan(fn func(iter.Seq2[[]byte, state.Record]) error) error {
	return m.view(func(d *drop) error {
		over := false
		defer func() { over = true }()
		return fn(func(yield func([]byte, state.Record) bool) {
			if over {
				return
			}
			var buf []byte
			for _, id := range d.ids {
				buf = append(buf[:0], id...)
				if !yield(buf, d.records[id]) {
					return
				}
			}
		})
	})
}

func (m *maildrop) Get(id string) (r state.Record, err error) {
	err = m.view(func(d *drop) error { r = d.records[id]; return nil })
	return r, err
}

func (m *maildrop) Intents() (open []state.OpenIntent, err error) {
	err = m.view(func(d *drop) error {
		for _, id := range slices.Sorted(maps.Keys(d.intents)) {
			open = append(open, state.OpenIntent{ID: id, Intent: d.intents[id], Record: d.records[id]})
		}
		return nil
	})
	return open, err
}

func (m *maildrop) Facts() (facts state.Facts, err error) {
	err = m.view(func(d *drop) error { facts = d.facts; return nil })
	return facts, err
}

func (m *maildrop) Commit(c state.Change) error {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if m.store.closed {
		return state.ErrClosed
	}
	if c.Empty() {
		return nil
	}
	ids := slices.Concat(c.Done, c.Forget)
	for _, e := range c.Put {
		ids = append(ids, e.ID)
	}
	for _, id := range ids {
		if id == "" || len(id) > state.MaxID {
			return state.ErrInvalid
		}
	}
	if m.key == "" || len(m.key) > state.MaxKey {
		return state.ErrInvalid
	}
	d := m.store.disk.drops[m.key]
	if d == nil {
		d = &drop{records: map[string]state.Record{}, intents: map[string]state.Intent{}}
		m.store.disk.drops[m.key] = d
	}
	for _, id := range c.Done {
		delete(d.intents, id)
	}
	for _, id := range c.Forget {
		delete(d.intents, id)
		if i, ok := slices.BinarySearch(d.ids, id); ok {
			d.ids = slices.Delete(d.ids, i, i+1)
		}
		delete(d.records, id)
	}
	if c.Facts != nil {
		d.facts = *c.Facts
	}
	for _, e := range c.Put {
		r := e.Record
		r.Delivered, r.Absent, r.Counted, r.Tried = seconds(r.Delivered), seconds(r.Absent), seconds(r.Counted), seconds(r.Tried)
		r.Observed = r.Observed.Truncate(time.Second)
		if i, ok := slices.BinarySearch(d.ids, e.ID); !ok {
			d.ids = slices.Insert(d.ids, i, e.ID)
		}
		d.records[e.ID] = r
		if e.Intent != nil {
			d.intents[e.ID] = *e.Intent
		}
	}
	return nil
}

// seconds is a time as a Store keeps it.
func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Unix(t.Unix(), 0).UTC()
}
