package fetch_test

import (
	"testing"

	"popfetch/fetch/pop3"
	"popfetch/state"
)

// deletionCounter counts the transactions that record deletions, and the deletions.
type deletionCounter struct {
	state.Maildrop
	commits, deleted, most int
}

func (m *deletionCounter) Commit(c state.Change) error {
	n := 0
	for _, e := range c.Put {
		if e.Record.Deleted {
			n++
		}
	}
	if n > 0 {
		m.commits++
		m.deleted += n
		m.most = max(m.most, n)
	}
	return m.Maildrop.Commit(c)
}

// A transaction takes a sync, and the memory of what it records.
func TestDeletionsAreRecordedInFewTransactionsOfLimitedSize(t *testing.T) {
	const n = 10_001
	h := newFixture(t, n, nil)
	h.options.Pipelining = pop3.PipelineAuto
	h.account.Policy.Delete = true
	m := &deletionCounter{Maildrop: h.account.Maildrop}
	h.account.Maildrop = m
	if r := h.mustPoll(); r.Deleted != n {
		t.Errorf("%+v", r)
	}
	if m.commits != 2 || m.deleted != n || m.most > 10_000 {
		t.Errorf("%d transactions, %d deletions, %d at most in one", m.commits, m.deleted, m.most)
	}
}
