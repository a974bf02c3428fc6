//go:build linux

package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// popfetch is killed while its MDA reads a message, for each way in which popfetch passes
// a message on. The MDA must never take a part for the whole message. A repeat has the same
// delivery id, so that the receiver can drop it.
func TestKillWhileMDAReads(t *testing.T) {
	for _, lines := range []int{10, 5000, 50000} {
		t.Run(fmt.Sprint(lines, " lines"), func(t *testing.T) { killWhileMDAReads(t, lines*longest) })
	}
}

func killWhileMDAReads(t *testing.T, message int) {
	s, err := serveThese([]int{message})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	dir := scratch(t)
	h, err := newHome(product(), dir, dir, false, kind{to: toMDA}, s)
	must(t, err)
	ready, proceed := filepath.Join(dir, "ready"), filepath.Join(dir, "proceed")
	must(t, firstOf(unix.Mkfifo(ready, 0o600), unix.Mkfifo(proceed, 0o600)))
	// Each end of a FIFO waits until the other one is opened.
	script := fmt.Sprintf("#!/bin/sh\nif [ -e %[1]s ]; then : >%[1]s; : <%[2]s; fi\ncat >\"$1/.$$\" && mv \"$1/.$$\" \"$1/$POPFETCH_ID.$$\"\n", ready, proceed)
	must(t, os.WriteFile(filepath.Join(dir, "mda"), []byte(script), 0o700))

	p, err := h.start(h.argv())
	must(t, err)
	up := make(chan error, 1)
	go func() { up <- opened(ready, os.O_RDONLY) }()
	select {
	case err := <-up:
		must(t, err)
	case <-p.done:
		t.Fatalf("popfetch did not run its MDA: %v", p.wait())
	}
	must(t, os.Remove(ready))
	p.kill()
	must(t, opened(proceed, os.O_WRONLY))
	h.waitForOrphans()
	end, err := h.run()
	must(t, err)
	if end.code != 0 {
		t.Errorf("the run after the kill: %v", end)
	}
	got, err := h.delivered()
	must(t, err)
	if n := len(got.whole[message]); n < 1 || n > 2 || len(got.wrong) > 0 {
		t.Errorf("%d whole copies, and what is not whole: %q", n, got.wrong)
	}
}

// opened opens a FIFO, which waits for the other end, and closes it.
func opened(path string, flag int) error {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
