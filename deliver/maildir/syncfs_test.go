package maildir

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"popfetch/deliver"
)

// A group of 16 is synced by one syncfs(2). If that declines, each file is synced by
// itself: to count the files as durable would lose them in a power cut.
func TestSyncFSThatDeclinesHasEachFileSynced(t *testing.T) {
	for _, test := range []struct {
		name      string
		done      bool
		fileSyncs int
	}{
		{"it declines", false, fewestTogether},
		{"it has synced everything", true, 0},
	} {
		m, f := openMaildir(t)
		f.SyncFS = func() (bool, error) { return test.done, nil }
		texts := slices.Repeat([]string{"text"}, fewestTogether)
		group := stage(t, m, texts...)
		f.Reset()
		prepare(t, m, group)
		if got := f.Count("sync file system"); got != 1 {
			t.Errorf("%s: %d syncs of the file system, want 1", test.name, got)
		}
		if got := f.Count("sync file"); got != test.fileSyncs {
			t.Errorf("%s: %d files were synced, want %d", test.name, got, test.fileSyncs)
		}
		publish(t, m, group)
		if got := delivered(t, m.Path); !slices.Equal(got, texts) {
			t.Errorf("%s: delivered %q", test.name, got)
		}
	}
}

// After an error of syncfs(2) nobody knows which write was lost, and the kernel does not
// report it to a later fsync: no message of the group is delivered, and nothing else
// before the Maildir was opened again.
func TestFailedSyncFSDeliversNothing(t *testing.T) {
	m, f := openMaildir(t)
	f.SyncFS = func() (bool, error) { return false, syscall.EIO }
	group := stage(t, m, slices.Repeat([]string{"text"}, fewestTogether)...)
	errs := m.Prepare(t.Context(), group)
	if len(errs) != len(group) {
		t.Fatalf("Prepare returned %d errors for %d messages", len(errs), len(group))
	}
	for i, err := range errs {
		var e *deliver.Error
		if !errors.Is(err, syscall.EIO) || !errors.As(err, &e) || e.Scope != deliver.Place {
			t.Errorf("message %d: %v, want %v of scope Place", i, err, syscall.EIO)
		}
	}
	if got := f.Count("sync file"); got != 0 {
		t.Errorf("%d files were synced after the error", got)
	}
	if err := deliverText(t, m, "next"); !errors.Is(err, syscall.EIO) {
		t.Errorf("the next message: %v, want %v", err, syscall.EIO)
	}
	if err := errors.Join(m.Publish(t.Context(), group)...); !errors.Is(err, syscall.EIO) {
		t.Errorf("Publish: %v, want %v", err, syscall.EIO)
	}
	for _, s := range group {
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
	}
	m.Close()
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	if err := deliverText(t, m, "after"); err != nil {
		t.Error(err)
	}
	if got := delivered(t, m.Path); !slices.Equal(got, []string{"after"}) {
		t.Errorf("delivered %q", got)
	}
}
