//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"popfetch/internal/dovecottest"
)

// Small scenarios with all installed peers: every message is delivered once, known ones are
// not, and only what should be deleted is.
func TestSmallScenariosDeliverEverythingOnce(t *testing.T) {
	if reason := dovecottest.Missing(); reason != "" {
		t.Skip(reason)
	}
	// Not the directory of the test: other users have to reach it.
	dir, err := os.MkdirTemp("/var/tmp", "popbench")
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, os.Chmod(dir, 0o755))
	bin := filepath.Join(dir, "popfetch")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server, err := startDovecot(dir, namespace{}, "127.0.0.1")
	must(t, err)
	defer server.Close()
	there, _ := peers()
	c := &contest{
		server: server, dir: dir, contenders: append([]contender{drain{}, popfetch(bin)}, there...),
		runs: 1, limit: time.Minute, slow: time.Minute, progress: t.Output(),
	}
	two := polled("two accounts", 5, 0, 40)
	two.users, two.parallel = 2, 2
	for _, s := range []scenario{
		fresh("fresh", 7, 0), overTLS(fresh("TLS", 7, 0)), deleted(fresh("deleted", 7, 0)), polled("known", 7, 0, 40), two,
	} {
		r, err := c.play(t.Context(), s)
		must(t, err)
		for _, e := range r.Entries {
			t.Logf("%s: %s: %s s", s.name, e.Name, e.timed())
			if e.Failed != "" || e.Over > 0 && e.Name != (getmail{}).name() { // which stalls now and then
				t.Errorf("%s: %s: %s%s", s.name, e.Name, e.timed(), e.Failed)
			}
		}
		if own := r.find(subject); own.Syncs == nil {
			t.Logf("%s: syncs are not counted", s.name)
		} else if s.known && *own.Syncs != 0 || !s.known && *own.Syncs < r.Messages {
			t.Errorf("%s: %d syncs", s.name, *own.Syncs)
		}
	}
	far := fresh("far", 7, 100)
	if _, err := c.play(t.Context(), far); err == nil {
		t.Error("a scenario with a delay ran without a network")
	}
}
