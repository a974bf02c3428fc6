package maildir

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"popfetch/deliver"
)

// MaxOpen limits how many files are open, and does not change the order of safety.
func TestMaxOpenLimitsOpenFiles(t *testing.T) {
	m, f := openMaildir(t)
	m.MaxOpen = 2
	texts := []string{"1", "2", "3", "4", "5"}
	group := stage(t, m, texts...)
	open := 0
	for _, s := range group {
		if s.(*staged).file != nil {
			open++
		}
	}
	if open != 2 || len(delivered(t, m.Path)) > 0 {
		t.Errorf("%d files are open, readers see %q", open, delivered(t, m.Path))
	}
	if err := group[1].Abort(); err != nil {
		t.Fatal(err)
	}
	group = slices.Delete(group, 1, 2)
	prepare(t, m, group)
	if errs := m.Prepare(t.Context(), group[1:2]); errs == nil {
		t.Error("a second Prepare of a message that was synced early succeeds")
	}
	syncs := 0
	for _, op := range f.Ops() {
		if op == "sync file" {
			syncs++
		}
	}
	if syncs != 4 || m.open != 0 {
		t.Errorf("%d syncs, and %d files count as open", syncs, m.open)
	}
	publish(t, m, group)
	got := delivered(t, m.Path)
	slices.Sort(got)
	if !slices.Equal(got, []string{"1", "3", "4", "5"}) {
		t.Errorf("delivered %q", got)
	}
}

// Where MaxOpen has Stage sync a file and that fails, the message is not staged and leaves
// nothing behind.
func TestFailedSyncInStageLeavesNothing(t *testing.T) {
	m, f := openMaildir(t)
	m.MaxOpen = 1
	group := stage(t, m, "first")
	f.Fail = func(_ int, op string) error {
		if op == "sync file" {
			return syscall.EIO
		}
		return nil
	}
	_, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader("second"))
	var e *deliver.Error
	if !errors.Is(err, syscall.EIO) || !errors.As(err, &e) || e.Scope != deliver.Place {
		t.Errorf("got %v", err)
	}
	f.Fail = nil
	if left := list(t, m, "tmp"); len(left) != 1 || m.open != 1 {
		t.Errorf("tmp has %q, %d files count as open", left, m.open)
	}
	prepare(t, m, group)
	publish(t, m, group)
	if got := delivered(t, m.Path); !slices.Equal(got, []string{"first"}) {
		t.Errorf("delivered %q", got)
	}
}
