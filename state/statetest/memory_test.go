package statetest_test

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"popfetch/state"
	"popfetch/state/statetest"
)

// A Store that has nothing to do with files passes too: the suite asks for the
// contract, and for nothing that only one implementation has.
func TestMemory(t *testing.T) {
	stores := 0
	statetest.Run(t, func(t *testing.T) func() (state.Store, error) {
		stores++
		d := &disk{id: fmt.Sprintf("%016x", stores), drops: map[string]*drop{}}
		return func() (state.Store, error) { return &memory{disk: d}, nil }
	})
}

// disk is what outlives a memory.
type disk struct {
	id    string
	drops map[string]*drop
}

type drop struct {
	records map[string]state.Record
	intents map[string]state.Intent
	facts   state.Facts
}

// memory is a Store in memory. Its lock is held for reading during each call that
// reads, and for writing by Commit and Close.
type memory struct {
	mu     sync.RWMutex
	closed bool
	disk   *disk
}

func (s *memory) ID() string                         { return s.disk.id }
func (s *memory) Maildrop(key string) state.Maildrop { return &maildrop{s, key} }

func (s *memory) Keys() ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, state.ErrClosed
	}
	return slices.Sorted(maps.Keys(s.disk.drops)), nil
}

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
			for _, id := range slices.Sorted(maps.Keys(d.records)) {
				if !yield([]byte(id), d.records[id]) {
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
		delete(d.records, id)
	}
	if c.Facts != nil {
		d.facts = *c.Facts
	}
	for _, e := range c.Put {
		r := e.Record
		r.Delivered, r.Absent, r.Counted = seconds(r.Delivered), seconds(r.Absent), seconds(r.Counted)
		r.Observed = r.Observed.Truncate(time.Second)
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
