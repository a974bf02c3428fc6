package delivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
)

// open opens a destination on a new place.
func open(t *testing.T, setup func(t *testing.T) Fixture) *place {
	p := &place{T: t, Fixture: setup(t)}
	p.d = p.Open()
	t.Cleanup(func() { p.d.Close() })
	return p
}

// place is a Fixture with an open destination.
type place struct {
	*testing.T
	Fixture
	d deliver.Destination
}

func meta() deliver.Meta {
	return deliver.Meta{
		ID: "0123456789abcdef", Account: "work", User: "me@example.org", Host: "pop.example.org",
		UID: "uid/1", Protocol: "POP3S", Attempt: 1, Time: time.Now(),
	}
}

// stage stages text with the destination d.
func (p *place) stage(d deliver.Destination, text string) deliver.Staged {
	p.Helper()
	s, err := d.Stage(p.Context(), meta(), strings.NewReader(text))
	if err != nil {
		p.Fatalf("stage: %v", err)
	}
	return s
}

// publish delivers the group, in parts of the size that the destination takes.
func (p *place) publish(d deliver.Destination, group ...deliver.Staged) {
	p.Helper()
	if err := settle(p.Context(), d, group); err != nil {
		p.Fatal(err)
	}
}

// settle is publish for any goroutine.
func settle(ctx context.Context, d deliver.Destination, group []deliver.Staged) error {
	for part := range slices.Chunk(group, d.Group()) {
		if err := errors.Join(d.Prepare(ctx, part)...); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		for _, s := range part {
			if in := s.Intent(); in.Kind == "" || in.Note == "" {
				return fmt.Errorf("incomplete intent %+v", in)
			}
		}
		if err := errors.Join(d.Publish(ctx, part)...); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}

// expect checks that readers see the messages sent, and that nothing else is left.
func (p *place) expect(sent ...string) {
	p.Helper()
	var want []string
	for _, text := range sent {
		want = append(want, p.Stored(text))
	}
	got := p.Delivered()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.Errorf("readers see %d messages %.300q, want %d: %.300q", len(got), got, len(want), want)
	}
	if left := p.Leftovers(); len(left) > 0 {
		p.Errorf("left behind: %q", left)
	}
}
