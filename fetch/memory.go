package fetch

import (
	"iter"

	"popfetch/state"
)

// memory is what is recorded of a maildrop. Every error of it is a *StateError.
type memory struct{ maildrop state.Maildrop }

// Scan calls fn with all records, in byte order of their ids; fn must not keep an
// id.
func (m memory) Scan(fn func(known iter.Seq2[[]byte, state.Record])) error {
	return stateError(m.maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		fn(known)
		return nil
	}))
}

// Get returns the record of an id.
func (m memory) Get(id string) (state.Record, error) {
	r, err := m.maildrop.Get(id)
	return r, stateError(err)
}

func (m memory) Facts() (state.Facts, error) {
	facts, err := m.maildrop.Facts()
	return facts, stateError(err)
}

func (m memory) Intents() ([]state.OpenIntent, error) {
	open, err := m.maildrop.Intents()
	return open, stateError(err)
}

// Commit implements settle.Maildrop.
func (m memory) Commit(c state.Change) error { return stateError(m.maildrop.Commit(c)) }

func stateError(err error) error {
	if err == nil {
		return nil
	}
	return &StateError{err}
}
