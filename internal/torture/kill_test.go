//go:build linux

package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// SIGKILL before the nth of each system call, at any command or arrival of a message, and
// sometimes again in the run after it.
func TestKilledPopfetchLosesAndRepeatsNothing(t *testing.T) {
	needsStrace(t)
	counts := newCensus(product(), scratch(t), receivers{})
	ways := []way{toMaildir, toMaildir, toMaildir, toMaildir, toMDA}
	k := killer{bin: product(), ways: ways, counts: counts, servers: inTest, dir: scratch(t)}
	points := size(40, 1000)
	sum := spread(4*points, until(points), k.trial)

	if d := startDovecot(t); d != nil {
		real := killer{bin: product(), ways: ways, counts: counts, servers: d.provide, real: true, dir: scratch(t)}
		more := size(6, 100)
		sum.add(spread(4*more, until(more), real.trial))
		points += more
	}

	without := recordAfterRename()
	bad := killer{bin: without.build(t), ways: []way{toMaildir}, counts: counts, servers: inTest, control: changes(), dir: scratch(t)}
	found := spread(size(100, 500), func(s score) bool { return s.repeated > 0 }, bad.trial)
	controls := "caught"
	if found.repeated == 0 {
		controls = "missed"
		t.Errorf("%d kills of a popfetch with %q showed no repeat", found.points, without.name)
	}
	sum.report(t, points)
	printScore("kill", sum, controls)
}

// scratch returns a directory for many small files that need not survive a power cut.
func scratch(t *testing.T) string {
	t.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "popfetch-torture"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// killer runs trials of one build with one kind of server.
type killer struct {
	bin     string
	ways    []way // in turn
	counts  *census
	servers provider
	// receivers opens those of LMTP, SMTP and IMAP.
	receivers receivers
	real      bool     // a real server, which does not report its commands
	control   []string // kill at these system calls, or at this command; nil = anywhere
	dir       string
}

// changes are the system calls by which the mail and the state change.
func changes() []string { return []string{"renameat2", "fsync", "syncfs", "fdatasync", "pwrite64"} }

// account returns what delivers in trial i.
func (k killer) account(i int) kind {
	a := kind{to: k.ways[i%len(k.ways)], keep: i%2 == 0}
	switch {
	case a.to.isRelay():
		a.stamped = true // shows the delivery id
	case !a.to.hasInbox():
		a.stamped = i%4 < 2
	}
	return a
}

// pick returns when popfetch is killed while it delivers n messages. counts are how often it
// makes each system call.
func (k killer) pick(r *rand.Rand, account kind, n int, counts map[string]int) instant {
	if k.control != nil {
		if at := (instant{k.control[0], 1 + r.IntN(n)}); at.isCommand() {
			return at
		}
		return pickCall(r, counts, k.control)
	}
	at := pickCall(r, counts, calls())
	if r.IntN(4) == 0 {
		return pickProgress(r, account, n, !k.real)
	}
	return at
}

// trial kills popfetch once, in every third trial twice. A mail reader runs in every third.
func (k killer) trial(_, i int) score {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	account := k.account(i)
	n := []int{1, 5, 120}[r.IntN(3)]
	if account.to.repeats() && n > 5 {
		n = 20 // each is a separate group
	}
	counts, err := k.counts.of(account, n)
	if err != nil {
		return broken("census", err)
	}
	trial := fmt.Sprintf("t%d%t", i, k.control != nil)
	var endReceiver func()
	if account.receiver, endReceiver, err = k.receivers.open(account.to, trial); err != nil {
		return broken("receiver", err)
	}
	defer endReceiver()
	at := k.pick(r, account, n, counts)
	name := fmt.Sprintf("trial %d: %s, %d messages, killed at %s", i, account, n, at)
	dir := filepath.Join(k.dir, fmt.Sprint("t", i))
	defer os.RemoveAll(dir)
	s, end, err := k.servers(trial, n)
	if err != nil {
		return broken(name, err)
	}
	defer end()
	h, err := newHome(k.bin, dir, dir, false, account, s)
	if err != nil {
		return broken(name, err)
	}
	faults := 0
	first, _, err := h.strike(at, s, (*process).kill)
	if err != nil {
		return broken(name, err)
	}
	if first.killed {
		faults++
	}
	h.waitForOrphans()
	if r.IntN(3) == 0 {
		if err := h.readMail(); err != nil {
			return broken(name, err)
		}
		name += ", then read"
	}
	if r.IntN(3) == 0 {
		again := pickCall(r, counts, calls())
		second, _, err := h.strike(again, s, (*process).kill)
		if err != nil {
			return broken(name, err)
		}
		if second.killed {
			faults++
			name += ", again at " + again.String()
		}
	}
	sum := h.runAndCount(name, s, n, faults)
	sum.points = faults
	return sum
}
