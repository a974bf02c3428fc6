package maildir

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/deliver"
)

// C06, C07 and C08 of the fault matrix: whatever the kernel refuses, and at
// whichever step, nothing is reported as delivered that is not, nothing stays in
// tmp/, and the next delivery into a Maildir opened anew succeeds.
func TestRowC06C07C08WhateverTheKernelRefuses(t *testing.T) {
	for _, errno := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EXDEV, syscall.EEXIST, syscall.EACCES,
		syscall.ENOENT, syscall.EMFILE, syscall.ENFILE, syscall.EROFS, syscall.ENOMEM,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			for n := 0; ; n++ {
				m, f := openMaildir(t)
				var failed string
				f.fail = func(i int, op string) error {
					if i == n {
						failed = op
						return errno
					}
					return nil
				}
				err := deliverText(t, m, "first")
				f.fail = nil
				if failed == "" {
					return
				}
				checkRefusal(t, m, failed, errno, err)
				m.Close()
				if err := m.Open(); err != nil {
					t.Fatalf("after %s failed: %v", failed, err)
				}
				if err := deliverText(t, m, "second"); err != nil || !slices.Contains(delivered(t, m.Path), "second") {
					t.Errorf("after %s failed: the next message: %v", failed, err)
				}
			}
		})
	}
}

// checkRefusal wants the failure of op to be reported, and to leave nothing behind.
func checkRefusal(t *testing.T, m *Maildir, op string, errno syscall.Errno, err error) {
	t.Helper()
	var e *deliver.Error
	switch {
	case err == nil:
		t.Errorf("%s failed, and the message counts as delivered", op)
	case !errors.As(err, &e) || !errors.Is(err, errno) && !errors.Is(err, deliver.ErrGone):
		t.Errorf("%s failed: %v", op, err)
	case e.Path == "" || e.Op == "" || strings.Contains(err.Error(), "\n"):
		t.Errorf("%s failed: the error does not say what was tried: %v", op, err)
	}
	if seen := delivered(t, m.Path); len(seen) > 0 && op != "sync new" {
		t.Errorf("%s failed, and readers see %q", op, seen)
	}
	if left := list(t, m, "tmp"); len(left) > 0 {
		t.Errorf("%s failed, and tmp has %q", op, left)
	}
}

// deliverText leads one message as far as it goes, and gives it up where it does
// not.
func deliverText(t *testing.T, m *Maildir, text string) error {
	t.Helper()
	s, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader(text))
	if err != nil {
		return err
	}
	group := []deliver.Staged{s}
	err = errors.Join(m.Prepare(t.Context(), group)...)
	if err == nil {
		err = errors.Join(m.Publish(t.Context(), group)...)
	}
	if err != nil {
		if err := s.Abort(); err != nil {
			t.Errorf("abort: %v", err)
		}
	}
	return err
}

// C20: names differ though the clock stands still or goes back, and are still
// known as ours.
func TestRowC20NamesWhateverTheClock(t *testing.T) {
	now := time.Now()
	seen := make(map[string]bool)
	for _, when := range []time.Time{now, now, now.Add(-time.Hour), time.Unix(0, 0), time.Unix(1<<33, 0)} {
		for range 1000 {
			name := newName(when, testOwner, "desk")
			if seen[name] {
				t.Fatalf("%s was made twice", name)
			}
			seen[name] = true
			if !isOwned(name, testOwner) {
				t.Fatalf("%s is not known as ours", name)
			}
		}
	}
}

// N15: with MaxOpen no more files are open than that, and it changes nothing of
// the order of safety.
func TestRowN15FewFilesOpen(t *testing.T) {
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
	for _, op := range f.ops {
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

// N15: a sync that fails in Stage leaves nothing behind, and nothing to believe in.
func TestRowN15EarlySyncFails(t *testing.T) {
	m, f := openMaildir(t)
	m.MaxOpen = 1
	group := stage(t, m, "first")
	f.fail = func(_ int, op string) error {
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
	f.fail = nil
	if left := list(t, m, "tmp"); len(left) != 1 || m.open != 1 {
		t.Errorf("tmp has %q, %d files count as open", left, m.open)
	}
	prepare(t, m, group)
	publish(t, m, group)
	if got := delivered(t, m.Path); !slices.Equal(got, []string{"first"}) {
		t.Errorf("delivered %q", got)
	}
}

// C21: where every sync takes 30 s, a whole group takes less than the ten minutes
// after which a server may close an idle session (RFC 1939 section 3).
func TestRowC21SlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := openMaildir(t)
		var texts []string
		for range m.Group() {
			texts = append(texts, "text")
		}
		group := stage(t, m, texts...)
		f.more = func(op string) {
			if strings.HasPrefix(op, "sync") {
				time.Sleep(30 * time.Second)
			}
		}
		start := time.Now()
		prepare(t, m, group)
		publish(t, m, group)
		if took := time.Since(start); took < time.Minute || took > 5*time.Minute {
			t.Errorf("a group took %v", took)
		}
	})
}
