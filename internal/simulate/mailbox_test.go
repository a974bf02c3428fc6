package simulate

import (
	"context"
	"io"
	"strconv"
	"sync"

	"popfetch/deliver"
)

// mailbox is a destination in memory that outlives the processes which deliver to it. It
// behaves like a Maildir, or like a program that drops repeats by their delivery id.
type mailbox struct {
	program bool
	mu      sync.Mutex
	taken   map[string]bool // by the program, delivery ids
	staged  map[string][]byte
	next    int
	arrived [][]byte // since it was last emptied
}

const mailboxKind = "mailbox"

func (m *mailbox) Group() int {
	if m.program {
		return 1
	}
	return 8
}

func (m *mailbox) Recoverable() bool { return !m.program }

func (m *mailbox) Stage(_ context.Context, meta deliver.Meta, r io.Reader) (deliver.Staged, error) {
	octets, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next++
	name := strconv.Itoa(m.next)
	if !m.program {
		m.staged[name] = octets
	}
	return &letter{m, name, meta.ID, octets}, nil
}

func (m *mailbox) Prepare(context.Context, []deliver.Staged) []error { return nil }

func (m *mailbox) Publish(_ context.Context, group []deliver.Staged) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range group {
		l := s.(*letter)
		if m.program {
			if m.taken[l.id] {
				continue
			}
			m.taken[l.id] = true
		}
		m.take(l.name, l.octets)
	}
	return nil
}

// take delivers a message. The caller holds the lock.
func (m *mailbox) take(name string, octets []byte) {
	m.arrived = append(m.arrived, octets)
	delete(m.staged, name)
}

func (m *mailbox) Close() error { return nil }

func (m *mailbox) recover(_ context.Context, i deliver.Intent) (deliver.Outcome, error) {
	if m.program {
		return deliver.Again, nil
	}
	octets, ok := m.staged[i.Note]
	if !ok {
		return deliver.Published, nil
	}
	m.take(i.Note, octets)
	return deliver.Redone, nil
}

// letter is a staged message.
type letter struct {
	mailbox  *mailbox
	name, id string
	octets   []byte
}

func (l *letter) Intent() deliver.Intent { return deliver.Intent{Kind: mailboxKind, Note: l.name} }

func (l *letter) Abort() error {
	l.mailbox.mu.Lock()
	defer l.mailbox.mu.Unlock()
	delete(l.mailbox.staged, l.name)
	return nil
}
