package fetch_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// A real disk under the state file is full for some polls. Only root may mount one; the
// tests of a state that fails, and of Bolt.Reopen, do without.
func TestDiskUnderTheStateFileThatIsFullForAWhileLosesAndRepeatsNothing(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		t.Logf("no disk: %v", err)
		return
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })

	h := newFixture(t, 5, nil)
	h.options.Pipelining = pop3.PipelineAuto
	h.account.Policy.Delete = true
	h.store.Close()
	store, err := state.File{Path: filepath.Join(disk, "state.db")}.Open()
	if err != nil {
		t.Fatal(err)
	}
	h.store, h.account.Maildrop = store, store.Maildrop(h.account.Key)
	h.mustPoll()

	const all = 160
	for n := 6; n <= all; n++ {
		h.drop.Add(message(n))
	}
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	for range 3 {
		_, err := h.poll()
		class(t, err, fetch.State)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v", err)
		}
		if err := store.Reopen(); err != nil {
			t.Errorf("reopen: %v", err)
		}
	}
	if got := len(h.drop.Messages()); got != all-5 {
		t.Errorf("%d messages are on the server", got)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	h.mustPoll()
	h.delivered(upTo(all)...)
	h.onServer()
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
