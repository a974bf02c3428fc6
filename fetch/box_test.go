package fetch_test

import (
	"context"
	"io"

	"popfetch/deliver"
	"popfetch/deliver/mda"
)

// box is an MDA that counts what it is given: Group 1, and no memory of it after a
// crash.
type box struct {
	taken map[string]int
	ids   map[string]string // delivery ids
	other bool              // a repeat had another delivery id
}

func newBox() *box { return &box{taken: map[string]int{}, ids: map[string]string{}} }

type boxed struct{ text, id string }

func (b *box) Group() int { return 1 }

func (b *box) Recoverable() bool { return false }

func (b *box) Stage(_ context.Context, m deliver.Meta, r io.Reader) (deliver.Staged, error) {
	octets, err := io.ReadAll(deliver.NewLFReader(r))
	if err != nil {
		return nil, err
	}
	return boxed{string(octets), m.ID}, nil
}

func (b *box) Prepare(context.Context, []deliver.Staged) []error { return nil }

func (b *box) Publish(_ context.Context, group []deliver.Staged) []error {
	for _, s := range group {
		m := s.(boxed)
		b.taken[m.text]++
		b.other = b.other || b.ids[m.text] != "" && b.ids[m.text] != m.id
		b.ids[m.text] = m.id
	}
	return nil
}

func (b *box) Close() error { return nil }

func (s boxed) Intent() deliver.Intent { return deliver.Intent{Kind: mda.Kind, Note: s.id} }

func (s boxed) Abort() error { return nil }
